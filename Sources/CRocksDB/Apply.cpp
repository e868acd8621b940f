// Mutation lists: decoded, checked and put into one write batch.
//
// The format is documented with the Swift type `MutationList`. Nothing of a batch is visible before
// it is committed, so a list that turns out to be malformed leaves no trace.

#include <optional>

#include <rocksdb/write_batch.h>

#include "Engine.hpp"

struct stele_batch {
    stele_engine *engine;
    rocksdb::WriteBatch writes;
    std::string start;
    std::string end;
    uint64_t clears = 0;

    void clear();
};

namespace stele {
namespace {

constexpr uint8_t kListVersion = 1;
constexpr size_t kKeptBatchBytes = 8 << 20;

enum Operation : uint8_t {
    kPutVersion = 1,
    kDeleteVersion = 2,
    kPutPlain = 3,
    kDeletePlain = 4,
    kClearRange = 5,
};

// Reads the fields of a list; after the first one that lies beyond its end, all are empty.
class Reader {
public:
    Reader(const char *position, const char *end) : position_(position), end_(end) {}

    bool isTruncated() const { return isTruncated_; }
    size_t remaining() const { return static_cast<size_t>(end_ - position_); }

    template <typename Integer>
    Integer integer() {
        Integer value = 0;
        const rocksdb::Slice bytes = raw(sizeof value);
        if (!bytes.empty()) std::memcpy(&value, bytes.data(), sizeof value);
        return value;
    }

    rocksdb::Slice raw(size_t count) {
        if (isTruncated_ || remaining() < count) {
            isTruncated_ = true;
            return rocksdb::Slice();
        }
        const rocksdb::Slice bytes(position_, count);
        position_ += count;
        return bytes;
    }

private:
    const char *position_;
    const char *end_;
    bool isTruncated_ = false;
};

// Finds the greatest user key that a batch puts into `data`.
class LastKey final : public rocksdb::WriteBatch::Handler {
public:
    explicit LastKey(uint32_t data) : data_(data) {}

    std::optional<std::string> last;

    void offer(const rocksdb::Slice &user) {
        if (!last || rocksdb::Slice(*last).compare(user) < 0) last = user.ToString();
    }

