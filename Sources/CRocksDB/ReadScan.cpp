// Scans in both directions: the versions of a range merged with its intents.

#include "Walk.hpp"

namespace stele {
namespace {

constexpr size_t kRowHeaderBytes = 16;
constexpr size_t kKeptRowBytes = 1 << 20;

const IntentMap kNoIntents;

// One scan over a leased cursor; collects rows in the cursor's buffer.
//
// Invariant: rows end before the first conflict, at which the scan is to be resumed.
class Scan : public Walk {
public:
    Scan(
        const stele_scan &scan, Cursor &cursor, const IntentMap &intents, void *context,
        stele_conflict_sink conflictSink)
        : Walk(cursor), start_(slice(scan.start)), end_(slice(scan.end)), point_(scan.point),
          newest_(newestOf(scan.point)), maxRows_(std::max<size_t>(scan.max_rows, 1)),
          maxBytes_(scan.max_bytes), maxKeys_(std::max<size_t>(scan.max_keys, 1)),
          maxConflicts_(std::max<size_t>(scan.max_conflicts, 1)),
          maxKeysAfterConflict_(scan.max_keys_after_conflict), intents_(intents),
          context_(context), conflictSink_(conflictSink) {
        cursor_.rows.shrink(0);
    }

    Failure ascend();
    Failure descend();

    size_t count() const { return count_; }
    // Keys that were looked at; one at which a limit ended the scan was not.
    size_t visited() const { return keys_; }
    bool isLimited() const { return isLimited_ || conflicts_ > 0; }
    // Where to go on, if the scan is limited.
    rocksdb::Slice resumeKey() const {
        return conflicts_ > 0 ? rocksdb::Slice(firstConflict_) : current();
    }

private:
    bool isBeforeEnd(const rocksdb::Slice &user) const {
        return end_.empty() || user.compare(end_) < 0;
    }
    bool isVisible() const { return timestamp() <= newest_; }

    bool beginKey();
    bool takeIntent(const std::string &stored);
    bool seekVisible();
    bool takeOldestFirst();
    bool takeVersion(size_t rowStart);
    bool takeRow(size_t rowStart);
    void append(uint64_t timestamp, const rocksdb::Slice &value);
    bool conflict(const stele_found &found);
    bool uncertain(uint64_t timestamp);
    bool fail(const Failure &failure) {
        failure_ = failure;
        return false;
    }
    Failure finish() const {
        return failure_.isFailure() ? failure_ : status();
    }

