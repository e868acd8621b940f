// The disk in memory: names, files, and what of both is synced.

#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include "CRocksDBDisk.h"

namespace stele {

// A file, or a directory, whatever names lead to it.
//
// Invariant: `synced` <= `bytes->size()`. Bytes are only ever appended to the same string, so that
// a remembered length of it stays good.
struct DiskFile {
    std::shared_ptr<std::string> bytes = std::make_shared<std::string>();
    size_t synced = 0;
    // After a failed sync the system may take the pages for clean: a later one saves nothing.
    bool isSyncLost = false;
    bool isDirectory = false;
};

using DiskNames = std::map<std::string, std::shared_ptr<DiskFile>>;

// A change of one directory that is not synced; a rename removes and adds at once.
struct NameChange {
    std::string directory;
    std::string removed;
    std::string added;
    std::shared_ptr<DiskFile> file;
};

// What a crash at one moment may leave.
struct DiskMoment {
    DiskNames durable;
    std::vector<NameChange> changes;
    // How much of each file there was, and was synced.
    std::map<const DiskFile *, std::pair<std::shared_ptr<std::string>, std::pair<size_t, size_t>>>
        contents;
};

// The state, behind one lock. Paths are absolute and have no trailing slash.
class Disk {
public:
    Disk();

    // Counts an operation; fails if it is its turn to.
    rocksdb::IOStatus begin(uint8_t kind, const std::string &path);

    std::shared_ptr<DiskFile> find(const std::string &path) const;
    rocksdb::IOStatus create(const std::string &path, bool isDirectory);
    rocksdb::IOStatus remove(const std::string &path);
    rocksdb::IOStatus rename(const std::string &from, const std::string &to);
    rocksdb::IOStatus link(const std::string &from, const std::string &to);
    rocksdb::IOStatus truncate(const std::shared_ptr<DiskFile> &file, size_t size);
    rocksdb::IOStatus sync(const std::shared_ptr<DiskFile> &file, const std::string &path);
    rocksdb::IOStatus syncDirectory(const std::string &path);

    void inject(stele_disk_fault fault);
    void record();
    DiskMoment present() const;
    // Replaces everything by what is left of `moment`.
    void restore(const DiskMoment &moment, uint64_t seed);

    // To be called before a sync, without the mutex.
    void waitForSync() const;

    std::atomic<uint32_t> syncMilliseconds{0};
    mutable std::mutex mutex;
    DiskNames names;
    DiskNames durable;
    std::vector<NameChange> changes;
    std::set<std::string> locks;
    bool isRecording = false;
    std::vector<DiskMoment> moments;
    stele_disk_fault fault{};
    uint64_t operationsUnderFault = 0;
    uint64_t failures = 0;
    uint64_t spaceOperations = 0;
    uint64_t changeOperations = 0;
    uint64_t readOperations = 0;
};

std::shared_ptr<rocksdb::FileSystem> makeFileSystem(std::shared_ptr<Disk> disk);

// An environment in which RocksDB does not pause for long after an error, so that a test can cause
// thousands of them.
std::unique_ptr<rocksdb::Env> makeDiskEnv(const std::shared_ptr<rocksdb::FileSystem> &files);

}  // namespace stele

struct stele_disk {
    std::shared_ptr<stele::Disk> disk;
};
