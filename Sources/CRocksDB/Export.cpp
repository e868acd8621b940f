// Reading all pairs of a replica, page by page, as they were at one moment.
//
// Invariant: no version above the watermark that is exported has been collected from what is read.
// Compactions take no notice of snapshots when they collect, but they cannot touch the files that an
// open iterator holds. So all iterators are opened with the snapshot, and none is used if compactions
// were given another watermark meanwhile.

#include "Replica.hpp"

struct stele_export {
    stele_export(stele_engine &engine, const stele_replica &scope)
        : engine(engine), replica(scope), snapshot(engine.db->GetSnapshot()) {}
    ~stele_export() {
        for (std::unique_ptr<rocksdb::Iterator> &iterator : iterators) iterator.reset();
        engine.db->ReleaseSnapshot(snapshot);
    }

    stele_engine &engine;
    const stele::Replica replica;
    const rocksdb::Snapshot *snapshot;
    // By place in kReplicaFamilies; those that were read to the end are gone.
    std::array<std::unique_ptr<rocksdb::Iterator>, stele::kReplicaFamilies.size()> iterators;
    // How many families are done.
    size_t done = 0;
    std::string page;
};

namespace stele {
namespace {

void appendLength(std::string &page, size_t length) {
    const uint32_t value = static_cast<uint32_t>(length);
    page.append(reinterpret_cast<const char *>(&value), sizeof value);
}

void appendPair(
    std::string &page, size_t family, const rocksdb::Slice &key, const rocksdb::Slice &value) {
    page.push_back(static_cast<char>(family));
    appendLength(page, key.size());
    appendLength(page, value.size());
    page.append(key.data(), key.size());
    page.append(value.data(), value.size());
}

void openIterators(stele_export &from) {
    rocksdb::ReadOptions reads = from.engine.latest.rangeReads();
    reads.snapshot = from.snapshot;
    // A copy of everything must not push out what is read often.
    reads.fill_cache = false;
    for (size_t place = 0; place < kReplicaFamilies.size(); ++place) {
        const size_t family = kReplicaFamilies[place];
        from.iterators[place].reset(
            from.engine.db->NewIterator(reads, from.engine.families[family]));
        from.iterators[place]->Seek(from.replica.first(family));
    }
}

std::unique_ptr<stele_export> beginExport(stele_engine &engine, const stele_replica &scope) {
    while (true) {
        const uint64_t before = engine.watermarks.flushedChanges();
        auto from = std::make_unique<stele_export>(engine, scope);
        openIterators(*from);
        if (engine.watermarks.flushedChanges() == before) return from;
    }
}

Failure exportNext(stele_export &from, size_t maxBytes) {
    from.page.clear();
    while (from.done < kReplicaFamilies.size()) {
        const size_t family = kReplicaFamilies[from.done];
        rocksdb::Iterator &iterator = *from.iterators[from.done];
        for (; iterator.Valid(); iterator.Next()) {
            rocksdb::Slice key = iterator.key();
            if (!from.replica.contains(family, key)) break;
            const rocksdb::Slice value = iterator.value();
            if (family == kLocal) key.remove_prefix(from.replica.localPrefix().size());
            const size_t size = kPairHeaderBytes + key.size() + value.size();
            if (!from.page.empty() && from.page.size() + size > maxBytes) return Failure();
            appendPair(from.page, family, key, value);
        }
        if (!iterator.status().ok()) return failureOf(iterator.status());
        from.iterators[from.done].reset();
        ++from.done;
    }
    return Failure();
}

}  // namespace
}  // namespace stele

stele_code stele_export_create(
    stele_engine *engine, const stele_replica *replica, stele_export **created, char **message) {
    return stele::guarded(message, [&]() -> stele::Failure {
        *created = stele::beginExport(*engine, *replica).release();
        return stele::Failure();
    });
}

void stele_export_free(stele_export *from) { delete from; }

stele_code stele_export_applied(
    stele_export *from, void *context, void (*sink)(void *context, stele_bytes value),
    char **message) {
    return stele::guarded(message, [&]() -> stele::Failure {
        rocksdb::ReadOptions reads;
        reads.snapshot = from->snapshot;
        rocksdb::PinnableSlice value;
        const rocksdb::Status status = from->engine.db->Get(
            reads, from->engine.families[stele::kLocal],
            from->replica.localPrefix() + stele::kAppliedItem, &value);
        if (status.IsNotFound()) return stele::Failure();
        if (!status.ok()) return stele::failureOf(status);
        sink(context, stele::bytes(value));
        return stele::Failure();
    });
}

stele_code stele_export_next(
    stele_export *from, size_t max_bytes, void *context,
    void (*sink)(void *context, stele_bytes pairs), char **message) {
    return stele::guarded(message, [&]() -> stele::Failure {
        const stele::Failure result = stele::exportNext(*from, max_bytes);
        if (!result.isFailure()) sink(context, stele::bytes(from->page));
        return result;
    });
}
