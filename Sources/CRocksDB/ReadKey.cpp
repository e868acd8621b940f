// Reads of single keys: what is visible at a moment, versions, and plain values.

#include <optional>

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

// Moves the iterator to the newest version of a key at or below `limit`; false if there is none.
// With a row it begins at the newest version of all, which the row keeps.
bool seekVersion(
    Cursor &cursor, const rocksdb::Slice &key, uint64_t limit, std::optional<RowRead> &row) {
    rocksdb::Iterator &iterator = *cursor.iterator;
    const auto seek = [&](uint64_t timestamp) {
        iterator.Seek(versionKey(cursor.bound, key, timestamp));
        return iterator.Valid() && userKey(iterator.key()) == key;
    };
    if (row) {
        if (!seek(kNewest)) return false;
        stele_found newest;
        if (foundVersion(iterator.key(), iterator.value(), &newest)) row->keep(newest);
        if (timestampOf(iterator.key()) <= limit) return true;
    }
    return seek(limit);
}

Failure readKey(
    CursorLease &cursor, const rocksdb::Slice &key, const stele_read_point &point,
    std::optional<RowRead> &row, void *context, stele_found_sink sink) {
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
    const rocksdb::Iterator &iterator = *cursor->iterator;
    if (seekVersion(*cursor, key, newestOf(point), row)) {
        if (!foundVersion(iterator.key(), iterator.value(), &found)) return unknownVersion();
        if (found.timestamp > point.timestamp) found.outcome = STELE_UNCERTAIN;
    } else if (!iterator.Valid()) {
        result = failureOf(iterator.status());
        if (result.isFailure()) return result;
    }
    sink(context, &found);
    return Failure();
}

// Begins a read of the latest state of one key through its row.
void beginRow(
    stele_reader &reader, const rocksdb::Slice &key, std::optional<RowRead> &row) {
    if (reader.snapshot == nullptr && Rows::admits(key)) row.emplace(*reader.engine->rows, key);
}

// Whether the row of a key, the newest version it has, is what a read at `timestamp` sees.
bool findRow(
    stele_engine &engine, std::optional<RowRead> &row, uint64_t timestamp, stele_found *found) {
    if (!row || timestamp < engine.watermarks.greatest() || !row->find(found)) return false;
    if (found->timestamp > timestamp) {
        // There is an older version to look for, and nothing to keep.
        row.reset();
        return false;
    }
    engine.rowHits.fetch_add(1, std::memory_order_relaxed);
    return true;
}

// Answers a read from the key's row, if that is all it has to know; else begins the row that may be
// kept. The epoch tells that intents and row are of one moment: no write that changes intents ran
// between the row's stamp and the answer.
bool readRow(
    stele_reader &reader, const rocksdb::Slice &key, std::optional<RowRead> &row,
    const stele_read_point &point, void *context, stele_found_sink sink) {
    stele_engine &engine = *reader.engine;
    const uint64_t epoch = engine.intentEpoch.load();
    beginRow(reader, key, row);
    if (!row || epoch % 2 != 0) return false;
    const Intents::View view = engine.intents.view();
    if (const IntentMap *intents = view.get()) {
        if (intents->find(key) != intents->end()) return false;
    }
    stele_found found;
    if (!findRow(engine, row, point.timestamp, &found)) return false;
    if (engine.intentEpoch.load() != epoch) return false;
    sink(context, &found);
    return true;
}

Failure readKeys(
    stele_reader &reader, const stele_bytes *keys, size_t count, const stele_read_point &point,
    void *context, stele_found_sink sink) {
    std::optional<RowRead> row;
    // Several keys are read from one state, which rows of their own need not be of.
    if (count == 1 && readRow(reader, slice(*keys), row, point, context, sink)) return Failure();
    CursorLease cursor(reader, reader.keyCursors);
    Failure result = cursor.open(point.timestamp);
    for (size_t index = 0; index < count && !result.isFailure(); ++index) {
        result = readKey(cursor, slice(keys[index]), point, row, context, sink);
    }
    return result;
}

Failure readNewest(
    stele_reader &reader, const rocksdb::Slice &key, uint64_t timestamp, void *context,
    stele_found_sink sink) {
    std::optional<RowRead> row;
    beginRow(reader, key, row);
    stele_found found;
    if (findRow(*reader.engine, row, timestamp, &found)) {
        sink(context, &found);
        return Failure();
    }
    CursorLease cursor(reader, reader.keyCursors);
    Failure result = cursor.open(timestamp);
    if (!result.isFailure()) result = cursor.checkWatermark(key, timestamp);
    if (result.isFailure()) return result;
    const rocksdb::Iterator &iterator = *cursor->iterator;
    if (seekVersion(*cursor, key, timestamp, row)) return emit(iterator, context, sink);
    return iterator.Valid() ? Failure() : failureOf(iterator.status());
}

Failure readVersions(
    stele_reader &reader, const rocksdb::Slice &key, uint64_t timestamp, size_t limit,
    bool isUnchecked, void *context, stele_found_sink sink) {
    CursorLease cursor(reader, reader.keyCursors);
    Failure result = cursor.open(timestamp);
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
    size_t maxPairs, size_t maxBytes, void *context, stele_pair_sink sink,
    stele_key_sink resumeSink) {
    if (!isPlainFamily(family)) return unknownFamily();
    if (!end.empty() && start.compare(end) >= 0) return Failure();
    rocksdb::ReadOptions options = reader.rangeReads();
    if (!end.empty()) options.iterate_upper_bound = &end;
    std::unique_ptr<rocksdb::Iterator> iterator(
        reader.engine->db->NewIterator(options, reader.engine->families[family]));
    size_t pairs = 0;
    size_t size = 0;
    for (iterator->Seek(start); iterator->Valid(); iterator->Next()) {
        const rocksdb::Slice key = iterator->key();
        const rocksdb::Slice value = iterator->value();
        size += key.size() + value.size();
        if (pairs > 0 && (pairs >= maxPairs || size > maxBytes)) {
            resumeSink(context, bytes(key), 0);
            return Failure();
        }
        ++pairs;
        sink(context, bytes(key), bytes(value));
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
    stele_reader *reader, uint8_t family, stele_bytes start, stele_bytes end, size_t max_pairs,
    size_t max_bytes, void *context, stele_pair_sink sink, stele_key_sink resume_sink,
    char **message) {
    return stele::guarded(message, [&]() {
        return stele::readPairs(
            *reader, family, stele::slice(start), stele::slice(end), max_pairs, max_bytes, context,
            sink, resume_sink);
    });
}
