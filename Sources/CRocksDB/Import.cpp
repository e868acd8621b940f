// Replacing a replica: its pairs go to table files beside the store, which one ingestion takes in.
//
// Each file begins with a range tombstone over its part of the replica, and together they cover
// all of it. Within one ingested file points are above the tombstone, so what was there before is
// gone and what came is there, in the same instant, in all families.

#include <rocksdb/sst_file_writer.h>

#include "Import.hpp"
#include "Limits.hpp"
#include "Replica.hpp"

struct stele_import {
    stele_import(stele_engine &engine, const stele_replica &scope)
        : engine(engine), replica(scope),
          name(engine.importDirectory() + "/" + std::to_string(engine.importNumber.fetch_add(1))) {}
    ~stele_import();

    stele_engine &engine;
    const stele::Replica replica;
    // What its files begin with.
    const std::string name;
    size_t fileCount = 0;
    // By place in kReplicaFamilies.
    std::array<std::vector<std::string>, stele::kReplicaFamilies.size()> files;

    // The family that pairs are added to, its writer, and the first key that its file is for.
    size_t place = 0;
    std::unique_ptr<rocksdb::SstFileWriter> writer;
    std::string fileStart;
    // The key added last to this family; it may be empty.
    std::optional<std::string> last;
    // The value of the replica's applied state.
    std::optional<std::string> applied;

    // What of it is kept in memory.
    stele::IntentMap intents;
    stele::WatermarkTable watermarks;
};

