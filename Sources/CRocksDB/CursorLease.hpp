// Borrowing a reused iterator for one read.

#pragma once

#include <optional>

#include <rocksdb/perf_context.h>

#include "Engine.hpp"

namespace stele {

// Holds one of the engine's cursors, renewed to the latest state, for the duration of a read. A
// read that finds it taken by another thread gets a cursor of its own instead of waiting.
class CursorLease {
public:
    CursorLease(stele_engine &engine, Cursor &shared)
        : engine_(engine), isKey_(&shared == &engine.keyCursor),
          lock_(shared.mutex, std::try_to_lock) {
        cursor_ = lock_.owns_lock() ? &shared : &own_.emplace();
        const rocksdb::PerfContext &counts = *rocksdb::get_perf_context();
        hits_ = counts.block_cache_hit_count;
        misses_ = counts.block_read_count;
    }

    // RocksDB counts by thread; a difference of zero is the common case for misses.
    ~CursorLease() {
        const rocksdb::PerfContext &counts = *rocksdb::get_perf_context();
        const uint64_t hits = counts.block_cache_hit_count - hits_;
        const uint64_t misses = counts.block_read_count - misses_;
        if (hits != 0) engine_.cacheHits.fetch_add(hits, std::memory_order_relaxed);
        if (misses != 0) engine_.cacheMisses.fetch_add(misses, std::memory_order_relaxed);
    }

    CursorLease(const CursorLease &) = delete;
    CursorLease &operator=(const CursorLease &) = delete;

    Cursor *operator->() { return cursor_; }
    Cursor &operator*() { return *cursor_; }

    // Must be called, and have succeeded, before the iterator is used.
    rocksdb::Status renew() {
        const uint64_t writes = engine_.writes.load();
        const uint64_t clears = engine_.clears.load();
        rocksdb::Status status;
        // RocksDB 7.8 may show keys again that were deleted by a range tombstone since the iterator
        // was made, when it is only refreshed.
        if (!cursor_->iterator || cursor_->clears != clears) {
            cursor_->iterator.reset();
            cursor_->iterator.reset(engine_.db->NewIterator(
                isKey_ ? engine_.keyReads() : engine_.rangeReads(), engine_.families[kData]));
        } else if (cursor_->writes != writes) {
            status = cursor_->iterator->Refresh();
        }
        if (!status.ok()) {
            cursor_->iterator.reset();
            return status;
        }
        cursor_->writes = writes;
        cursor_->clears = clears;
        return status;
    }

private:
    stele_engine &engine_;
    const bool isKey_;
    std::unique_lock<std::mutex> lock_;
    std::optional<Cursor> own_;
    Cursor *cursor_;
    uint64_t hits_;
    uint64_t misses_;
};

}  // namespace stele
