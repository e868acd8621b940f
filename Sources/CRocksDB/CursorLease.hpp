// Borrowing a reused iterator for one read.

#pragma once

#include <optional>

#include <rocksdb/perf_context.h>

#include "Engine.hpp"

namespace stele {

// Holds one of a reader's cursors for the duration of a read, with the intents of the same moment.
// A read of the latest state that finds all of them taken by other threads gets one of its own
// instead of waiting. One of a snapshot waits: only the iterators made with it show all of it.
class CursorLease {
public:
    CursorLease(stele_reader &reader, Cursors &shared)
        : reader_(reader), engine_(*reader.engine), isKey_(&shared == &reader.keyCursors) {
        if (reader.snapshot != nullptr) {
            take(shared.at[0]);
            if (!lock_.owns_lock()) lock_.lock();
        } else {
            const size_t first = Cursors::place();
            for (size_t step = 0; step < Cursors::kCount && !lock_.owns_lock(); ++step) {
                take(shared.at[(first + step) % Cursors::kCount]);
            }
            if (!lock_.owns_lock()) cursor_ = &own_.emplace();
        }
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

    // null: there are none.
    const IntentMap *intents() const { return intents_.get(); }

    // Must be called, and have succeeded, before anything is read: of what is visible at
    // `timestamp` or later, if the watermark is checked.
    Failure open(uint64_t timestamp) {
        if (reader_.snapshot != nullptr) {
            intents_ = reader_.intents;
            watermarks_ = reader_.watermarks;
            return Failure();
        }
        const uint64_t epoch = engine_.intentEpoch.load();
        if (epoch % 2 == 0) {
            noteState(timestamp);
            const rocksdb::Status status = renew();
            if (!status.ok() || engine_.intentEpoch.load() == epoch) return failureOf(status);
        }
        const std::lock_guard<std::mutex> guard(engine_.intentWrites);
        noteState(timestamp);
        return failureOf(engine_.beforeImport == nullptr ? renew() : create(engine_.beforeImport));
    }

    // Refuses reads of what a compaction may have dropped: by a watermark as of the iterator, for
    // one that went with its replica since has dropped what it dropped; and by one as of now.
    // Compactions that used a watermark raised after this check do not touch what the iterator,
    // opened before, shows.
    Failure checkWatermark(const rocksdb::Slice &key, uint64_t timestamp) const {
        if (watermarks_ && timestamp < watermarks_->of(key)) {
            return refusal(timestamp, watermarks_->of(key));
        }
        if (timestamp >= engine_.watermarks.greatest()) return Failure();
        return refusal(timestamp, engine_.watermarks.applied()->of(key));
    }

    Failure checkWatermark(
        const rocksdb::Slice &start, const rocksdb::Slice &end, uint64_t timestamp) const {
        if (watermarks_ && timestamp < watermarks_->greatest(start, end)) {
            return refusal(timestamp, watermarks_->greatest(start, end));
        }
        if (timestamp >= engine_.watermarks.greatest()) return Failure();
        return refusal(timestamp, engine_.watermarks.applied()->greatest(start, end));
    }

private:
    // Takes a shared cursor if nobody uses it.
    void take(Cursor &shared) {
        lock_ = std::unique_lock<std::mutex>(shared.mutex, std::try_to_lock);
        cursor_ = &shared;
    }

    // What goes with the iterator that is about to be brought to the latest state.
    void noteState(uint64_t timestamp) {
        intents_ = engine_.intents.view();
        watermarks_ = timestamp < engine_.watermarks.greatest() ? engine_.watermarks.applied()
                                                                : nullptr;
    }

    static Failure refusal(uint64_t timestamp, uint64_t watermark) {
        if (timestamp >= watermark) return Failure();
        return failure(
            STELE_BELOW_WATERMARK,
            "timestamp " + std::to_string(timestamp) + " lies below the watermark "
                + std::to_string(watermark) + " of garbage collection");
    }

    // Makes an iterator anew. One with a snapshot serves one read: an import raises `clears`.
    rocksdb::Status create(const rocksdb::Snapshot *snapshot = nullptr) {
        rocksdb::ReadOptions options = isKey_ ? reader_.keyReads() : reader_.rangeReads();
        options.snapshot = snapshot;
        cursor_->iterator.reset();
        cursor_->iterator.reset(engine_.db->NewIterator(options, engine_.families[kData]));
        return cursor_->iterator->status();
    }

    // Brings the iterator to the latest state.
    rocksdb::Status renew() {
        const uint64_t writes = engine_.writes.load();
        const uint64_t clears = engine_.clears.load();
        rocksdb::Status status;
        // RocksDB 7.8 may show keys again that were deleted by a range tombstone since the iterator
        // was made, when it is only refreshed.
        if (!cursor_->iterator || cursor_->clears != clears) {
            status = create();
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

    stele_reader &reader_;
    stele_engine &engine_;
    const bool isKey_;
    std::unique_lock<std::mutex> lock_;
    std::optional<Cursor> own_;
    Cursor *cursor_ = nullptr;
    Intents::View intents_;
    // null: no read is below one.
    std::shared_ptr<const WatermarkSegments> watermarks_;
    uint64_t hits_;
    uint64_t misses_;
};

}  // namespace stele
