// Borrowing a reused iterator for one read.

#pragma once

#include <optional>

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
};

}  // namespace stele
