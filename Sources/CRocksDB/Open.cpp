// Opening and closing a directory.
//
// It is looked at before it is touched; see Inspect.hpp.

#include <cstdlib>

#include "DeferredErrors.hpp"
#include "Engine.hpp"
#include "Events.hpp"
#include "Import.hpp"
#include "Inspect.hpp"
#include "Options.hpp"

namespace stele {
namespace {

// What opening writes, many times over.
constexpr uint64_t kLeastFreeBytes = 4 << 20;

// RocksDB syncs the directory, but not the entry that leads to it.
rocksdb::Status syncParent(const std::string &directory, rocksdb::Env *env) {
    std::string path = directory;
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    const size_t slash = path.find_last_of('/');
    const std::string parent =
        slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    std::unique_ptr<rocksdb::Directory> opened;
    const rocksdb::Status status = env->NewDirectory(parent, &opened);
    return status.ok() ? opened->Fsync() : status;
}

std::string realPath(const std::string &path) {
    const std::unique_ptr<char, decltype(&std::free)> found(
        realpath(path.c_str(), nullptr), &std::free);
    return found ? found.get() : std::string();
}

// The one name of a directory, which may have to be made first. RocksDB tells the stores of a
// process apart by their names alone: its locks of files hold only between processes.
std::string canonical(const std::string &directory) {
    std::string path = realPath(directory);
    if (!path.empty()) return path;
    path = directory;
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    const size_t slash = path.find_last_of('/');
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    const std::string parent =
        realPath(slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash));
    if (parent.empty() || name.empty()) return directory;
    return parent == "/" ? parent + name : parent + "/" + name;
}

// RocksDB with its assertions on, as some systems ship it, ends the process when it cannot write
// while it opens a store; so a full device is found out before.
Failure makeDirectory(const std::string &directory, rocksdb::Env *env) {
    rocksdb::Status status = env->FileExists(directory);
    const bool isNew = status.IsNotFound();
    if (isNew) status = env->CreateDirIfMissing(directory);
    if (!status.ok()) return openFailureOf(status);
    // Not only when it is new: whoever created it may have been killed right after. One that was
    // made for us may lie below one that we may not read.
    status = syncParent(directory, env);
    if (isNew && !status.ok()) {
        env->DeleteDir(directory).PermitUncheckedError();
        return openFailureOf(status);
    }
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
    latest.dropIterators();
    inMemory.dropIterators();
    if (!db) return;
    for (rocksdb::ColumnFamilyHandle *family : families) db->DestroyColumnFamilyHandle(family);
}

rocksdb::Status stele_engine::loadDerived() {
    const rocksdb::Status status = intents.load(*db, families[stele::kLocks]);
    return status.ok() ? watermarks.load(*db, families[stele::kLocal]) : status;
}

stele_code stele_engine_open(
    stele_bytes directory, stele_options options, stele_engine **engine, char **message) {
    return stele::guarded(message, [&]() -> stele::Failure {
        const std::string given = stele::slice(directory).ToString();
        const std::string path = options.disk == nullptr ? stele::canonical(given) : given;
        auto created = std::make_unique<stele_engine>();
        created->directory = path;
        created->prefix = std::make_shared<stele::VersionPrefix>();
        created->resources = *options.resources;
        created->rows = std::make_unique<stele::Rows>(created->resources.rows);
        created->checksHistory = options.checks_history != 0;
        const auto files = stele::deferErrors(
            options.disk == nullptr ? rocksdb::FileSystem::Default()
                                    : stele::makeFileSystem(options.disk->disk),
            created->importDirectory());
        created->env = options.disk == nullptr ? rocksdb::NewCompositeEnv(files)
                                               : stele::makeDiskEnv(files);
        created->events = std::make_shared<stele::Events>(options.on_event, options.context);

        stele::Failure result = stele::inspect(*created, path, options);
        if (result.isFailure()) return result;
        result = stele::makeDirectory(path, created->env.get());
        if (result.isFailure()) return result;
        rocksdb::DB *opened = nullptr;
        const rocksdb::Status status = rocksdb::DB::Open(
            stele::databaseOptions(*created), path, stele::descriptors(*created, options),
            &created->families, &opened);
        if (!status.ok()) return stele::openFailureOf(status);
        created->db.reset(opened);
        result = stele::removeImports(created->importDirectory(), created->env.get());
        if (result.isFailure()) return result;
        result = stele::writeFormat(*created);
        if (result.isFailure()) return result;
        result = stele::failureOf(created->loadDerived());
        if (result.isFailure()) return result;
        // All that was read comes from files.
        created->watermarks.endFlush(created->watermarks.beginFlush());
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
        const auto watermarks = engine->watermarks.beginFlush();
        const rocksdb::Status status = engine->db->Flush(options, engine->families);
        if (status.ok()) engine->watermarks.endFlush(watermarks);
        engine->latest.dropIterators();
        engine->inMemory.dropIterators();
        return stele::failureOf(status);
    });
}
