// Readers: the latest state, and snapshots.

#include <atomic>

#include "Engine.hpp"

size_t stele::Cursors::place() {
    static std::atomic<size_t> threads{0};
    static thread_local const size_t number = threads.fetch_add(1, std::memory_order_relaxed);
    return number % kCount;
}

rocksdb::ReadOptions stele_reader::keyReads() const {
    rocksdb::ReadOptions options;
    options.snapshot = snapshot;
    options.prefix_same_as_start = true;
    if (isInMemory) options.read_tier = rocksdb::kBlockCacheTier;
    options.background_purge_on_iterator_cleanup = true;
    return options;
}

rocksdb::ReadOptions stele_reader::rangeReads() const {
    rocksdb::ReadOptions options;
    options.snapshot = snapshot;
    options.total_order_seek = true;
    if (isInMemory) options.read_tier = rocksdb::kBlockCacheTier;
    options.background_purge_on_iterator_cleanup = true;
    return options;
}

rocksdb::Status stele_reader::openSnapshot() {
    rocksdb::ColumnFamilyHandle *data = engine->families[stele::kData];
    stele::Cursor &keys = keyCursors.at[0];
    stele::Cursor &ranges = rangeCursors.at[0];
    keys.iterator.reset(engine->db->NewIterator(keyReads(), data));
    ranges.iterator.reset(engine->db->NewIterator(rangeReads(), data));
    const rocksdb::Status status = keys.iterator->status();
    return status.ok() ? ranges.iterator->status() : status;
}

void stele_reader::dropIterators() {
    for (stele::Cursors *cursors : {&keyCursors, &rangeCursors}) {
        for (stele::Cursor &cursor : cursors->at) {
            const std::lock_guard<std::mutex> guard(cursor.mutex);
            cursor.iterator.reset();
        }
    }
}

stele_reader::~stele_reader() {
    dropIterators();
    if (snapshot != nullptr) engine->db->ReleaseSnapshot(snapshot);
}

stele_reader *stele_engine_latest(stele_engine *engine) { return &engine->latest; }

stele_reader *stele_engine_in_memory(stele_engine *engine) { return &engine->inMemory; }

stele_code stele_snapshot_create(
    stele_engine *engine, stele_reader **snapshot, char **message) {
    return stele::guarded(message, [&]() -> stele::Failure {
        // Compactions take no notice of snapshots when they collect: one that is given a later
        // watermark than there was at the snapshot could take what only that still sees. They
        // cannot touch the files that an open iterator holds; see Export.cpp.
        const std::lock_guard<std::mutex> alone(engine->imports);
        while (true) {
            const auto before = engine->watermarks.flushedChanges();
            auto created = std::make_unique<stele_reader>(engine);
            {
                const std::lock_guard<std::mutex> guard(engine->intentWrites);
                created->intents = engine->intents.view();
                created->watermarks = engine->watermarks.applied();
                created->snapshot = engine->db->GetSnapshot();
            }
            const rocksdb::Status status = created->openSnapshot();
            if (!status.ok()) return stele::failureOf(status);
            if (engine->watermarks.flushedChanges() != before) continue;
            *snapshot = created.release();
            return stele::Failure();
        }
    });
}

void stele_snapshot_free(stele_reader *snapshot) { delete snapshot; }

stele_code stele_engine_compact(
    stele_engine *engine, stele_bytes start, stele_bytes end, char **message) {
    return stele::guarded(message, [&]() {
        std::string from;
        std::string to;
        const rocksdb::Slice first =
            stele::versionKey(from, stele::slice(start), stele::kNewest);
        const rocksdb::Slice last = stele::versionKey(to, stele::slice(end), stele::kNewest);
        rocksdb::CompactRangeOptions options;
        options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
        const rocksdb::Status status = engine->db->CompactRange(
            options, engine->families[stele::kData], &first, end.count == 0 ? nullptr : &last);
        engine->latest.dropIterators();
        engine->inMemory.dropIterators();
        return stele::failureOf(status);
    });
}