namespace stele {
namespace {

// Files of this size are a good measure for compactions.
constexpr uint64_t kFileBytes = 32 << 20;

Failure malformed(const char *why) {
    return failure(STELE_INVALID_ARGUMENT, std::string("a replica's pairs: ") + why);
}

Failure openFile(stele_import &to, const std::string &start) {
    rocksdb::ColumnFamilyHandle *family = to.engine.families[kReplicaFamilies[to.place]];
    const rocksdb::Options options = to.engine.db->GetOptions(family);
    to.writer = std::make_unique<rocksdb::SstFileWriter>(
        rocksdb::EnvOptions(options), options, family);
    const std::string path = to.name + "-" + std::to_string(to.fileCount++) + ".sst";
    const rocksdb::Status status = to.writer->Open(path);
    if (!status.ok()) return failureOf(status);
    to.files[to.place].push_back(path);
    to.fileStart = start;
    return Failure();
}

// Ends a file that stands for all keys below `end`.
Failure closeFile(stele_import &to, const std::string &end) {
    rocksdb::Status status = to.writer->DeleteRange(to.fileStart, end);
    if (status.ok()) status = to.writer->Finish();
    to.writer.reset();
    return failureOf(status);
}

// Ends the current family, also one that nothing was added to: what is there has to go.
Failure finishFamily(stele_import &to) {
    const size_t family = kReplicaFamilies[to.place];
    std::string end;
    Failure result = to.replica.clearEnd(to.engine, family, to.last, &end);
    if (!result.isFailure() && !end.empty()) {
        if (!to.writer) result = openFile(to, to.replica.first(family));
        if (!result.isFailure()) result = closeFile(to, end);
    }
    to.last.reset();
    ++to.place;
    return result;
}

Failure addPair(
    stele_import &to, size_t family, const rocksdb::Slice &key, const rocksdb::Slice &value) {
    while (to.place < kReplicaFamilies.size() && kReplicaFamilies[to.place] != family) {
        const Failure result = finishFamily(to);
        if (result.isFailure()) return result;
    }
    if (to.place == kReplicaFamilies.size()) return malformed("families out of order");
    std::string stored;
    if (family == kLocal) stored = to.replica.localPrefix();
    stored.append(key.data(), key.size());
    StoredVersion version;
    if (!to.replica.contains(family, stored)) return malformed("a key lies outside the replica");
    if (family == kData
        && (key.size() < kTimestampBytes || !decodeVersion(value, &version))) {
        return malformed("a version has an unknown form");
    }
    StoredIntent intent;
    if (family == kLocks && !decodeIntent(value, &intent)) {
        return malformed("an intent has an unknown form");
    }
    std::optional<Watermark> watermark;
    if (family == kLocal && isWatermarkKey(stored)) {
        watermark = Watermark::decode(value);
        if (!watermark) return malformed("a watermark has an unknown form");
        const Failure result = longBound(watermark->start, watermark->end);
        if (result.isFailure()) return result;
    }
    Failure excess;
    if (family == kData) {
        excess = longKey(rocksdb::Slice(key.data(), key.size() - kTimestampBytes));
        if (!excess.isFailure()) excess = longValue(version.value);
    } else if (family == kLocks) {
        excess = longKey(key);
        if (!excess.isFailure()) excess = longKey(intent.anchor);
        if (!excess.isFailure()) excess = longValue(intent.value);
    } else {
        excess = longKey(stored);
        if (!excess.isFailure()) excess = longValue(value);
    }
    if (excess.isFailure()) return excess;
    const rocksdb::Comparator &comparator = *to.engine.families[family]->GetComparator();
    if (to.last && comparator.Compare(*to.last, stored) >= 0) {
        return malformed("keys out of order");
    }
    if (!to.writer || to.writer->FileSize() > kFileBytes) {
        const std::string start = to.writer ? stored : to.replica.first(family);
        Failure result = to.writer ? closeFile(to, stored) : Failure();
        if (!result.isFailure()) result = openFile(to, start);
        if (result.isFailure()) return result;
    }
    to.last = stored;
    if (family == kLocks) to.intents.insert_or_assign(stored, value.ToString());
    if (family == kLocal && stored == to.replica.localPrefix() + kAppliedItem) {
        to.applied = value.ToString();
    }
    if (watermark) to.watermarks.insert_or_assign(stored, std::move(*watermark));
    return failureOf(to.writer->Put(stored, value));
}

Failure addPairs(stele_import &to, rocksdb::Slice pairs) {
    while (!pairs.empty()) {
        if (pairs.size() < kPairHeaderBytes) return malformed("they end within a pair");
        const uint8_t family = static_cast<uint8_t>(pairs[0]);
        uint32_t keyCount;
        uint32_t valueCount;
        std::memcpy(&keyCount, pairs.data() + 1, sizeof keyCount);
        std::memcpy(&valueCount, pairs.data() + 5, sizeof valueCount);
        pairs.remove_prefix(kPairHeaderBytes);
        if (pairs.size() < uint64_t(keyCount) + valueCount) {
            return malformed("they end within a pair");
        }
        const rocksdb::Slice key(pairs.data(), keyCount);
        const rocksdb::Slice value(pairs.data() + keyCount, valueCount);
        pairs.remove_prefix(keyCount + valueCount);
        const Failure result = addPair(to, family, key, value);
        if (result.isFailure()) return result;
    }
    return Failure();
}

// What the import changes of what is kept in memory: known before anything is ingested, since a
// store that has taken the files in must not fail to show them.
template <typename Changes, typename Stored>
Changes changesOf(
    const stele_import &to, size_t family, const Stored &stored, const Stored &added) {
    Changes changes;
    removeWithin(stored, changes, to.replica.first(family), to.replica.behind(family));
    for (const auto &[key, item] : added) changes.insert_or_assign(key, item);
    return changes;
}

// While files are taken in, reads see what there was before. As with a write that changes intents,
// nobody sees what is stored without what is kept in memory; but it takes as long as the disk takes,
// and no writer may run, so reads need not wait.
class Ingestion {
public:
    explicit Ingestion(stele_engine &engine) : engine_(engine) {
        const std::lock_guard<std::mutex> guard(engine_.intentWrites);
        engine_.beforeImport = engine_.db->GetSnapshot();
        engine_.intentEpoch.fetch_add(1);
        engine_.watermarks.beginRetreat();
    }
    ~Ingestion() { end([] {}); }

    Ingestion(const Ingestion &) = delete;
    Ingestion &operator=(const Ingestion &) = delete;

