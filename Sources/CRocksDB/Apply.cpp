// Mutation lists: decoded, checked and put into one write batch.
//
// The format is documented with the Swift type `MutationList`. Nothing of a batch is visible before
// it is committed, so a list that turns out to be malformed leaves no trace.

#include "Batch.hpp"
#include "Limits.hpp"

namespace stele {
namespace {

constexpr uint8_t kListVersion = 1;

enum Operation : uint8_t {
    kPutVersion = 1,
    kDeleteVersion = 2,
    kPutPlain = 3,
    kDeletePlain = 4,
    kClearRange = 5,
    kPutIntent = 6,
    kRemoveIntent = 7,
    kResolveIntent = 8,
    kClearPlain = 9,
    kDropVersions = 10,
    kRaiseWatermark = 11,
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

Failure truncated() { return failure(STELE_INVALID_ARGUMENT, "the list ends within it"); }

Failure unknown(const char *what, uint8_t number) {
    return failure(
        STELE_INVALID_ARGUMENT, std::string("unknown ") + what + " " + std::to_string(number));
}

// The functions below add one mutation each. The fields are read before the first use, since
// truncation shows only then.

Failure addVersion(stele_batch &batch, Reader &reader, VersionKind kind) {
    const uint32_t keyCount = reader.integer<uint32_t>();
    const uint32_t valueCount = kind == VersionKind::value ? reader.integer<uint32_t>() : 0;
    const uint64_t timestamp = reader.integer<uint64_t>();
    const uint64_t transaction = reader.integer<uint64_t>();
    const rocksdb::Slice key = reader.raw(keyCount);
    const rocksdb::Slice value = reader.raw(valueCount);
    if (reader.isTruncated()) return truncated();
    Failure result = longKey(key);
    if (!result.isFailure()) result = longValue(value);
    if (!result.isFailure()) result = batch.checkHistory(key, timestamp);
    if (result.isFailure()) return result;
    return failureOf(batch.putVersion(key, timestamp, kind, transaction, value));
}

Failure addPlain(stele_batch &batch, Reader &reader, bool isPut) {
    const uint8_t family = reader.integer<uint8_t>();
    const uint32_t keyCount = reader.integer<uint32_t>();
    const uint32_t valueCount = isPut ? reader.integer<uint32_t>() : 0;
    const rocksdb::Slice key = reader.raw(keyCount);
    const rocksdb::Slice value = reader.raw(valueCount);
    if (reader.isTruncated()) return truncated();
    if (!isPlainFamily(family) || family == kLocks) return unknown("family", family);
    Failure result = longKey(key);
    if (!result.isFailure()) result = longValue(value);
    if (result.isFailure()) return result;
    if (!isPut) return failureOf(batch.deletePlain(family, key));
    // What these items say is kept in memory too.
    if (family == kLocal && isWatermarkKey(key)) {
        return failure(STELE_INVALID_ARGUMENT, "a watermark is not put but raised");
    }
    return failureOf(batch.putPlain(family, key, value));
}

Failure addClear(stele_batch &batch, Reader &reader, bool isPlain) {
    const uint8_t family = isPlain ? reader.integer<uint8_t>() : 0;
    const uint32_t startCount = reader.integer<uint32_t>();
    const uint32_t endCount = reader.integer<uint32_t>();
    const rocksdb::Slice start = reader.raw(startCount);
    const rocksdb::Slice end = reader.raw(endCount);
    if (reader.isTruncated()) return truncated();
    if (isPlain && !isPlainFamily(family)) return unknown("family", family);
    const Failure result = longBound(start, end);
    if (result.isFailure()) return result;
    if (!isPlain) return failureOf(batch.clearVersions(start, end));
    return failureOf(batch.clearPlain(family, start, end));
}

Failure addIntent(stele_batch &batch, Reader &reader) {
    const uint32_t keyCount = reader.integer<uint32_t>();
    const uint32_t intentCount = reader.integer<uint32_t>();
    const rocksdb::Slice key = reader.raw(keyCount);
    const rocksdb::Slice stored = reader.raw(intentCount);
    if (reader.isTruncated()) return truncated();
    StoredIntent intent;
    if (!decodeIntent(stored, &intent)) {
        return failure(STELE_INVALID_ARGUMENT, "an intent of an unknown form");
    }
    Failure result = longKey(key);
    if (!result.isFailure()) result = longKey(intent.anchor);
    if (!result.isFailure()) result = longValue(intent.value);
    if (result.isFailure()) return result;
    return failureOf(batch.putIntent(key, stored));
}

Failure addResolution(stele_batch &batch, Reader &reader, bool isCommitted) {
    const uint32_t keyCount = reader.integer<uint32_t>();
    const uint64_t transaction = reader.integer<uint64_t>();
    const uint64_t timestamp = isCommitted ? reader.integer<uint64_t>() : 0;
    const rocksdb::Slice key = reader.raw(keyCount);
    if (reader.isTruncated()) return truncated();
    // Where there is no such intent, nothing is written.
    if (isCommitted && batch.hasIntent(key, transaction)) {
        const Failure result = batch.checkHistory(key, timestamp);
        if (result.isFailure()) return result;
    }
    return failureOf(
        isCommitted ? batch.resolveIntent(key, transaction, timestamp)
                    : batch.removeIntent(key, transaction));
}

Failure addDrop(stele_batch &batch, Reader &reader) {
    const uint32_t keyCount = reader.integer<uint32_t>();
    const uint64_t timestamp = reader.integer<uint64_t>();
    const rocksdb::Slice key = reader.raw(keyCount);
    if (reader.isTruncated()) return truncated();
    return failureOf(batch.dropVersions(key, timestamp));
}

Failure addWatermark(stele_batch &batch, Reader &reader) {
    const uint64_t tablet = reader.integer<uint64_t>();
    const uint64_t replica = reader.integer<uint64_t>();
    const uint64_t timestamp = reader.integer<uint64_t>();
    const uint32_t startCount = reader.integer<uint32_t>();
    const uint32_t endCount = reader.integer<uint32_t>();
    const rocksdb::Slice start = reader.raw(startCount);
    const rocksdb::Slice end = reader.raw(endCount);
    if (reader.isTruncated()) return truncated();
    const Failure result = longBound(start, end);
    if (result.isFailure()) return result;
    return failureOf(batch.raiseWatermark(tablet, replica, timestamp, start, end));
}

Failure addMutation(stele_batch &batch, Reader &reader) {
    const uint8_t operation = reader.integer<uint8_t>();
    switch (operation) {
    case kPutVersion:
        return addVersion(batch, reader, VersionKind::value);
    case kDeleteVersion:
        return addVersion(batch, reader, VersionKind::deletion);
    case kPutPlain:
        return addPlain(batch, reader, true);
    case kDeletePlain:
        return addPlain(batch, reader, false);
    case kClearRange:
        return addClear(batch, reader, false);
    case kPutIntent:
        return addIntent(batch, reader);
    case kRemoveIntent:
        return addResolution(batch, reader, false);
    case kResolveIntent:
        return addResolution(batch, reader, true);
    case kClearPlain:
        return addClear(batch, reader, true);
    case kDropVersions:
        return addDrop(batch, reader);
    case kRaiseWatermark:
        return addWatermark(batch, reader);
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

}  // namespace
}  // namespace stele

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
        return stele::failureOf(
            batch->putPlain(stele::kLocal, stele::slice(key), stele::slice(value)));
    });
}

stele_code stele_batch_commit(stele_batch *batch, char **message) {
    const stele_code code =
        stele::guarded(message, [&]() { return stele::failureOf(batch->commit()); });
    batch->clear();
    return code;
}
