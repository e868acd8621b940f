#include "Inspect.hpp"

#include <algorithm>

#include <rocksdb/env.h>

#include "Options.hpp"
#include "SilentLogger.hpp"

namespace stele {
namespace {

bool startsWith(const std::string &text, const std::string &start) {
    return text.compare(0, start.size(), start) == 0;
}

bool endsWith(const std::string &text, const std::string &end) {
    return text.size() >= end.size()
        && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// Names of the Raft log's segments are longer, and other programs' logs are no numbers.
bool isLogOfRocksDB(const std::string &name) {
    return name.size() == 10 && endsWith(name, ".log")
        && std::all_of(name.begin(), name.begin() + 6, [](char c) { return c >= '0' && c <= '9'; });
}

// Whether RocksDB may have left this file when its creation of a database was cut short.
bool isOfCreation(const std::string &name) {
    return name == "LOCK" || name == "IDENTITY" || name == "LOG" || startsWith(name, "LOG.old.")
        || startsWith(name, "MANIFEST-") || startsWith(name, "OPTIONS-")
        || endsWith(name, ".dbtmp") || isLogOfRocksDB(name);
}

Failure inspectWithoutCurrent(const std::vector<std::string> &names) {
    for (const std::string &name : names) {
        if (endsWith(name, ".sst") || name == "import") {
            return failure(STELE_CORRUPTION, "there are table files, but no file CURRENT");
        }
        if (!isOfCreation(name)) {
            return failure(STELE_INCOMPATIBLE, "the directory holds other files: " + name);
        }
    }
    return Failure();
}

// Reads what an open store keeps in memory: damage there must show before anything is changed.
Failure inspectDerived(
    rocksdb::DB &db, const std::vector<rocksdb::ColumnFamilyHandle *> &families) {
    rocksdb::Status status;
    for (rocksdb::ColumnFamilyHandle *family : families) {
        if (family->GetName() == kFamilyNames[kLocks]) status = Intents().load(db, family);
        if (family->GetName() == kFamilyNames[kLocal]) status = Watermarks().load(db, family);
        if (!status.ok()) break;
    }
    return openFailureOf(status);
}

Failure inspectFormat(
    rocksdb::DB &db, const std::vector<rocksdb::ColumnFamilyHandle *> &families) {
    std::string format;
    const rocksdb::Status status = db.Get(rocksdb::ReadOptions(), kFormatKey, &format);
    if (status.ok()) {
        if (format == kFormat) return inspectDerived(db, families);
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
    database.env = engine.env.get();
    // A read-only look must not write a log file.
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

}  // namespace

std::vector<rocksdb::ColumnFamilyDescriptor> descriptors(
    const stele_engine &engine, const stele_options &options,
    const std::vector<std::string> *only) {
    std::vector<rocksdb::ColumnFamilyDescriptor> result;
    for (size_t family = 0; family < kFamilyCount; ++family) {
        const std::string name = kFamilyNames[family];
        if (only == nullptr || std::find(only->begin(), only->end(), name) != only->end()) {
            result.emplace_back(name, familyOptions(engine, options, family));
        }
    }
    return result;
}

Failure inspect(
    const stele_engine &engine, const std::string &directory, const stele_options &options) {
    rocksdb::Env *env = engine.env.get();
    std::vector<std::string> names;
    rocksdb::Status status = env->GetChildren(directory, &names);
    if (status.IsNotFound()) {
        // Also what RocksDB says of a directory that may not be listed, and of a file.
        if (env->FileExists(directory).IsNotFound()) return Failure();
        return failure(STELE_IO, "it is no directory that can be read");
    }
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

}  // namespace stele
