// Rows: the newest versions of keys that were read, kept so that reading them again looks neither
// into RocksDB nor onto the heap.
//
// Keys are dealt out to stripes, each with a stamp. A write raises the stamps of the keys that it
// touches after it is visible and before its caller is told; a read notes the stamp of its key
// before it looks at the store, and the row that it keeps bears it.
//
// Invariant: a row bears the present stamp of its key only if no write of the key ended since the
// row was read, so it is then what a look into the store would find, or would have found while a
// write that still runs was not visible. Rows of earlier stamps are dead, and leave with age.

#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include <rocksdb/cache.h>

#include "CRocksDB.h"
#include "VersionKey.hpp"

namespace stele {

// Lets other threads run at a place where that must do no harm; in debug builds, for the tests.
inline void interleave() {
#ifdef DEBUG
    std::this_thread::yield();
#endif
}

class Rows {
public:
    // What a row takes at most, with its key: as much as a block, beyond which copying costs more
    // than looking it up.
    static constexpr size_t kLongestKey = 495;
    static constexpr size_t kLargestRow = 16 << 10;

    explicit Rows(std::shared_ptr<rocksdb::Cache> cache);

    static bool admits(const rocksdb::Slice &user) { return user.size() <= kLongestKey; }

    // For the writer: what has become visible.
    static uint32_t stripe(const rocksdb::Slice &user);
    void touch(const std::vector<uint32_t> &stripes);
    void touchAll() { generation_.fetch_add(1, std::memory_order_release); }

private:
    friend class RowRead;

    // Both only ever rise, so their sum is the same again only if both are.
    uint64_t stamp(uint32_t stripe) const {
        return stamps_[stripe].load(std::memory_order_acquire)
            + generation_.load(std::memory_order_acquire);
    }

    const std::shared_ptr<rocksdb::Cache> cache_;
    // Tells the rows of this store from others in the same cache.
    const uint64_t store_;
    const std::unique_ptr<std::atomic<uint64_t>[]> stamps_;
    std::atomic<uint64_t> generation_{0};
};

// One read of one key of the latest state: finds its row, or keeps one of what the store shows.
//
// Must be made before anything of the store is looked at.
class RowRead {
public:
    // `user` is one that rows admit.
    RowRead(Rows &rows, const rocksdb::Slice &user);
    ~RowRead();

    RowRead(const RowRead &) = delete;
    RowRead &operator=(const RowRead &) = delete;

    // Describes the newest version of the key, if a row of it is alive; good as long as this lives.
    bool find(stele_found *found);
    // Keeps the newest version of the key, as the store showed it since this was made.
    void keep(const stele_found &newest);

private:
    static constexpr size_t kPrefixBytes = sizeof(uint64_t);

    rocksdb::Slice name() const { return rocksdb::Slice(name_, nameCount_); }

    Rows &rows_;
    const uint32_t stripe_;
    const uint64_t stamp_;
    rocksdb::Cache::Handle *handle_ = nullptr;
    size_t nameCount_;
    char name_[kPrefixBytes + Rows::kLongestKey];
};

}  // namespace stele
