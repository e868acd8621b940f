#include "Watermarks.hpp"

#include <algorithm>
#include <set>

namespace stele {

namespace {

constexpr char kWatermarkVersion = 1;
constexpr size_t kWatermarkHeaderBytes = 17;

// Sees the versions of a compaction key by key, each key's newest first.
class Collector final : public rocksdb::CompactionFilter {
public:
    explicit Collector(std::shared_ptr<const WatermarkSegments> watermarks)
        : watermarks_(std::move(watermarks)) {}

    const char *Name() const override { return "stele.collector"; }

    Decision FilterV2(
        int, const rocksdb::Slice &key, ValueType type, const rocksdb::Slice &, std::string *,
        std::string *) const override {
        if (type != ValueType::kValue) return Decision::kKeep;
        const rocksdb::Slice user = userKey(key);
        if (!hasUser_ || rocksdb::Slice(user_) != user) {
            user_.assign(user.data(), user.size());
            hasUser_ = true;
            watermark_ = watermarks_->of(user);
            isNewestKept_ = false;
        }
        if (timestampOf(key) > watermark_) return Decision::kKeep;
        if (isNewestKept_) return Decision::kRemove;
        isNewestKept_ = true;
        return Decision::kKeep;
    }

private:
    const std::shared_ptr<const WatermarkSegments> watermarks_;
    // A filter is made for one compaction and called by one thread.
    mutable std::string user_;
    mutable bool hasUser_ = false;
    mutable uint64_t watermark_ = 0;
    // Whether the newest version at or below the watermark has been met.
    mutable bool isNewestKept_ = false;
};

void append(std::string &bytes, const void *value, size_t count) {
    bytes.append(static_cast<const char *>(value), count);
}

}  // namespace

std::string Watermark::encoded() const {
    const uint32_t startCount = static_cast<uint32_t>(start.size());
    const uint32_t endCount = static_cast<uint32_t>(end.size());
    std::string bytes(1, kWatermarkVersion);
    append(bytes, &timestamp, sizeof timestamp);
    append(bytes, &startCount, sizeof startCount);
    append(bytes, &endCount, sizeof endCount);
    return bytes + start + end;
}

std::optional<Watermark> Watermark::decode(const rocksdb::Slice &bytes) {
    if (bytes.size() < kWatermarkHeaderBytes || bytes[0] != kWatermarkVersion) return std::nullopt;
    Watermark result;
    uint32_t startCount;
    uint32_t endCount;
    std::memcpy(&result.timestamp, bytes.data() + 1, 8);
    std::memcpy(&startCount, bytes.data() + 9, 4);
    std::memcpy(&endCount, bytes.data() + 13, 4);
    if (bytes.size() - kWatermarkHeaderBytes != size_t{startCount} + endCount) return std::nullopt;
    result.start.assign(bytes.data() + kWatermarkHeaderBytes, startCount);
    result.end.assign(bytes.data() + kWatermarkHeaderBytes + startCount, endCount);
    return result;
}

// Sweeps over the bounds in order, keeping the watermarks of the ranges that are open.
WatermarkSegments::WatermarkSegments(const WatermarkTable &table) {
    struct Bound {
        const std::string *key;
        uint64_t timestamp;
        bool isStart;
    };
    std::vector<Bound> bounds;
    for (const auto &[key, mark] : table) {
        if (!mark.end.empty() && mark.start >= mark.end) continue;
        bounds.push_back({&mark.start, mark.timestamp, true});
        if (!mark.end.empty()) bounds.push_back({&mark.end, mark.timestamp, false});
    }
    std::sort(bounds.begin(), bounds.end(), [](const Bound &a, const Bound &b) {
        return ByteOrder::compare(*a.key, *b.key) < 0;
    });
    std::multiset<uint64_t> open;
    for (size_t index = 0; index < bounds.size();) {
        const std::string &key = *bounds[index].key;
        for (; index < bounds.size() && *bounds[index].key == key; ++index) {
            if (bounds[index].isStart) {
                open.insert(bounds[index].timestamp);
            } else {
                open.erase(open.find(bounds[index].timestamp));
            }
        }
        const uint64_t timestamp = open.empty() ? 0 : *open.rbegin();
        if (segments.empty() || segments.back().timestamp != timestamp) {
            segments.push_back({key, timestamp});
        }
    }
}

size_t WatermarkSegments::countUpTo(const rocksdb::Slice &user) const {
    return static_cast<size_t>(
        std::upper_bound(
            segments.begin(), segments.end(), user,
            [](const rocksdb::Slice &key, const Segment &segment) {
                return key.compare(segment.start) < 0;
            })
        - segments.begin());
}

uint64_t WatermarkSegments::of(const rocksdb::Slice &user) const {
    const size_t count = countUpTo(user);
    return count == 0 ? 0 : segments[count - 1].timestamp;
}

uint64_t WatermarkSegments::greatest(
    const rocksdb::Slice &start, const rocksdb::Slice &end) const {
    uint64_t result = of(start);
    for (size_t index = countUpTo(start); index < segments.size(); ++index) {
        if (!end.empty() && end.compare(segments[index].start) <= 0) break;
        result = std::max(result, segments[index].timestamp);
    }
    return result;
}

const std::shared_ptr<const WatermarkSegments> &Watermarks::segments() const {
    if (!applied_) applied_ = std::make_shared<WatermarkSegments>(table_);
    return applied_;
}

std::shared_ptr<const WatermarkSegments> Watermarks::applied() const {
    const std::lock_guard<std::mutex> guard(mutex_);
    return segments();
}

std::shared_ptr<const WatermarkSegments> Watermarks::flushed() const {
    const std::lock_guard<std::mutex> guard(mutex_);
    return flushed_;
}

uint64_t Watermarks::flushedChanges() const {
    const std::lock_guard<std::mutex> guard(mutex_);
    return flushedChanges_;
}

void Watermarks::apply(const WatermarkChanges &changes) {
    const std::lock_guard<std::mutex> guard(mutex_);
    for (const auto &[key, mark] : changes) {
        if (isRetreat(key, mark)) retreat(2);
        if (mark) {
            table_.insert_or_assign(key, *mark);
        } else {
            table_.erase(key);
        }
    }
    if (!changes.empty()) tableChanged();
}

bool Watermarks::isRetreat(
    const std::string &key, const std::optional<Watermark> &mark) const {
    const auto before = table_.find(key);
    if (before == table_.end()) return false;
    return !mark || mark->timestamp < before->second.timestamp
        || mark->start != before->second.start || mark->end != before->second.end;
}

void Watermarks::retreat(uint64_t steps) {
    retreats_ += steps;
    flushed_.reset();
    ++flushedChanges_;
}

Watermarks::Flush Watermarks::beginFlush() const {
    const std::lock_guard<std::mutex> guard(mutex_);
    return {segments(), retreats_};
}

void Watermarks::endFlush(const Flush &flush) {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (flush.retreats != retreats_ || retreats_ % 2 != 0 || flushed_ == flush.segments) return;
    flushed_ = flush.segments;
    ++flushedChanges_;
}

void Watermarks::beginRetreat() {
    const std::lock_guard<std::mutex> guard(mutex_);
    retreat(1);
}

void Watermarks::endRetreat() {
    const std::lock_guard<std::mutex> guard(mutex_);
    retreat(1);
}

rocksdb::Status Watermarks::load(rocksdb::DB &db, rocksdb::ColumnFamilyHandle *local) {
    WatermarkTable loaded;
    rocksdb::ReadOptions options;
    options.total_order_seek = true;
    std::unique_ptr<rocksdb::Iterator> iterator(db.NewIterator(options, local));
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
        if (!isWatermarkKey(iterator->key())) continue;
        std::optional<Watermark> mark = Watermark::decode(iterator->value());
        if (!mark) return rocksdb::Status::Corruption("a stored watermark has an unknown form");
        loaded.emplace_hint(loaded.end(), iterator->key().ToString(), std::move(*mark));
    }
    if (!iterator->status().ok()) return iterator->status();
    const std::lock_guard<std::mutex> guard(mutex_);
    table_ = std::move(loaded);
    tableChanged();
    return rocksdb::Status::OK();
}

void Watermarks::tableChanged() {
    applied_.reset();
    uint64_t greatest = 0;
    for (const auto &[key, mark] : table_) greatest = std::max(greatest, mark.timestamp);
    greatest_.store(greatest, std::memory_order_release);
}

std::unique_ptr<rocksdb::CompactionFilter> CollectorFactory::CreateCompactionFilter(
    const rocksdb::CompactionFilter::Context &) {
    std::shared_ptr<const WatermarkSegments> watermarks = watermarks_.flushed();
    if (!watermarks || watermarks->isEmpty()) return nullptr;
    return std::make_unique<Collector>(std::move(watermarks));
}

}  // namespace stele
