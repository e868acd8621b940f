// Garbage collection: the watermarks of the tablets, and the compaction filter that uses them.
//
// Of each key's versions at or below its tablet's watermark only the newest is still needed, for
// reads at the watermark and later; earlier reads are refused. A watermark is raised by a mutation,
// and stored in `local` under tablet, replica (8 bytes each, big-endian) and item 3 as: version (1),
// timestamp (8), start length (4), end length (4), start, end; little-endian.
//
// Invariant: nothing is written at or below a watermark, nor below versions that were cleared,
// except by replacing a whole range with a later state of the same history. A compaction that meets
// cleared versions cannot tell them from others, and drops what they would have hidden.

#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <rocksdb/compaction_filter.h>
#include <rocksdb/db.h>

#include "Intents.hpp"

namespace stele {

constexpr size_t kLocalKeyBytes = 17;
constexpr char kWatermarkItem = 3;

inline bool isWatermarkKey(const rocksdb::Slice &localKey) {
    return localKey.size() == kLocalKeyBytes && localKey[kLocalKeyBytes - 1] == kWatermarkItem;
}

struct Watermark {
    uint64_t timestamp;
    std::string start;
    // Empty: the end of the keyspace.
    std::string end;

    std::string encoded() const;
    static std::optional<Watermark> decode(const rocksdb::Slice &bytes);
};

using WatermarkTable = std::map<std::string, Watermark, ByteOrder>;
using WatermarkChanges = std::map<std::string, std::optional<Watermark>, ByteOrder>;

// The greatest watermark of each stretch of keys. A stretch reaches to the next one's start.
struct WatermarkSegments {
    struct Segment {
        std::string start;
        uint64_t timestamp;
    };
    std::vector<Segment> segments;

    explicit WatermarkSegments(const WatermarkTable &table);

    bool isEmpty() const { return segments.empty(); }
    uint64_t of(const rocksdb::Slice &user) const;
    uint64_t greatest(const rocksdb::Slice &start, const rocksdb::Slice &end) const;

private:
    size_t countUpTo(const rocksdb::Slice &user) const;
};

// The applied watermarks of a store, and those of them that compactions may use.
//
// Compactions use what was flushed: versions that they drop stay dropped after a crash, so the
// watermark that allowed it must come back too. Where a watermark goes, sinks or leaves keys, with
// its replica or when an import brings a lower one, what was flushed before counts no more: until
// the next flush nothing is collected. Changed by the one writer alone; flushes may run on
// another thread.
class Watermarks {
public:
    // What a flush makes durable, noted before it begins.
    struct Flush {
        std::shared_ptr<const WatermarkSegments> segments;
        uint64_t retreats;
    };

    // The greatest of all; most reads are above it and need to know no more.
    uint64_t greatest() const { return greatest_.load(std::memory_order_acquire); }

    std::shared_ptr<const WatermarkSegments> applied() const;
    std::shared_ptr<const WatermarkSegments> flushed() const;
    // Raised whenever `flushed` becomes another one.
    uint64_t flushedChanges() const;

    // For the writer.
    const WatermarkTable &latest() const { return table_; }

    void apply(const WatermarkChanges &changes);
    Flush beginFlush() const;
    void endFlush(const Flush &flush);
    // Around an ingestion, which shows files to compactions before their watermarks are known.
    void beginRetreat();
    void endRetreat();
    rocksdb::Status load(rocksdb::DB &db, rocksdb::ColumnFamilyHandle *local);

private:
    bool isRetreat(const std::string &key, const std::optional<Watermark> &mark) const;
    void retreat(uint64_t steps);
    void tableChanged();
    const std::shared_ptr<const WatermarkSegments> &segments() const;

    mutable std::mutex mutex_;
    WatermarkTable table_;
    // null after a change, until somebody asks.
    mutable std::shared_ptr<const WatermarkSegments> applied_;
    std::shared_ptr<const WatermarkSegments> flushed_;
    uint64_t flushedChanges_ = 0;
    // Odd during an ingestion. A flush that saw another number, or an odd one, says nothing.
    uint64_t retreats_ = 0;
    std::atomic<uint64_t> greatest_{0};
};

class CollectorFactory final : public rocksdb::CompactionFilterFactory {
public:
    explicit CollectorFactory(const Watermarks &watermarks) : watermarks_(watermarks) {}

    const char *Name() const override { return "stele.collector"; }
    std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
        const rocksdb::CompactionFilter::Context &) override;

private:
    const Watermarks &watermarks_;
};

}  // namespace stele