    const rocksdb::Slice start_;
    const rocksdb::Slice end_;
    const stele_read_point point_;
    const uint64_t newest_;
    const size_t maxRows_;
    const size_t maxBytes_;
    const size_t maxKeys_;
    const size_t maxConflicts_;
    const size_t maxKeysAfterConflict_;
    const IntentMap &intents_;
    void *const context_;
    const stele_conflict_sink conflictSink_;
    size_t count_ = 0;
    size_t keys_ = 0;
    size_t conflicts_ = 0;
    size_t keysAfterConflict_ = 0;
    std::string firstConflict_;
    bool isLimited_ = false;
    // Whether the intent at the current key already says what a read finds there.
    bool isAnswered_ = false;
    Failure failure_;
};

// Counts the key that has become the current one; false if a limit ends the scan before it.
bool Scan::beginKey() {
    isLimited_ = keys_ >= maxKeys_ || count_ >= maxRows_
        || keysAfterConflict_ >= maxKeysAfterConflict_;
    if (!isLimited_) ++keys_;
    if (conflicts_ > 0) ++keysAfterConflict_;
    isAnswered_ = false;
    return !isLimited_;
}

// Takes the intent at the current key. These functions return false where the scan ends.
bool Scan::takeIntent(const std::string &stored) {
    stele_found found;
    if (!foundIntent(stored, point_, &found)) return fail(unknownIntent());
    if (found.outcome == STELE_NONE) return true;
    isAnswered_ = true;
    if (found.outcome == STELE_INTENT) return conflict(found);
    if (found.outcome == STELE_DELETION) return true;
    const size_t rowStart = cursor_.rows.size();
    append(found.timestamp, slice(found.bytes));
    return takeRow(rowStart);
}

// Goes forward from a version of the current key to its newest visible one, if there is one.
bool Scan::seekVisible() {
    for (int step = 0; step < kSteps; ++step) {
        if (!isOnCurrentKey()) return false;
        if (isVisible()) return true;
        next();
    }
    seek(current(), newest_);
    return isOnCurrentKey();
}

// Takes the version that the iterator stands on: the newest visible one, as far as is known. What
// was appended since `rowStart` is an older version of the same key.
bool Scan::takeVersion(size_t rowStart) {
    cursor_.rows.shrink(rowStart);
    stele_found found;
    if (!version(&found)) return fail(unknownVersion());
    if (found.outcome == STELE_VALUE && found.timestamp <= point_.timestamp) {
        append(found.timestamp, slice(found.bytes));
    }
    return true;
}

void Scan::append(uint64_t timestamp, const rocksdb::Slice &value) {
    if (conflicts_ > 0) return;
    const rocksdb::Slice key = current();
    const uint32_t keyCount = static_cast<uint32_t>(key.size());
    const uint32_t valueCount = static_cast<uint32_t>(value.size());
    char *row = cursor_.rows.grow(kRowHeaderBytes + key.size() + value.size());
    std::memcpy(row, &keyCount, sizeof keyCount);
    std::memcpy(row + 4, &valueCount, sizeof valueCount);
    std::memcpy(row + 8, &timestamp, sizeof timestamp);
    std::memcpy(row + kRowHeaderBytes, key.data(), key.size());
    std::memcpy(row + kRowHeaderBytes + key.size(), value.data(), value.size());
}

// Counts the row appended since `rowStart`, if any; false, and none left, if it does not fit.
bool Scan::takeRow(size_t rowStart) {
    if (cursor_.rows.size() == rowStart) return true;
    if (count_ > 0 && cursor_.rows.size() > maxBytes_) {
        cursor_.rows.shrink(rowStart);
        isLimited_ = true;
        return false;
    }
    ++count_;
    return true;
}

bool Scan::conflict(const stele_found &found) {
    if (conflicts_ == 0) firstConflict_ = cursor_.user;
    ++conflicts_;
    conflictSink_(context_, bytes(current()), &found);
    return conflicts_ < maxConflicts_;
}

bool Scan::uncertain(uint64_t timestamp) {
    stele_found found{};
    found.outcome = STELE_UNCERTAIN;
    found.timestamp = timestamp;
    return conflict(found);
}

Failure Scan::ascend() {
    seek(start_, kNewest);
    auto intent = intents_.lower_bound(start_);
    while (true) {
        const bool hasVersion = isValid() && isBeforeEnd(user());
        const bool hasIntent = intent != intents_.end() && isBeforeEnd(intent->first);
        if (!hasVersion && !hasIntent) break;
        const int order = !hasVersion ? 1 : !hasIntent ? -1
            : user().compare(intent->first);
        if (order <= 0) makeCurrent(); else makeCurrent(intent->first);
        if (!beginKey()) break;
        if (order >= 0) {
            if (!takeIntent(intent->second)) break;
            ++intent;
        }
        if (order > 0) continue;
        if (!isAnswered_ && seekVisible()) {
            const uint64_t found = timestamp();
            const size_t rowStart = cursor_.rows.size();
            if (!takeVersion(rowStart)) break;
            if (found > point_.timestamp) {
                if (!uncertain(found)) break;
            } else if (!takeRow(rowStart)) {
                break;
            }
        }
        skipForward();
    }
    return finish();
}

// Takes the newest visible version of the current key, coming from its oldest one.
bool Scan::takeOldestFirst() {
    const size_t rowStart = cursor_.rows.size();
    uint64_t newest = 0;
    for (int step = 0; isOnCurrentKey() && isVisible(); ++step) {
        if (step == kSteps) {
            seek(current(), newest_);
            // There is such a version; only a failed read does not find it.
            if (!isOnCurrentKey()) return false;
        }
        newest = timestamp();
        if (!takeVersion(rowStart)) return false;
        if (step == kSteps) break;
        previous();
    }
    if (newest <= point_.timestamp) return takeRow(rowStart);
    cursor_.rows.shrink(rowStart);
    return uncertain(newest);
}

Failure Scan::descend() {
    if (end_.empty()) {
        seekToLast();
    } else {
        seekBack(end_, kNewest);
        // Only a version of the end itself, with the greatest timestamp, is not before the end.
        if (isValid() && user() == end_) previous();
    }
    auto intent = end_.empty() ? intents_.end() : intents_.lower_bound(end_);
    while (true) {
        const bool hasVersion =
            isValid() && user().compare(start_) >= 0;
        const auto before = intent == intents_.begin() ? intents_.end() : std::prev(intent);
        const bool hasIntent =
            before != intents_.end() && rocksdb::Slice(before->first).compare(start_) >= 0;
        if (!hasVersion && !hasIntent) break;
        const int order = !hasVersion ? -1 : !hasIntent ? 1
            : user().compare(before->first);
        if (order >= 0) makeCurrent(); else makeCurrent(before->first);
        if (!beginKey()) break;
        if (order <= 0) {
            if (!takeIntent(before->second)) break;
            intent = before;
        }
        if (order < 0) continue;
        if (!isAnswered_ && !takeOldestFirst()) break;
        skipBackward();
    }
    return finish();
}

Failure readScan(
    stele_reader &reader, const stele_scan &request, void *context, stele_page_sink pageSink,
    stele_conflict_sink conflictSink) {
    stele_page page{};
    const rocksdb::Slice start = slice(request.start);
    const rocksdb::Slice end = slice(request.end);
    if (!end.empty() && start.compare(end) >= 0) {
        pageSink(context, &page);
        return Failure();
    }
    CursorLease cursor(reader, reader.rangeCursors);
    Failure result = cursor.open(request.point.timestamp);
    if (!result.isFailure()) result = cursor.checkWatermark(start, end, request.point.timestamp);
    if (result.isFailure()) return result;
    const IntentMap *intents = cursor.intents();
    Scan scan(request, *cursor, intents == nullptr ? kNoIntents : *intents, context, conflictSink);
    result = request.is_reverse ? scan.descend() : scan.ascend();
    if (result.isFailure()) return result;
    page.rows = bytes(rocksdb::Slice(cursor->rows.data(), cursor->rows.size()));
    page.count = scan.count();
    page.visited = scan.visited();
    page.has_resume_key = scan.isLimited();
    if (scan.isLimited()) page.resume_key = bytes(scan.resumeKey());
    pageSink(context, &page);
    cursor->rows.release(kKeptRowBytes);
    return Failure();
}

}  // namespace
}  // namespace stele

stele_code stele_read_scan(
    stele_reader *reader, const stele_scan *scan, void *context, stele_page_sink page_sink,
    stele_conflict_sink conflict_sink, char **message) {
    return stele::guarded(message, [&]() {
        return stele::readScan(*reader, *scan, context, page_sink, conflict_sink);
    });
}
