// Reads of one key: its versions, and plain values.

#include "CursorLease.hpp"

rocksdb::ReadOptions stele_engine::keyReads() const {
    rocksdb::ReadOptions options;
    options.prefix_same_as_start = true;
    options.background_purge_on_iterator_cleanup = true;
    return options;
}

namespace stele {
namespace {

Failure notOurs() { return failure(STELE_CORRUPTION, "a stored version has an unknown form"); }

// Gives the version that the iterator stands on to the sink.
Failure emit(
    const rocksdb::Iterator &iterator, void *context, stele_version_sink sink) {
    StoredVersion version;
    if (!decodeVersion(iterator.value(), &version)) return notOurs();
    sink(
        context, timestampOf(iterator.key()), version.transaction,
        version.kind == VersionKind::deletion, bytes(version.value));
    return Failure();
}

Failure readNewest(
    stele_engine &engine, const rocksdb::Slice &key, uint64_t timestamp, void *context,
    stele_version_sink sink) {
    CursorLease cursor(engine, engine.keyCursor);
    const rocksdb::Status status = cursor.renew();
    if (!status.ok()) return failureOf(status);
    rocksdb::Iterator &iterator = *cursor->iterator;
    iterator.Seek(versionKey(cursor->bound, key, timestamp));
    if (!iterator.Valid()) return failureOf(iterator.status());
    return userKey(iterator.key()) == key ? emit(iterator, context, sink) : Failure();
}

Failure readVersions(
    stele_engine &engine, const rocksdb::Slice &key, uint64_t timestamp, size_t limit,
    void *context, stele_version_sink sink) {
    CursorLease cursor(engine, engine.keyCursor);
    const rocksdb::Status status = cursor.renew();
    if (!status.ok()) return failureOf(status);
    rocksdb::Iterator &iterator = *cursor->iterator;
    iterator.Seek(versionKey(cursor->bound, key, kNewest));
    for (size_t count = 0; count < limit && iterator.Valid(); ++count) {
        if (userKey(iterator.key()) != key || timestampOf(iterator.key()) <= timestamp) break;
        const Failure result = emit(iterator, context, sink);
        if (result.isFailure()) return result;
        iterator.Next();
    }
    return failureOf(iterator.status());
}

Failure unknownFamily() { return failure(STELE_INVALID_ARGUMENT, "unknown family"); }

Failure readValue(
    stele_engine &engine, uint8_t family, stele_bytes key, void *context, stele_pair_sink sink) {
    if (!isPlainFamily(family)) return unknownFamily();
    rocksdb::PinnableSlice value;
    const rocksdb::Status status = engine.db->Get(
        rocksdb::ReadOptions(), engine.families[family], slice(key), &value);
    if (status.IsNotFound()) return Failure();
    if (!status.ok()) return failureOf(status);
    sink(context, key, bytes(value));
    return Failure();
}

Failure readPairs(
    stele_engine &engine, uint8_t family, const rocksdb::Slice &start, const rocksdb::Slice &end,
    void *context, stele_pair_sink sink) {
    if (!isPlainFamily(family)) return unknownFamily();
    if (!end.empty() && start.compare(end) >= 0) return Failure();
    rocksdb::ReadOptions options = engine.rangeReads();
    if (!end.empty()) options.iterate_upper_bound = &end;
    std::unique_ptr<rocksdb::Iterator> iterator(
        engine.db->NewIterator(options, engine.families[family]));
    for (iterator->Seek(start); iterator->Valid(); iterator->Next()) {
        sink(context, bytes(iterator->key()), bytes(iterator->value()));
    }
    return failureOf(iterator->status());
}

}  // namespace
}  // namespace stele

stele_code stele_read_newest(
    stele_engine *engine, stele_bytes key, uint64_t timestamp, void *context,
    stele_version_sink sink, char **message) {
    return stele::guarded(message, [&]() {
        return stele::readNewest(*engine, stele::slice(key), timestamp, context, sink);
    });
}

stele_code stele_read_versions(
    stele_engine *engine, stele_bytes key, uint64_t timestamp, size_t limit, void *context,
    stele_version_sink sink, char **message) {
    return stele::guarded(message, [&]() {
        return stele::readVersions(*engine, stele::slice(key), timestamp, limit, context, sink);
    });
}

stele_code stele_read_value(
    stele_engine *engine, uint8_t family, stele_bytes key, void *context, stele_pair_sink sink,
    char **message) {
    return stele::guarded(message, [&]() {
        return stele::readValue(*engine, family, key, context, sink);
    });
}

stele_code stele_read_pairs(
    stele_engine *engine, uint8_t family, stele_bytes start, stele_bytes end, void *context,
    stele_pair_sink sink, char **message) {
    return stele::guarded(message, [&]() {
        return stele::readPairs(
            *engine, family, stele::slice(start), stele::slice(end), context, sink);
    });
}
