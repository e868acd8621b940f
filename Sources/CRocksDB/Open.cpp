// Opening and closing a directory.
//
// A directory is looked at read-only first, so that one that is not ours, or of a newer format, is
// left exactly as it was. The key `stele-format` in the family `default` says which format it is;
// it is the first thing ever flushed, so a store without it holds nothing and was being created.

#include <algorithm>

#include <rocksdb/env.h>

#include "Engine.hpp"
#include "Options.hpp"

namespace stele {
namespace {

constexpr const char *kFormatKey = "stele-format";
constexpr const char *kFormat = "1";
// What opening writes, many times over.
constexpr uint64_t kLeastFreeBytes = 4 << 20;

// Keeps a read-only look from writing a log file.
class SilentLogger final : public rocksdb::Logger {
public:
    using rocksdb::Logger::Logv;
    void Logv(const char *, va_list) override {}
};

bool startsWith(const std::string &text, const std::string &start) {
    return text.compare(0, start.size(), start) == 0;
}

bool endsWith(const std::string &text, const std::string &end) {
    return text.size() >= end.size()
        && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// Whether RocksDB may have left this file when its creation of a database was cut short.
bool isOfCreation(const std::string &name) {
    return name == "LOCK" || name == "IDENTITY" || startsWith(name, "LOG")
        || startsWith(name, "MANIFEST-") || startsWith(name, "OPTIONS-")
        || endsWith(name, ".dbtmp") || endsWith(name, ".log");
}

Failure inspectWithoutCurrent(const std::vector<std::string> &names) {
    for (const std::string &name : names) {
        if (endsWith(name, ".sst")) {
            return failure(STELE_CORRUPTION, "there are table files, but no file CURRENT");
        }
        if (!isOfCreation(name)) {
            return failure(STELE_INCOMPATIBLE, "the directory holds other files: " + name);
        }
    }
    return Failure();
}

std::vector<rocksdb::ColumnFamilyDescriptor> descriptors(
    const stele_engine &engine, const stele_options &options,
    const std::vector<std::string> *only = nullptr) {
    std::vector<rocksdb::ColumnFamilyDescriptor> result;
    for (size_t family = 0; family < kFamilyCount; ++family) {
        const std::string name = kFamilyNames[family];
        if (only == nullptr || std::find(only->begin(), only->end(), name) != only->end()) {
            result.emplace_back(name, familyOptions(engine, options, family));
        }
    }
    return result;
}

Failure inspectFormat(
    rocksdb::DB &db, const std::vector<rocksdb::ColumnFamilyHandle *> &families) {
    std::string format;
    const rocksdb::Status status = db.Get(rocksdb::ReadOptions(), kFormatKey, &format);
    if (status.ok()) {
        if (format == kFormat) return Failure();
        return failure(
            STELE_INCOMPATIBLE,
            "the store has format " + format + ", this program knows format " + kFormat);
    }
    if (!status.IsNotFound()) return openFailureOf(status);
    for (rocksdb::ColumnFamilyHandle *family : families) {
        rocksdb::ReadOptions reads;
        reads.total_order_seek = true;
        std::unique_ptr<rocksdb::Iterator> iterator(db.NewIterator(reads, family));
        iterator->SeekToFirst();
        if (iterator->Valid()) {
            return failure(STELE_INCOMPATIBLE, "the directory holds a database of something else");
        }
        if (!iterator->status().ok()) return openFailureOf(iterator->status());
    }
    return Failure();
}

Failure inspectDatabase(
    const stele_engine &engine, const std::string &directory, const stele_options &options) {
    rocksdb::DBOptions database;
    database.info_log = std::make_shared<SilentLogger>();
    database.max_open_files = 16;
    std::vector<std::string> names;
    rocksdb::Status status = rocksdb::DB::ListColumnFamilies(database, directory, &names);
    if (!status.ok()) return openFailureOf(status);
    for (const std::string &name : names) {
        if (std::find(kFamilyNames, kFamilyNames + kFamilyCount, name)
            == kFamilyNames + kFamilyCount) {
            return failure(STELE_INCOMPATIBLE, "the database has an unknown family: " + name);
        }
    }
    std::vector<rocksdb::ColumnFamilyHandle *> families;
    rocksdb::DB *opened = nullptr;
    status = rocksdb::DB::OpenForReadOnly(
        database, directory, descriptors(engine, options, &names), &families, &opened);
    if (!status.ok()) return openFailureOf(status);
    std::unique_ptr<rocksdb::DB> db(opened);
    const Failure result = inspectFormat(*db, families);
    for (rocksdb::ColumnFamilyHandle *family : families) db->DestroyColumnFamilyHandle(family);
    return result;
}

// Says whether the directory can be opened, without changing anything in it.
Failure inspect(
    const stele_engine &engine, const std::string &directory, const stele_options &options) {
    rocksdb::Env *env = rocksdb::Env::Default();
    std::vector<std::string> names;
    rocksdb::Status status = env->GetChildren(directory, &names);
    if (status.IsNotFound()) return Failure();
    if (!status.ok()) return openFailureOf(status);
    names.erase(
        std::remove_if(
            names.begin(), names.end(),
            [](const std::string &name) { return name == "." || name == ".."; }),
        names.end());
    const auto has = [&](const char *name) {
        return std::find(names.begin(), names.end(), name) != names.end();
    };
    if (!has("CURRENT")) return inspectWithoutCurrent(names);
    if (!has("LOCK")) return inspectDatabase(engine, directory, options);
    // Files must not go away under the look; the lock is taken again when the store is opened.
    rocksdb::FileLock *lock = nullptr;
    status = env->LockFile(directory + "/LOCK", &lock);
    if (!status.ok()) return openFailureOf(status);
    const Failure result = inspectDatabase(engine, directory, options);
    status = env->UnlockFile(lock);
    return result.isFailure() ? result : openFailureOf(status);
}

// RocksDB with its assertions on, as some systems ship it, ends the process when it cannot write
// while it opens a store; so a full device is found out before.
Failure makeDirectory(const std::string &directory) {
    rocksdb::Env *env = rocksdb::Env::Default();
    rocksdb::Status status = env->CreateDirIfMissing(directory);
    if (!status.ok()) return openFailureOf(status);
    uint64_t free = 0;
    status = env->GetFreeSpace(directory, &free);
    if (!status.ok()) return openFailureOf(status);
    if (free >= kLeastFreeBytes) return Failure();
    return failure(
        STELE_NO_SPACE, "only " + std::to_string(free) + " bytes are free on the device");
}

Failure writeFormat(stele_engine &engine) {
    std::string format;
    rocksdb::Status status = engine.db->Get(rocksdb::ReadOptions(), kFormatKey, &format);
    if (status.ok() || !status.IsNotFound()) return failureOf(status);
    rocksdb::WriteOptions writes;
    writes.disableWAL = true;
    status = engine.db->Put(writes, kFormatKey, kFormat);
    if (!status.ok()) return failureOf(status);
    return failureOf(engine.db->Flush(rocksdb::FlushOptions(), engine.families));
}

}  // namespace
}  // namespace stele

stele_engine::~stele_engine() {
    dropIterators();
    if (!db) return;
    for (rocksdb::ColumnFamilyHandle *family : families) db->DestroyColumnFamilyHandle(family);
}

void stele_engine::dropIterators() {
    for (stele::Cursor *cursor : {&keyCursor, &rangeCursor}) {
        const std::lock_guard<std::mutex> guard(cursor->mutex);
        cursor->iterator.reset();
    }
}

stele_code stele_engine_open(
    stele_bytes directory, stele_options options, stele_engine **engine, char **message) {
    return stele::guarded(message, [&]() -> stele::Failure {
        const std::string path = stele::slice(directory).ToString();
        auto created = std::make_unique<stele_engine>();
        created->prefix = std::make_shared<stele::VersionPrefix>();
        created->cache = rocksdb::NewLRUCache(options.block_cache_bytes);

        stele::Failure result = stele::inspect(*created, path, options);
        if (result.isFailure()) return result;
        result = stele::makeDirectory(path);
        if (result.isFailure()) return result;
        rocksdb::DB *opened = nullptr;
        const rocksdb::Status status = rocksdb::DB::Open(
            stele::databaseOptions(), path, stele::descriptors(*created, options),
            &created->families, &opened);
        if (!status.ok()) return stele::openFailureOf(status);
        created->db.reset(opened);
        result = stele::writeFormat(*created);
        if (result.isFailure()) return result;
        *engine = created.release();
        return stele::Failure();
    });
}

void stele_engine_close(stele_engine *engine) { delete engine; }

stele_code stele_engine_flush(stele_engine *engine, char **message) {
    return stele::guarded(message, [&]() -> stele::Failure {
        rocksdb::FlushOptions options;
        options.wait = true;
        // Waiting for compactions first would hold up the truncation of the log.
        options.allow_write_stall = true;
        const rocksdb::Status status = engine->db->Flush(options, engine->families);
        engine->dropIterators();
        return stele::failureOf(status);
    });
}
