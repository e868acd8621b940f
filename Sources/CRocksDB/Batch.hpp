// A write batch, with what it changes of the state that is kept in memory.

#pragma once

#include <unordered_map>

#include <rocksdb/write_batch.h>

#include "Engine.hpp"

// Invariant: `intents` and `watermarks` say what the batch changes of the families `locks` and
// `local`, so that a mutation can depend on those before it.
struct stele_batch {
    stele_engine *engine;
    rocksdb::WriteBatch writes;

    rocksdb::Status putVersion(
        const rocksdb::Slice &user, uint64_t timestamp, stele::VersionKind kind,
        uint64_t transaction, const rocksdb::Slice &value);
    // Fails, if the store was opened to check that, for a version at or below a watermark or a
    // version that was cleared.
    stele::Failure checkHistory(const rocksdb::Slice &user, uint64_t timestamp) const;
    // Drops the versions of a key at or below `timestamp`.
    rocksdb::Status dropVersions(const rocksdb::Slice &user, uint64_t timestamp);
    // Drops all versions of a range of user keys.
    rocksdb::Status clearVersions(const rocksdb::Slice &start, const rocksdb::Slice &end);

    // `intent` has been checked.
    rocksdb::Status putIntent(const rocksdb::Slice &user, const rocksdb::Slice &intent);
    // Whether the intent of a key is the transaction's.
    bool hasIntent(const rocksdb::Slice &user, uint64_t transaction) const;
    // Removes it if so.
    rocksdb::Status removeIntent(const rocksdb::Slice &user, uint64_t transaction);
    // Makes it a version at `timestamp`, too.
    rocksdb::Status resolveIntent(
        const rocksdb::Slice &user, uint64_t transaction, uint64_t timestamp);

    rocksdb::Status putPlain(
        size_t family, const rocksdb::Slice &key, const rocksdb::Slice &value);
    rocksdb::Status deletePlain(size_t family, const rocksdb::Slice &key);
    rocksdb::Status clearPlain(
        size_t family, const rocksdb::Slice &start, const rocksdb::Slice &end);
    // Sets a watermark and its range, but never to an earlier timestamp.
    rocksdb::Status raiseWatermark(
        uint64_t tablet, uint64_t replica, uint64_t timestamp, const rocksdb::Slice &start,
        const rocksdb::Slice &end);

    rocksdb::Status commit();
    void clear();

private:
    // The intent of a key as of this batch; null if it has none.
    const std::string *intentOf(const rocksdb::Slice &user) const;
    rocksdb::Status deleteIntent(const rocksdb::Slice &user);
    rocksdb::Status clearIntents(const rocksdb::Slice &start, const rocksdb::Slice &end);
    // The watermark of a key as of this batch.
    uint64_t watermarkOf(const rocksdb::Slice &user) const;
    // Remembers what a clear of a range drops, for the rest of the batch.
    rocksdb::Status noteCleared(const rocksdb::Slice &start, const rocksdb::Slice &end);
    // The greatest key of a family in the store and in the batch; false if there is none.
    rocksdb::Status lastKey(size_t family, std::string *last, bool *isFound) const;
    rocksdb::Status write();

    stele::IntentChanges intents;
    stele::WatermarkChanges watermarks;
    uint64_t clears = 0;
    // The newest version of each key that the batch clears; only where that is checked.
    std::map<std::string, uint64_t, stele::ByteOrder> cleared;
    // Of the keys whose versions the batch changes, other than by clearing ranges.
    std::vector<uint32_t> stripes;
    // Timestamps of the versions that the batch puts, by user key; collected once one is dropped.
    std::optional<std::unordered_map<std::string, std::vector<uint64_t>>> puts;
    std::unique_ptr<rocksdb::Iterator> versions;
    std::string start;
    std::string end;
};
