// What changed in a range, and which deletions in it are of no more use.

#include "Walk.hpp"

namespace stele {
namespace {

Failure readFirstChange(
    stele_reader &reader, const rocksdb::Slice &start, const rocksdb::Slice &end,
    uint64_t timestamp, size_t maxKeys, void *context, stele_key_sink sink,
    stele_key_sink resumeSink, size_t *visited) {
    *visited = 0;
    if (!end.empty() && start.compare(end) >= 0) return Failure();
    CursorLease cursor(reader, reader.rangeCursors);
    Failure result = cursor.open(timestamp);
    if (!result.isFailure()) result = cursor.checkWatermark(start, end, timestamp);
    if (result.isFailure()) return result;
    Walk walk(*cursor);
    walk.seek(start, kNewest);
    while (walk.isValid()) {
        const rocksdb::Slice user = walk.user();
        if (!end.empty() && user.compare(end) >= 0) break;
        if (*visited == std::max<size_t>(maxKeys, 1)) {
            resumeSink(context, bytes(user), 0);
            return Failure();
        }
        ++*visited;
        // The newest version of a key comes first.
        const uint64_t newest = walk.timestamp();
        if (newest > timestamp) {
            sink(context, bytes(user), newest);
            return Failure();
        }
        walk.makeCurrent();
        walk.skipForward();
    }
    return walk.status();
}

Failure readDeletions(
    stele_reader &reader, const rocksdb::Slice &start, const rocksdb::Slice &end,
    uint64_t timestamp, size_t maxKeys, void *context, stele_key_sink sink,
    stele_key_sink resumeSink) {
    if (!end.empty() && start.compare(end) >= 0) return Failure();
    CursorLease cursor(reader, reader.rangeCursors);
    const Failure result = cursor.open(timestamp);
    if (result.isFailure()) return result;
    Walk walk(*cursor);
    walk.seek(start, kNewest);
    for (size_t count = 0; walk.isValid(); ++count) {
        const rocksdb::Slice user = walk.user();
        if (!end.empty() && user.compare(end) >= 0) break;
        if (count == std::max<size_t>(maxKeys, 1)) {
            resumeSink(context, bytes(user), 0);
            return Failure();
        }
        stele_found found;
        if (!walk.version(&found)) return unknownVersion();
        if (found.outcome == STELE_DELETION && found.timestamp <= timestamp) {
            sink(context, bytes(user), found.timestamp);
        }
        walk.makeCurrent();
        walk.skipForward();
    }
    return walk.status();
}

}  // namespace
}  // namespace stele

stele_code stele_read_first_change(
    stele_reader *reader, stele_bytes start, stele_bytes end, uint64_t timestamp,
    size_t max_keys, void *context, stele_key_sink sink, stele_key_sink resume_sink,
    size_t *visited, char **message) {
    return stele::guarded(message, [&]() {
        return stele::readFirstChange(
            *reader, stele::slice(start), stele::slice(end), timestamp, max_keys, context, sink,
            resume_sink, visited);
    });
}

stele_code stele_read_deletions(
    stele_reader *reader, stele_bytes start, stele_bytes end, uint64_t timestamp,
    size_t max_keys, void *context, stele_key_sink sink, stele_key_sink resume_sink,
    char **message) {
    return stele::guarded(message, [&]() {
        return stele::readDeletions(
            *reader, stele::slice(start), stele::slice(end), timestamp, max_keys, context, sink,
            resume_sink);
    });
}
