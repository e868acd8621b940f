// Reads of key ranges: scans in both directions, and the search for changes.
//
// Steps between versions and keys are taken one by one at first, which is cheap when versions are
// few, and by seeking after kSteps of them, so that a key with many versions costs one seek.

#include "CursorLease.hpp"

rocksdb::ReadOptions stele_engine::rangeReads() const {
    rocksdb::ReadOptions options;
    options.total_order_seek = true;
    options.background_purge_on_iterator_cleanup = true;
    return options;
}

namespace stele {
namespace {

constexpr int kSteps = 4;
constexpr size_t kRowHeaderBytes = 16;
constexpr size_t kKeptRowBytes = 4 << 20;

// Moves a leased cursor from user key to user key; the current one is kept in the cursor.
class Walk {
public:
    explicit Walk(Cursor &cursor) : cursor_(cursor), iterator_(*cursor.iterator) {}

    bool isOnCurrentKey() const {
        return iterator_.Valid() && userKey(iterator_.key()) == rocksdb::Slice(cursor_.user);
    }

    void makeCurrent() {
        const rocksdb::Slice user = userKey(iterator_.key());
        cursor_.user.assign(user.data(), user.size());
    }

    void skipForward();
    void skipBackward();

protected:
    Cursor &cursor_;
    rocksdb::Iterator &iterator_;
};

// One scan over a leased cursor; collects rows in the cursor's buffer.
class Scan : public Walk {
public:
    Scan(const stele_scan &scan, Cursor &cursor)
        : Walk(cursor), start_(slice(scan.start)), end_(slice(scan.end)),
          timestamp_(scan.timestamp), maxRows_(scan.max_rows == 0 ? 1 : scan.max_rows),
          maxBytes_(scan.max_bytes) {
        cursor_.rows.clear();
    }

    Failure ascend();
    Failure descend();

    size_t count() const { return count_; }
    // The user key at which a limit ended the scan is then the cursor's current one.
    bool isLimited() const { return isLimited_; }

private:
    bool isVisible() const { return timestampOf(iterator_.key()) <= timestamp_; }

    bool seekVisible();
    bool append();
    bool takeRow(size_t rowStart);

    Failure finish() const {
        return isCorrupt_ ? failure(STELE_CORRUPTION, "a stored version has an unknown form")
                          : failureOf(iterator_.status());
    }

