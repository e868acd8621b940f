// What of the replicas' applied states is durable.

#include "Engine.hpp"

namespace stele {
namespace {

constexpr size_t kItemOffset = 16;

bool isAppliedState(const rocksdb::Slice &key) {
    return key.size() == kItemOffset + 1 && key[kItemOffset] == kAppliedItem;
}

// RocksDB looks past its memtables here, at the tables that the synced manifest names. As a batch
// is flushed in all families or in none, the effects of an applied index found there are with it.
Failure readFrontier(
    stele_engine &engine, void *context, void (*sink)(void *, stele_bytes, stele_bytes)) {
    rocksdb::ColumnFamilyHandle *local = engine.families[kLocal];
    std::vector<std::string> keys;
    rocksdb::ReadOptions reads;
    {
        // Those too whose removal is not flushed: a crash brings them back.
        rocksdb::ReadOptions all;
        all.ignore_range_deletions = true;
        std::unique_ptr<rocksdb::Iterator> iterator(engine.db->NewIterator(all, local));
        for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
            if (isAppliedState(iterator->key())) keys.push_back(iterator->key().ToString());
        }
        if (!iterator->status().ok()) return failureOf(iterator->status());
    }
    reads.read_tier = rocksdb::kPersistedTier;
    rocksdb::PinnableSlice value;
    for (const std::string &key : keys) {
        const rocksdb::Status status = engine.db->Get(reads, local, key, &value);
        if (status.IsNotFound()) continue;
        if (!status.ok()) return failureOf(status);
        sink(context, bytes(key), bytes(value));
        value.Reset();
    }
    return Failure();
}

}  // namespace
}  // namespace stele

stele_code stele_engine_frontier(
    stele_engine *engine, void *context, void (*sink)(void *, stele_bytes, stele_bytes),
    char **message) {
    return stele::guarded(message, [&]() {
        // It moves by a flush: iterators that nobody happens to use keep what was flushed in memory.
        engine->latest.dropIterators();
        engine->inMemory.dropIterators();
        return stele::readFrontier(*engine, context, sink);
    });
}
