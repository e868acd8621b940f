// The open store: database, families, and the iterators that point reads and scans reuse.

#pragma once

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include "CRocksDB.h"
#include "Disk.hpp"
#include "Failure.hpp"
#include "Intents.hpp"
#include "Resources.hpp"
#include "Rows.hpp"
#include "VersionKey.hpp"
#include "Watermarks.hpp"

namespace stele {

// An empty Swift array may come as a null pointer, which a Slice must not hold.
inline rocksdb::Slice slice(stele_bytes bytes) {
    if (bytes.data == nullptr) return rocksdb::Slice();
    return rocksdb::Slice(reinterpret_cast<const char *>(bytes.data), bytes.count);
}

inline stele_bytes bytes(const rocksdb::Slice &slice) {
    return stele_bytes{reinterpret_cast<const uint8_t *>(slice.data()), slice.size()};
}

// The order of the handles: what rocksdb::DB::Open is given. Numbers of plain families are those
// of the mutation list.
enum Family : size_t {
    kLocks = STELE_LOCKS,
    kTransactions = STELE_TRANSACTIONS,
    kLocal = STELE_LOCAL,
    kData = 4,
    kFamilyCount = 5,
};

constexpr const char *kFamilyNames[kFamilyCount] = {"default", "locks", "txns", "local", "data"};

inline bool isPlainFamily(uint8_t family) { return family >= kLocks && family <= kLocal; }

// The item of a replica's applied state: the last byte of its key in `local`, behind tablet and
// replica (8 bytes each); see the Swift `LocalKey`.
constexpr char kAppliedItem = 1;

// Memory that rows are put into; unlike a string's it is not filled when it grows.
class RowBuffer {
public:
    const char *data() const { return bytes_.get(); }
    size_t size() const { return size_; }

    // Adds room for so many bytes, and returns where it begins.
    char *grow(size_t count) {
        if (capacity_ - size_ < count) reserve(size_ + count);
        char *const added = bytes_.get() + size_;
        size_ += count;
        return added;
    }

    // Drops what lies behind the first `size` bytes.
    void shrink(size_t size) { size_ = size; }

    // Gives memory of more than `kept` bytes back, with what is in it.
    void release(size_t kept) {
        if (capacity_ > kept) *this = RowBuffer();
    }

private:
    void reserve(size_t count) {
        const size_t capacity = std::max(count, 2 * capacity_);
        std::unique_ptr<char[]> bytes(new char[capacity]);
        if (size_ > 0) std::memcpy(bytes.get(), bytes_.get(), size_);
        bytes_ = std::move(bytes);
        capacity_ = capacity;
    }

    std::unique_ptr<char[]> bytes_;
    size_t size_ = 0;
    size_t capacity_ = 0;
};

// An iterator over `data` with its scratch memory, reused from read to read.
struct Cursor {
    std::mutex mutex;
    std::unique_ptr<rocksdb::Iterator> iterator;
    // What the iterator shows: the engine's counters when it was last renewed.
    uint64_t writes = 0;
    uint64_t clears = 0;
    std::string user;
    std::string bound;
    RowBuffer rows;
};

// The cursors of one kind, for threads that read at the same time. A snapshot has the first alone.
struct Cursors {
    static constexpr size_t kCount = 4;
    Cursor at[kCount];

    // Where the calling thread begins to look for a free one: mostly at one that no other uses.
    static size_t place();
};

class Events;

}  // namespace stele

// Without a snapshot it shows the latest state, and its iterators are renewed for every read.
struct stele_reader {
    stele_engine *const engine;
    // Whether it fails where a block would have to be read from disk.
    const bool isInMemory = false;
    const rocksdb::Snapshot *snapshot = nullptr;
    // Of the snapshot; null if it has none.
    stele::Intents::View intents;
    std::shared_ptr<const stele::WatermarkSegments> watermarks;
    // For reads of one key: bloom filters in use, bounded to the key's versions.
    stele::Cursors keyCursors;
    // For ranges: in total order.
    stele::Cursors rangeCursors;

    explicit stele_reader(stele_engine *engine, bool isInMemory = false)
        : engine(engine), isInMemory(isInMemory) {}
    ~stele_reader();

    // Makes both iterators of a snapshot, which are the only ones it ever reads through.
    rocksdb::Status openSnapshot();
    rocksdb::ReadOptions keyReads() const;
    rocksdb::ReadOptions rangeReads() const;
    // Lets go of the memtables and files that reused iterators pin.
    void dropIterators();
};

// Invariant: `writes`, `clears` and the stamps of `rows` are raised after a write is visible and
// before its caller is told, so a reader that sees an old number only misses writes that run at the
// same time.
struct stele_engine {
    stele::VersionComparator comparator;
    std::shared_ptr<const rocksdb::SliceTransform> prefix;
    std::string directory;
    stele_resources resources;
    bool checksHistory = false;
    std::unique_ptr<rocksdb::Env> env;
    std::shared_ptr<stele::Events> events;
    stele::Intents intents;
    stele::Watermarks watermarks;
    std::unique_ptr<stele::Rows> rows;
    std::unique_ptr<rocksdb::DB> db;
    std::vector<rocksdb::ColumnFamilyHandle *> families;

    std::atomic<uint64_t> writes{0};
    std::atomic<uint64_t> clears{0};
    // Numbers imports.
    std::atomic<uint64_t> importNumber{0};
    std::atomic<uint64_t> cacheHits{0};
    std::atomic<uint64_t> cacheMisses{0};
    std::atomic<uint64_t> rowHits{0};
    // Held by writes that change intents or watermarks, so that nobody sees what is kept in memory
    // without what is stored. The epoch is odd meanwhile.
    std::mutex intentWrites;
    std::atomic<uint64_t> intentEpoch{0};
    // What there was before files that are being taken in: the epoch is odd all that time, and
    // reads see this instead of waiting for the disk. Guarded by `intentWrites`.
    const rocksdb::Snapshot *beforeImport = nullptr;
    // Held while files are taken in, and while a snapshot is made.
    std::mutex imports;

    stele_reader latest{this};
    stele_reader inMemory{this, true};

    ~stele_engine();

    // Where files are prepared that the store takes in.
    std::string importDirectory() const { return directory + "/import"; }
    // Reads what is kept in memory of `locks` and `local`, when the store is opened.
    rocksdb::Status loadDerived();
};

namespace stele {

// Keeps the epoch odd; with `intentWrites` held.
class OddEpoch {
public:
    explicit OddEpoch(stele_engine &engine) : engine_(engine) { engine_.intentEpoch.fetch_add(1); }
    ~OddEpoch() { engine_.intentEpoch.fetch_add(1); }

    OddEpoch(const OddEpoch &) = delete;
    OddEpoch &operator=(const OddEpoch &) = delete;

private:
    stele_engine &engine_;
};

}  // namespace stele