    rocksdb::Status PutCF(
        uint32_t family, const rocksdb::Slice &key, const rocksdb::Slice &) override {
        if (family == data_) offer(userKey(key));
        return rocksdb::Status::OK();
    }
    rocksdb::Status DeleteCF(uint32_t, const rocksdb::Slice &) override {
        return rocksdb::Status::OK();
    }
    rocksdb::Status DeleteRangeCF(
        uint32_t, const rocksdb::Slice &, const rocksdb::Slice &) override {
        return rocksdb::Status::OK();
    }

private:
    uint32_t data_;
};

rocksdb::Status putVersion(
    stele_batch &batch, const rocksdb::Slice &user, uint64_t timestamp, VersionKind kind,
    uint64_t transaction, const rocksdb::Slice &value) {
    char time[kTimestampBytes];
    char header[kVersionHeaderBytes];
    encodeTimestamp(timestamp, time);
    encodeVersionHeader(kind, transaction, header);
    const rocksdb::Slice key[] = {user, rocksdb::Slice(time, sizeof time)};
    const rocksdb::Slice stored[] = {rocksdb::Slice(header, sizeof header), value};
    return batch.writes.Put(
        batch.engine->families[kData], rocksdb::SliceParts(key, 2), rocksdb::SliceParts(stored, 2));
}

// A range tombstone needs an end. For the end of the keyspace that is just behind the last key
// there is, in the store or in the batch so far: everything later is put after the tombstone.
rocksdb::Status clearToEnd(stele_batch &batch, const rocksdb::Slice &start) {
    rocksdb::ColumnFamilyHandle *data = batch.engine->families[kData];
    LastKey keys(data->GetID());
    rocksdb::Status status = batch.writes.Iterate(&keys);
    if (!status.ok()) return status;
    std::unique_ptr<rocksdb::Iterator> iterator(
        batch.engine->db->NewIterator(batch.engine->rangeReads(), data));
    iterator->SeekToLast();
    if (!iterator->status().ok()) return iterator->status();
    if (iterator->Valid()) keys.offer(userKey(iterator->key()));
    if (!keys.last || rocksdb::Slice(*keys.last).compare(start) < 0) return rocksdb::Status::OK();
    const std::string end = *keys.last + '\0';
    ++batch.clears;
    return batch.writes.DeleteRange(
        data, versionKey(batch.start, start, kNewest), versionKey(batch.end, end, kNewest));
}

rocksdb::Status clearRange(
    stele_batch &batch, const rocksdb::Slice &start, const rocksdb::Slice &end) {
    if (end.empty()) return clearToEnd(batch, start);
    if (start.compare(end) >= 0) return rocksdb::Status::OK();
    ++batch.clears;
    return batch.writes.DeleteRange(
        batch.engine->families[kData], versionKey(batch.start, start, kNewest),
        versionKey(batch.end, end, kNewest));
}

Failure truncated() { return failure(STELE_INVALID_ARGUMENT, "the list ends within it"); }

Failure unknown(const char *what, uint8_t number) {
    return failure(
        STELE_INVALID_ARGUMENT, std::string("unknown ") + what + " " + std::to_string(number));
}

// Adds one mutation. The fields are read before the first use, since truncation shows only then.
Failure addMutation(stele_batch &batch, Reader &reader) {
    const uint8_t operation = reader.integer<uint8_t>();
    switch (operation) {
    case kPutVersion: {
        const uint32_t keyCount = reader.integer<uint32_t>();
        const uint32_t valueCount = reader.integer<uint32_t>();
        const uint64_t timestamp = reader.integer<uint64_t>();
        const uint64_t transaction = reader.integer<uint64_t>();
        const rocksdb::Slice key = reader.raw(keyCount);
        const rocksdb::Slice value = reader.raw(valueCount);
        if (reader.isTruncated()) return truncated();
        return failureOf(
            putVersion(batch, key, timestamp, VersionKind::value, transaction, value));
    }
    case kDeleteVersion: {
        const uint32_t keyCount = reader.integer<uint32_t>();
        const uint64_t timestamp = reader.integer<uint64_t>();
        const uint64_t transaction = reader.integer<uint64_t>();
        const rocksdb::Slice key = reader.raw(keyCount);
        if (reader.isTruncated()) return truncated();
        return failureOf(putVersion(
            batch, key, timestamp, VersionKind::deletion, transaction, rocksdb::Slice()));
    }
    case kPutPlain: {
        const uint8_t family = reader.integer<uint8_t>();
        const uint32_t keyCount = reader.integer<uint32_t>();
        const uint32_t valueCount = reader.integer<uint32_t>();
        const rocksdb::Slice key = reader.raw(keyCount);
        const rocksdb::Slice value = reader.raw(valueCount);
        if (reader.isTruncated()) return truncated();
        if (!isPlainFamily(family)) return unknown("family", family);
        return failureOf(batch.writes.Put(batch.engine->families[family], key, value));
    }
    case kDeletePlain: {
        const uint8_t family = reader.integer<uint8_t>();
        const uint32_t keyCount = reader.integer<uint32_t>();
        const rocksdb::Slice key = reader.raw(keyCount);
        if (reader.isTruncated()) return truncated();
        if (!isPlainFamily(family)) return unknown("family", family);
        return failureOf(batch.writes.Delete(batch.engine->families[family], key));
    }
    case kClearRange: {
        const uint32_t startCount = reader.integer<uint32_t>();
        const uint32_t endCount = reader.integer<uint32_t>();
        const rocksdb::Slice start = reader.raw(startCount);
        const rocksdb::Slice end = reader.raw(endCount);
        if (reader.isTruncated()) return truncated();
        return failureOf(clearRange(batch, start, end));
    }
    default:
        return unknown("operation", operation);
    }
}

Failure addList(
    stele_batch &batch, const rocksdb::Slice &list, size_t offset, size_t maxBytes, size_t *next) {
    if (list.empty()) {
        return failure(STELE_INVALID_ARGUMENT, "a mutation list without a version");
    }
    const uint8_t version = static_cast<uint8_t>(list[0]);
    if (version != kListVersion) {
        return failure(
            STELE_INVALID_ARGUMENT,
            "a mutation list of unknown version " + std::to_string(version));
    }
    if (offset > list.size()) {
        return failure(
            STELE_INVALID_ARGUMENT,
            "offset " + std::to_string(offset) + " lies outside a list of "
                + std::to_string(list.size()) + " bytes");
    }
    const size_t first = offset == 0 ? 1 : offset;
    Reader reader(list.data() + first, list.data() + list.size());
    while (reader.remaining() > 0) {
        const size_t position = list.size() - reader.remaining();
        if (position - first > maxBytes) break;
        Failure result = addMutation(batch, reader);
        if (result.isFailure()) {
            result.message =
                "mutation at byte " + std::to_string(position) + ": " + result.message;
            return result;
        }
    }
    *next = list.size() - reader.remaining();
    return Failure();
}

Failure commit(stele_batch &batch) {
    if (batch.writes.Count() == 0) return Failure();
    rocksdb::WriteOptions options;
    options.disableWAL = true;
    options.no_slowdown = true;
    const rocksdb::Status status = batch.engine->db->Write(options, &batch.writes);
    if (batch.clears > 0) batch.engine->clears.fetch_add(1);
    batch.engine->writes.fetch_add(1);
    return failureOf(status);
}

}  // namespace
}  // namespace stele

void stele_batch::clear() {
    clears = 0;
    if (writes.GetDataSize() > stele::kKeptBatchBytes) {
        writes = rocksdb::WriteBatch();
    } else {
        writes.Clear();
    }
}

stele_code stele_batch_create(stele_engine *engine, stele_batch **batch, char **message) {
    return stele::guarded(message, [&]() -> stele::Failure {
        auto created = std::make_unique<stele_batch>();
        created->engine = engine;
        *batch = created.release();
        return stele::Failure();
    });
}

void stele_batch_free(stele_batch *batch) { delete batch; }

void stele_batch_clear(stele_batch *batch) { batch->clear(); }

stele_code stele_batch_add(
    stele_batch *batch, stele_bytes list, size_t offset, size_t max_bytes, size_t *next,
    char **message) {
    return stele::guarded(message, [&]() {
        return stele::addList(*batch, stele::slice(list), offset, max_bytes, next);
    });
}

stele_code stele_batch_put_local(
    stele_batch *batch, stele_bytes key, stele_bytes value, char **message) {
    return stele::guarded(message, [&]() {
        return stele::failureOf(batch->writes.Put(
            batch->engine->families[stele::kLocal], stele::slice(key), stele::slice(value)));
    });
}

stele_code stele_batch_commit(stele_batch *batch, char **message) {
    const stele_code code = stele::guarded(message, [&]() { return stele::commit(*batch); });
    batch->clear();
    return code;
}
