// Reads of single keys: what is visible at a moment, versions, and plain values.

#include "CursorLease.hpp"
#include "Found.hpp"

namespace stele {
namespace {

// Gives the version that the iterator stands on to the sink.
Failure emit(const rocksdb::Iterator &iterator, void *context, stele_found_sink sink) {
    stele_found found;
    if (!foundVersion(iterator.key(), iterator.value(), &found)) return unknownVersion();
    sink(context, &found);
    return Failure();
}

Failure readKey(
    CursorLease &cursor, const rocksdb::Slice &key, const stele_read_point &point, void *context,
    stele_found_sink sink) {
    Failure result = cursor.checkWatermark(key, point.timestamp);
    if (result.isFailure()) return result;
    stele_found found{};
    if (const IntentMap *intents = cursor.intents()) {
        const auto intent = intents->find(key);
        if (intent != intents->end()) {
            if (!foundIntent(intent->second, point, &found)) return unknownIntent();
            if (found.outcome != STELE_NONE) {
                sink(context, &found);
                return Failure();
            }
            found = stele_found{};
        }
    }
    rocksdb::Iterator &iterator = *cursor->iterator;
    iterator.Seek(versionKey(cursor->bound, key, newestOf(point)));
    if (!iterator.Valid()) {
        result = failureOf(iterator.status());
        if (result.isFailure()) return result;
    } else if (userKey(iterator.key()) == key) {
        if (!foundVersion(iterator.key(), iterator.value(), &found)) return unknownVersion();
        if (found.timestamp > point.timestamp) found.outcome = STELE_UNCERTAIN;
    }
    sink(context, &found);
    return Failure();
}

Failure readKeys(
    stele_reader &reader, const stele_bytes *keys, size_t count, const stele_read_point &point,
    void *context, stele_found_sink sink) {
    CursorLease cursor(reader, reader.keyCursor);
    Failure result = cursor.open();
    for (size_t index = 0; index < count && !result.isFailure(); ++index) {
        result = readKey(cursor, slice(keys[index]), point, context, sink);
    }
    return result;
}

Failure readNewest(
    stele_reader &reader, const rocksdb::Slice &key, uint64_t timestamp, void *context,
    stele_found_sink sink) {
    CursorLease cursor(reader, reader.keyCursor);
    Failure result = cursor.open();
    if (!result.isFailure()) result = cursor.checkWatermark(key, timestamp);
    if (result.isFailure()) return result;
    rocksdb::Iterator &iterator = *cursor->iterator;
    iterator.Seek(versionKey(cursor->bound, key, timestamp));
    if (!iterator.Valid()) return failureOf(iterator.status());
    return userKey(iterator.key()) == key ? emit(iterator, context, sink) : Failure();
}

Failure readVersions(
    stele_reader &reader, const rocksdb::Slice &key, uint64_t timestamp, size_t limit,
    bool isUnchecked, void *context, stele_found_sink sink) {
    CursorLease cursor(reader, reader.keyCursor);
    Failure result = cursor.open();
    if (!result.isFailure() && !isUnchecked) result = cursor.checkWatermark(key, timestamp);
    if (result.isFailure()) return result;
    rocksdb::Iterator &iterator = *cursor->iterator;
    iterator.Seek(versionKey(cursor->bound, key, kNewest));
    for (size_t count = 0; count < limit && iterator.Valid(); ++count) {
        if (userKey(iterator.key()) != key || timestampOf(iterator.key()) <= timestamp) break;
        result = emit(iterator, context, sink);
        if (result.isFailure()) return result;
        iterator.Next();
    }
    return failureOf(iterator.status());
}

Failure unknownFamily() { return failure(STELE_INVALID_ARGUMENT, "unknown family"); }

Failure readValue(
    stele_reader &reader, uint8_t family, stele_bytes key, void *context, stele_pair_sink sink) {
    if (!isPlainFamily(family)) return unknownFamily();
    rocksdb::ReadOptions options;
    options.snapshot = reader.snapshot;
    rocksdb::PinnableSlice value;
    const rocksdb::Status status =
        reader.engine->db->Get(options, reader.engine->families[family], slice(key), &value);
    if (status.IsNotFound()) return Failure();
    if (!status.ok()) return failureOf(status);
    sink(context, key, bytes(value));
    return Failure();
}

Failure readPairs(
    stele_reader &reader, uint8_t family, const rocksdb::Slice &start, const rocksdb::Slice &end,
    void *context, stele_pair_sink sink) {
    if (!isPlainFamily(family)) return unknownFamily();
    if (!end.empty() && start.compare(end) >= 0) return Failure();
    rocksdb::ReadOptions options = reader.rangeReads();
    if (!end.empty()) options.iterate_upper_bound = &end;
    std::unique_ptr<rocksdb::Iterator> iterator(
        reader.engine->db->NewIterator(options, reader.engine->families[family]));
    for (iterator->Seek(start); iterator->Valid(); iterator->Next()) {
        sink(context, bytes(iterator->key()), bytes(iterator->value()));
    }
    return failureOf(iterator->status());
}

}  // namespace
}  // namespace stele

stele_code stele_read_keys(
    stele_reader *reader, const stele_bytes *keys, size_t count, const stele_read_point *point,
    void *context, stele_found_sink sink, char **message) {
    return stele::guarded(message, [&]() {
        return stele::readKeys(*reader, keys, count, *point, context, sink);
    });
}

stele_code stele_read_newest(
    stele_reader *reader, stele_bytes key, uint64_t timestamp, void *context,
    stele_found_sink sink, char **message) {
    return stele::guarded(message, [&]() {
        return stele::readNewest(*reader, stele::slice(key), timestamp, context, sink);
    });
}

stele_code stele_read_versions(
    stele_reader *reader, stele_bytes key, uint64_t timestamp, size_t limit,
    uint8_t is_unchecked, void *context, stele_found_sink sink, char **message) {
    return stele::guarded(message, [&]() {
        return stele::readVersions(
            *reader, stele::slice(key), timestamp, limit, is_unchecked != 0, context, sink);
    });
}

stele_code stele_read_value(
    stele_reader *reader, uint8_t family, stele_bytes key, void *context, stele_pair_sink sink,
    char **message) {
    return stele::guarded(message, [&]() {
        return stele::readValue(*reader, family, key, context, sink);
    });
}

stele_code stele_read_pairs(
    stele_reader *reader, uint8_t family, stele_bytes start, stele_bytes end, void *context,
    stele_pair_sink sink, char **message) {
    return stele::guarded(message, [&]() {
        return stele::readPairs(
            *reader, family, stele::slice(start), stele::slice(end), context, sink);
    });
}