    const rocksdb::Slice start_;
    const rocksdb::Slice end_;
    const uint64_t timestamp_;
    const size_t maxRows_;
    const size_t maxBytes_;
    size_t count_ = 0;
    bool isLimited_ = false;
    bool isCorrupt_ = false;
};

// Goes forward to the first version of the next key.
void Walk::skipForward() {
    for (int step = 0; step < kSteps; ++step) {
        if (!isOnCurrentKey()) return;
        iterator_.Next();
    }
    if (!isOnCurrentKey()) return;
    // The smallest key behind the current one is the same with a zero byte added.
    const std::string next = cursor_.user + '\0';
    iterator_.Seek(versionKey(cursor_.bound, next, kNewest));
}

// Goes backward to the last version of the key before.
void Walk::skipBackward() {
    for (int step = 0; step < kSteps; ++step) {
        if (!isOnCurrentKey()) return;
        iterator_.Prev();
    }
    if (!isOnCurrentKey()) return;
    iterator_.SeekForPrev(versionKey(cursor_.bound, cursor_.user, kNewest));
    if (isOnCurrentKey()) iterator_.Prev();
}

// Goes forward from a version of the current key to its newest visible one, if there is one.
bool Scan::seekVisible() {
    for (int step = 0; step < kSteps; ++step) {
        if (!isOnCurrentKey()) return false;
        if (isVisible()) return true;
        iterator_.Next();
    }
    iterator_.Seek(versionKey(cursor_.bound, cursor_.user, timestamp_));
    return isOnCurrentKey();
}

// Appends the version that the iterator stands on as a row, unless it is a deletion; false if it
// cannot be read.
bool Scan::append() {
    StoredVersion version;
    if (!decodeVersion(iterator_.value(), &version)) {
        isCorrupt_ = true;
        return false;
    }
    if (version.kind == VersionKind::deletion) return true;
    const uint32_t keyCount = static_cast<uint32_t>(cursor_.user.size());
    const uint32_t valueCount = static_cast<uint32_t>(version.value.size());
    const uint64_t timestamp = timestampOf(iterator_.key());
    char header[kRowHeaderBytes];
    std::memcpy(header, &keyCount, sizeof keyCount);
    std::memcpy(header + 4, &valueCount, sizeof valueCount);
    std::memcpy(header + 8, &timestamp, sizeof timestamp);
    cursor_.rows.append(header, sizeof header);
    cursor_.rows.append(cursor_.user);
    cursor_.rows.append(version.value.data(), version.value.size());
    return true;
}

// Counts the row appended since `rowStart`, if any; false, and none left, if it does not fit.
bool Scan::takeRow(size_t rowStart) {
    if (cursor_.rows.size() == rowStart) return true;
    if (count_ > 0 && cursor_.rows.size() > maxBytes_) {
        cursor_.rows.resize(rowStart);
        isLimited_ = true;
        return false;
    }
    ++count_;
    return true;
}

Failure Scan::ascend() {
    iterator_.Seek(versionKey(cursor_.bound, start_, kNewest));
    while (iterator_.Valid()) {
        const rocksdb::Slice user = userKey(iterator_.key());
        if (!end_.empty() && user.compare(end_) >= 0) break;
        makeCurrent();
        if (count_ >= maxRows_) {
            isLimited_ = true;
            break;
        }
        const size_t rowStart = cursor_.rows.size();
        if (seekVisible() && !append()) break;
        if (!takeRow(rowStart)) break;
        skipForward();
    }
    return finish();
}

Failure Scan::descend() {
    if (end_.empty()) {
        iterator_.SeekToLast();
    } else {
        iterator_.SeekForPrev(versionKey(cursor_.bound, end_, kNewest));
        // Only a version of the end itself, with the greatest timestamp, is not before the end.
        if (iterator_.Valid() && userKey(iterator_.key()) == end_) iterator_.Prev();
    }
    while (iterator_.Valid()) {
        if (userKey(iterator_.key()).compare(start_) < 0) break;
        makeCurrent();
        if (count_ >= maxRows_) {
            isLimited_ = true;
            break;
        }
        // The oldest version comes first; each visible one that follows replaces it.
        const size_t rowStart = cursor_.rows.size();
        int step = 0;
        while (isOnCurrentKey() && isVisible()) {
            if (step == kSteps) iterator_.Seek(versionKey(cursor_.bound, cursor_.user, timestamp_));
            cursor_.rows.resize(rowStart);
            if (!append()) return finish();
            if (step == kSteps) break;
            ++step;
            iterator_.Prev();
        }
        if (!takeRow(rowStart)) break;
        skipBackward();
    }
    return finish();
}

Failure readScan(
    stele_engine &engine, const stele_scan &request, void *context, stele_page_sink sink) {
    stele_page page{};
    const rocksdb::Slice end = slice(request.end);
    if (!end.empty() && slice(request.start).compare(end) >= 0) {
        sink(context, &page);
        return Failure();
    }
    CursorLease cursor(engine, engine.rangeCursor);
    const rocksdb::Status status = cursor.renew();
    if (!status.ok()) return failureOf(status);
    Scan scan(request, *cursor);
    const Failure result = request.is_reverse ? scan.descend() : scan.ascend();
    if (result.isFailure()) return result;
    page.rows = bytes(cursor->rows);
    page.count = scan.count();
    page.has_resume_key = scan.isLimited();
    if (scan.isLimited()) page.resume_key = bytes(cursor->user);
    sink(context, &page);
    if (cursor->rows.capacity() > kKeptRowBytes) std::string().swap(cursor->rows);
    return Failure();
}

Failure readFirstChange(
    stele_engine &engine, const rocksdb::Slice &start, const rocksdb::Slice &end,
    uint64_t timestamp, void *context, stele_key_sink sink) {
    if (!end.empty() && start.compare(end) >= 0) return Failure();
    CursorLease cursor(engine, engine.rangeCursor);
    const rocksdb::Status status = cursor.renew();
    if (!status.ok()) return failureOf(status);
    rocksdb::Iterator &iterator = *cursor->iterator;
    iterator.Seek(versionKey(cursor->bound, start, kNewest));
    Walk walk(*cursor);
    while (iterator.Valid()) {
        const rocksdb::Slice user = userKey(iterator.key());
        if (!end.empty() && user.compare(end) >= 0) break;
        // The newest version of a key comes first.
        if (timestampOf(iterator.key()) > timestamp) {
            sink(context, bytes(user));
            return Failure();
        }
        walk.makeCurrent();
        walk.skipForward();
    }
    return failureOf(iterator.status());
}

}  // namespace
}  // namespace stele

stele_code stele_read_scan(
    stele_engine *engine, const stele_scan *scan, void *context, stele_page_sink sink,
    char **message) {
    return stele::guarded(message, [&]() {
        return stele::readScan(*engine, *scan, context, sink);
    });
}

stele_code stele_read_first_change(
    stele_engine *engine, stele_bytes start, stele_bytes end, uint64_t timestamp, void *context,
    stele_key_sink sink, char **message) {
    return stele::guarded(message, [&]() {
        return stele::readFirstChange(
            *engine, stele::slice(start), stele::slice(end), timestamp, context, sink);
    });
}