    // Calls `show` to bring what is kept in memory, and lets everybody see the present state. Rows
    // come last: until then reads may keep some of before.
    template <typename Show>
    void end(const Show &show) {
        if (hasEnded_) return;
        const std::lock_guard<std::mutex> guard(engine_.intentWrites);
        show();
        hasEnded_ = true;
        engine_.watermarks.endRetreat();
        engine_.db->ReleaseSnapshot(engine_.beforeImport);
        engine_.beforeImport = nullptr;
        engine_.clears.fetch_add(1);
        engine_.writes.fetch_add(1);
        engine_.rows->touchAll();
        engine_.intentEpoch.fetch_add(1);
    }

private:
    stele_engine &engine_;
    bool hasEnded_ = false;
};

Failure finishImport(stele_import &to) {
    while (to.place < kReplicaFamilies.size()) {
        const Failure result = finishFamily(to);
        if (result.isFailure()) return result;
    }
    std::vector<rocksdb::IngestExternalFileArg> args;
    for (size_t place = 0; place < kReplicaFamilies.size(); ++place) {
        if (to.files[place].empty()) continue;
        rocksdb::IngestExternalFileArg arg;
        arg.column_family = to.engine.families[kReplicaFamilies[place]];
        arg.external_files = to.files[place];
        arg.options.move_files = true;
        arg.options.write_global_seqno = false;
        args.push_back(arg);
    }
    if (args.empty()) return Failure();
    stele_engine &engine = to.engine;
    const std::lock_guard<std::mutex> alone(engine.imports);
    const auto intents =
        changesOf<IntentChanges>(to, kLocks, engine.intents.latest(), to.intents);
    const auto watermarks =
        changesOf<WatermarkChanges>(to, kLocal, engine.watermarks.latest(), to.watermarks);
    Ingestion ingestion(engine);
    const rocksdb::Status status = engine.db->IngestExternalFiles(args);
    ingestion.end([&] {
        if (!status.ok()) return;
        engine.intents.apply(intents);
        engine.watermarks.apply(watermarks);
    });
    return failureOf(status);
}

}  // namespace

Failure removeImports(const std::string &directory, rocksdb::Env *env) {
    std::vector<std::string> names;
    rocksdb::Status status = env->GetChildren(directory, &names);
    if (status.IsNotFound()) return Failure();
    if (!status.ok()) return failureOf(status);
    for (const std::string &name : names) {
        if (name == "." || name == "..") continue;
        status = env->DeleteFile(directory + "/" + name);
        if (!status.ok()) return failureOf(status);
    }
    return Failure();
}

}  // namespace stele

stele_import::~stele_import() {
    writer.reset();
    for (const std::vector<std::string> &paths : files) {
        for (const std::string &path : paths) {
            // An ingestion has moved it away; and what remains is removed when the store is opened.
            engine.env->DeleteFile(path).PermitUncheckedError();
        }
    }
}

stele_code stele_import_create(
    stele_engine *engine, const stele_replica *replica, stele_import **created, char **message) {
    return stele::guarded(message, [&]() -> stele::Failure {
        const rocksdb::Status status =
            engine->env->CreateDirIfMissing(engine->importDirectory());
        if (!status.ok()) return stele::failureOf(status);
        *created = new stele_import(*engine, *replica);
        return stele::Failure();
    });
}

void stele_import_free(stele_import *to) { delete to; }

stele_code stele_import_add(stele_import *to, stele_bytes pairs, char **message) {
    return stele::guarded(
        message, [&]() { return stele::addPairs(*to, stele::slice(pairs)); });
}

stele_code stele_import_applied(
    const stele_import *to, void *context, void (*sink)(void *context, stele_bytes value),
    char **message) {
    return stele::guarded(message, [&]() -> stele::Failure {
        if (to->applied) sink(context, stele::bytes(*to->applied));
        return stele::Failure();
    });
}

stele_code stele_import_finish(stele_import *to, char **message) {
    return stele::guarded(message, [&]() { return stele::finishImport(*to); });
}
