// Intents: provisional values of transactions, by user key, at most one a key.
//
// The family `locks` is their durable home. They are also kept in memory, all of them, so that a
// read pays for intents only when there are any, and then a look into a map instead of a seek.
//
// A stored intent: version (1), kind (1), transaction (8), timestamp (8), sequence (4), anchor
// length (4), anchor, value; little-endian. The Swift type `Intent` documents the same.

#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <rocksdb/db.h>

#include "VersionKey.hpp"

namespace stele {

constexpr size_t kIntentHeaderBytes = 26;

struct StoredIntent {
    VersionKind kind;
    uint64_t transaction;
    uint64_t timestamp;
    uint32_t sequence;
    rocksdb::Slice anchor;
    rocksdb::Slice value;
};

// False if the bytes are no intent of a version that we know.
bool decodeIntent(const rocksdb::Slice &bytes, StoredIntent *intent);

// Orders byte strings as RocksDB does, and finds slices without copying them.
struct ByteOrder {
    using is_transparent = void;
    static int compare(const rocksdb::Slice &a, const rocksdb::Slice &b) { return a.compare(b); }
    template <typename A, typename B>
    bool operator()(const A &a, const B &b) const {
        return compare(rocksdb::Slice(a), rocksdb::Slice(b)) < 0;
    }
};

using IntentMap = std::map<std::string, std::string, ByteOrder>;

// What a batch changes: the new intent of a key, or none.
using IntentChanges = std::map<std::string, std::optional<std::string>, ByteOrder>;

inline bool isWithin(
    const rocksdb::Slice &key, const rocksdb::Slice &start, const rocksdb::Slice &end) {
    return key.compare(start) >= 0 && (end.empty() || key.compare(end) < 0);
}

// Adds "none" to the changes of each key of a range, among those stored and those changed.
template <typename Stored, typename Changes>
std::vector<std::string> removeWithin(
    const Stored &stored, Changes &changes, const rocksdb::Slice &start,
    const rocksdb::Slice &end) {
    std::vector<std::string> keys;
    for (auto at = changes.lower_bound(start); at != changes.end(); ++at) {
        if (!isWithin(at->first, start, end)) break;
        if (at->second) keys.push_back(at->first);
    }
    for (auto at = stored.lower_bound(start); at != stored.end(); ++at) {
        if (!isWithin(at->first, start, end)) break;
        if (changes.find(at->first) == changes.end()) keys.push_back(at->first);
    }
    for (const std::string &key : keys) changes.insert_or_assign(key, std::nullopt);
    return keys;
}

// The intents of a store. Invariants: equal to the family `locks` after every write; changed by
// the one writer alone. A view that a reader holds never changes.
class Intents {
    // A map, and how many views of it there are.
    struct Table {
        IntentMap map;
        std::atomic<size_t> views{0};
    };

public:
    // Null: there are none. Letting go of one releases what was read through it to the writer, which
    // the count of a shared pointer does not promise.
    class View {
    public:
        View() = default;
        View(const View &other) : View(other.table_) {}
        View(View &&other) : table_(std::move(other.table_)) {}
        View &operator=(View other) {
            table_.swap(other.table_);
            return *this;
        }
        ~View() {
            if (table_) table_->views.fetch_sub(1, std::memory_order_release);
        }

        const IntentMap *get() const { return table_ ? &table_->map : nullptr; }

    private:
        friend class Intents;
        explicit View(std::shared_ptr<Table> table) : table_(std::move(table)) {
            if (table_) table_->views.fetch_add(1, std::memory_order_relaxed);
        }

        std::shared_ptr<Table> table_;
    };

    View view() const {
        if (count_.load(std::memory_order_acquire) == 0) return View();
        const std::lock_guard<std::mutex> guard(mutex_);
        return View(table_);
    }

    // For the writer.
    const IntentMap &latest() const { return table_->map; }

    void apply(const IntentChanges &changes);
    rocksdb::Status load(rocksdb::DB &db, rocksdb::ColumnFamilyHandle *locks);

private:
    mutable std::mutex mutex_;
    std::shared_ptr<Table> table_ = std::make_shared<Table>();
    std::atomic<size_t> count_{0};
};

}  // namespace stele
