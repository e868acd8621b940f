#include "Batch.hpp"

namespace stele {
namespace {

constexpr size_t kKeptBatchBytes = 8 << 20;

// Calls `visit` with each key that a batch puts into one family.
template <typename Visit>
class Puts final : public rocksdb::WriteBatch::Handler {
public:
    Puts(uint32_t family, Visit visit) : family_(family), visit_(std::move(visit)) {}

    rocksdb::Status PutCF(
        uint32_t family, const rocksdb::Slice &key, const rocksdb::Slice &) override {
        if (family == family_) visit_(key);
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
    const uint32_t family_;
    const Visit visit_;
};

}  // namespace
}  // namespace stele

using rocksdb::Slice;
using rocksdb::Status;

namespace {

stele::Failure clearedVersion() {
    return stele::failure(
        STELE_INVALID_ARGUMENT, "a version is not newer than one that was cleared");
}

}  // namespace

uint64_t stele_batch::watermarkOf(const Slice &user) const {
    uint64_t greatest = 0;
    const auto take = [&](const stele::Watermark &mark) {
        if (stele::isWithin(user, mark.start, mark.end)) {
            greatest = std::max(greatest, mark.timestamp);
        }
    };
    for (const auto &[key, mark] : engine->watermarks.latest()) {
        if (watermarks.find(key) == watermarks.end()) take(mark);
    }
    for (const auto &[key, mark] : watermarks) {
        if (mark) take(*mark);
    }
    return greatest;
}

// Iterators that pass over range tombstones still find what those cover, until a compaction has met
// it. A version that only they find was cleared.
stele::Failure stele_batch::checkHistory(const Slice &user, uint64_t timestamp) const {
    if (!engine->checksHistory) return stele::Failure();
    const uint64_t watermark = watermarkOf(user);
    if (watermark > 0 && timestamp <= watermark) {
        return stele::failure(
            STELE_INVALID_ARGUMENT,
            "a version at " + std::to_string(timestamp) + " is not above the watermark "
                + std::to_string(watermark) + " of garbage collection");
    }
    const auto own = cleared.find(user);
    if (own != cleared.end() && timestamp <= own->second) return clearedVersion();
    rocksdb::ColumnFamilyHandle *data = engine->families[stele::kData];
    rocksdb::ReadOptions options = engine->latest.rangeReads();
    options.ignore_range_deletions = true;
    std::unique_ptr<rocksdb::Iterator> all(engine->db->NewIterator(options, data));
    std::string key;
    for (all->Seek(stele::versionKey(key, user, stele::kNewest));
         all->Valid() && stele::userKey(all->key()) == user
         && stele::timestampOf(all->key()) >= timestamp;
         all->Next()) {
        rocksdb::PinnableSlice value;
        const Status status =
            engine->db->Get(engine->latest.keyReads(), data, all->key(), &value);
        if (status.IsNotFound()) return clearedVersion();
        if (!status.ok()) return stele::failureOf(status);
    }
    return stele::failureOf(all->status());
}

Status stele_batch::noteCleared(const Slice &from, const Slice &to) {
    rocksdb::ColumnFamilyHandle *data = engine->families[stele::kData];
    const auto note = [&](const Slice &key) {
        const Slice user = stele::userKey(key);
        if (!stele::isWithin(user, from, to)) return;
        uint64_t &newest = cleared[user.ToString()];
        newest = std::max(newest, stele::timestampOf(key));
    };
    stele::Puts collect(data->GetID(), note);
    const Status status = writes.Iterate(&collect);
    if (!status.ok()) return status;
    std::unique_ptr<rocksdb::Iterator> all(
        engine->db->NewIterator(engine->latest.rangeReads(), data));
    std::string key;
    for (all->Seek(stele::versionKey(key, from, stele::kNewest));
         all->Valid() && stele::isWithin(stele::userKey(all->key()), from, to); all->Next()) {
        note(all->key());
    }
    return all->status();
}

Status stele_batch::putVersion(
    const Slice &user, uint64_t timestamp, stele::VersionKind kind, uint64_t transaction,
    const Slice &value) {
    char time[stele::kTimestampBytes];
    char header[stele::kVersionHeaderBytes];
    stele::encodeTimestamp(timestamp, time);
    stele::encodeVersionHeader(kind, transaction, header);
    const Slice key[] = {user, Slice(time, sizeof time)};
    const Slice stored[] = {Slice(header, sizeof header), value};
    if (puts) (*puts)[user.ToString()].push_back(timestamp);
    stripes.push_back(stele::Rows::stripe(user));
    return writes.Put(
        engine->families[stele::kData], rocksdb::SliceParts(key, 2),
        rocksdb::SliceParts(stored, 2));
}

// One by one: a range tombstone a key would slow down every read until compactions have met it.
Status stele_batch::dropVersions(const Slice &user, uint64_t timestamp) {
    rocksdb::ColumnFamilyHandle *data = engine->families[stele::kData];
    Status status;
    stripes.push_back(stele::Rows::stripe(user));
    if (!puts) {
        puts.emplace();
        stele::Puts collect(data->GetID(), [this](const Slice &key) {
            (*puts)[stele::userKey(key).ToString()].push_back(stele::timestampOf(key));
        });
        status = writes.Iterate(&collect);
    }
    if (status.ok() && !versions) {
        versions.reset(engine->db->NewIterator(engine->latest.keyReads(), data));
    }
    if (!status.ok()) return status;
    const auto own = puts->find(user.ToString());
    if (own != puts->end()) {
        for (const uint64_t put : own->second) {
            if (put > timestamp) continue;
            status = writes.Delete(data, stele::versionKey(start, user, put));
            if (!status.ok()) return status;
        }
    }
    versions->Seek(stele::versionKey(start, user, timestamp));
    for (; versions->Valid() && stele::userKey(versions->key()) == user; versions->Next()) {
        status = writes.Delete(data, versions->key());
        if (!status.ok()) return status;
    }
    return versions->status();
}

Status stele_batch::lastKey(size_t family, std::string *last, bool *isFound) const {
    rocksdb::ColumnFamilyHandle *handle = engine->families[family];
    const rocksdb::Comparator *order = handle->GetComparator();
    *isFound = false;
    stele::Puts collect(handle->GetID(), [&](const Slice &key) {
        if (*isFound && order->Compare(key, *last) <= 0) return;
        last->assign(key.data(), key.size());
        *isFound = true;
    });
    Status status = writes.Iterate(&collect);
    if (!status.ok()) return status;
    std::unique_ptr<rocksdb::Iterator> iterator(
        engine->db->NewIterator(engine->latest.rangeReads(), handle));
    iterator->SeekToLast();
    if (!iterator->status().ok() || !iterator->Valid()) return iterator->status();
    if (!*isFound || order->Compare(iterator->key(), *last) > 0) {
        *last = iterator->key().ToString();
        *isFound = true;
    }
    return Status::OK();
}

// A range tombstone needs an end. For the end of the keyspace that is just behind the last key
// there is, in the store or in the batch so far: everything later is put after the tombstone.
Status stele_batch::clearVersions(const Slice &from, const Slice &to) {
    std::string behind;
    if (to.empty()) {
        bool isFound;
        const Status status = lastKey(stele::kData, &behind, &isFound);
        if (!status.ok() || !isFound) return status;
        behind = stele::userKey(behind).ToString() + '\0';
    }
    const Slice bound = to.empty() ? Slice(behind) : to;
    if (from.compare(bound) >= 0) return Status::OK();
    if (engine->checksHistory) {
        const Status status = noteCleared(from, bound);
        if (!status.ok()) return status;
    }
    ++clears;
    return writes.DeleteRange(
        engine->families[stele::kData], stele::versionKey(start, from, stele::kNewest),
        stele::versionKey(end, bound, stele::kNewest));
}

const std::string *stele_batch::intentOf(const Slice &user) const {
    const auto changed = intents.find(user);
    if (changed != intents.end()) return changed->second ? &*changed->second : nullptr;
    const stele::IntentMap &stored = engine->intents.latest();
    const auto found = stored.find(user);
    return found == stored.end() ? nullptr : &found->second;
}

Status stele_batch::putIntent(const Slice &user, const Slice &intent) {
    intents.insert_or_assign(user.ToString(), intent.ToString());
    return writes.Put(engine->families[stele::kLocks], user, intent);
}

Status stele_batch::deleteIntent(const Slice &user) {
    intents.insert_or_assign(user.ToString(), std::nullopt);
    return writes.Delete(engine->families[stele::kLocks], user);
}

bool stele_batch::hasIntent(const Slice &user, uint64_t transaction) const {
    const std::string *stored = intentOf(user);
    stele::StoredIntent intent;
    return stored != nullptr && stele::decodeIntent(*stored, &intent)
        && intent.transaction == transaction;
}

Status stele_batch::removeIntent(const Slice &user, uint64_t transaction) {
    return hasIntent(user, transaction) ? deleteIntent(user) : Status::OK();
}

Status stele_batch::resolveIntent(const Slice &user, uint64_t transaction, uint64_t timestamp) {
    const std::string *stored = intentOf(user);
    stele::StoredIntent intent;
    if (stored == nullptr || !stele::decodeIntent(*stored, &intent)) return Status::OK();
    if (intent.transaction != transaction) return Status::OK();
    const Status status = putVersion(user, timestamp, intent.kind, transaction, intent.value);
    return status.ok() ? deleteIntent(user) : status;
}

// Intents are few, and range tombstones are dear.
Status stele_batch::clearIntents(const Slice &from, const Slice &to) {
    for (const std::string &key :
         stele::removeWithin(engine->intents.latest(), intents, from, to)) {
        const Status status = writes.Delete(engine->families[stele::kLocks], key);
        if (!status.ok()) return status;
    }
    return Status::OK();
}

Status stele_batch::putPlain(size_t family, const Slice &key, const Slice &value) {
    return writes.Put(engine->families[family], key, value);
}

Status stele_batch::deletePlain(size_t family, const Slice &key) {
    if (family == stele::kLocal && stele::isWatermarkKey(key)) {
        watermarks.insert_or_assign(key.ToString(), std::nullopt);
    }
    return writes.Delete(engine->families[family], key);
}

Status stele_batch::clearPlain(size_t family, const Slice &from, const Slice &to) {
    if (!to.empty() && from.compare(to) >= 0) return Status::OK();
    if (family == stele::kLocks) return clearIntents(from, to);
    if (family == stele::kLocal) {
        stele::removeWithin(engine->watermarks.latest(), watermarks, from, to);
    }
    std::string behind;
    if (to.empty()) {
        bool isFound;
        const Status status = lastKey(family, &behind, &isFound);
        if (!status.ok() || !isFound) return status;
        behind += '\0';
    }
    const Slice bound = to.empty() ? Slice(behind) : to;
    if (from.compare(bound) >= 0) return Status::OK();
    return writes.DeleteRange(engine->families[family], from, bound);
}

Status stele_batch::raiseWatermark(
    uint64_t tablet, uint64_t replica, uint64_t timestamp, const Slice &from, const Slice &to) {
    std::string key;
    for (const uint64_t part : {__builtin_bswap64(tablet), __builtin_bswap64(replica)}) {
        key.append(reinterpret_cast<const char *>(&part), sizeof part);
    }
    key += stele::kWatermarkItem;
    stele::Watermark mark{timestamp, from.ToString(), to.ToString()};
    const auto changed = watermarks.find(key);
    const stele::WatermarkTable &stored = engine->watermarks.latest();
    const auto found = stored.find(key);
    if (changed != watermarks.end()) {
        if (changed->second) mark.timestamp = std::max(timestamp, changed->second->timestamp);
    } else if (found != stored.end()) {
        mark.timestamp = std::max(timestamp, found->second.timestamp);
    }
    const Status status = writes.Put(engine->families[stele::kLocal], key, mark.encoded());
    watermarks.insert_or_assign(std::move(key), std::move(mark));
    return status;
}

Status stele_batch::write() {
    rocksdb::WriteOptions options;
    options.disableWAL = true;
    options.no_slowdown = true;
    const Status status = engine->db->Write(options, &writes);
    if (clears > 0) {
        engine->clears.fetch_add(1);
        engine->rows->touchAll();
    }
    engine->writes.fetch_add(1);
    engine->rows->touch(stripes);
    if (status.ok() && !watermarks.empty()) engine->watermarks.apply(watermarks);
    return status;
}

Status stele_batch::commit() {
    if (writes.Count() == 0) return Status::OK();
    if (intents.empty() && watermarks.empty()) return write();
    const std::lock_guard<std::mutex> guard(engine->intentWrites);
    const stele::OddEpoch epoch(*engine);
    const Status status = write();
    if (status.ok()) engine->intents.apply(intents);
    return status;
}

void stele_batch::clear() {
    clears = 0;
    cleared.clear();
    intents.clear();
    watermarks.clear();
    puts.reset();
    versions.reset();
    if (writes.GetDataSize() > stele::kKeptBatchBytes) {
        writes = rocksdb::WriteBatch();
        stripes = std::vector<uint32_t>();
    } else {
        writes.Clear();
        stripes.clear();
    }
}
