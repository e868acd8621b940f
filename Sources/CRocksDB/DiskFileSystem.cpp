// The disk in memory as RocksDB's file system.

#include <algorithm>
#include <cstring>

#include <rocksdb/system_clock.h>

#include "Disk.hpp"
#include "SilentLogger.hpp"

namespace stele {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

using Guard = std::lock_guard<std::mutex>;

// Paths as the disk has them: no slash twice, none at the end.
std::string normal(const std::string &path) {
    std::string result;
    for (const char character : path) {
        if (character != '/' || result.empty() || result.back() != '/') result += character;
    }
    if (result.size() > 1 && result.back() == '/') result.pop_back();
    return result;
}

// Reads from any offset; also the base of sequential reading.
class DiskReader {
public:
    DiskReader(std::shared_ptr<Disk> disk, std::shared_ptr<DiskFile> file, std::string path)
        : disk_(std::move(disk)), file_(std::move(file)), path_(std::move(path)) {}

    IOStatus read(uint64_t offset, size_t count, Slice *result, char *scratch) const {
        const Guard guard(disk_->mutex);
        const IOStatus status = disk_->begin(STELE_DISK_READ, path_);
        if (!status.ok()) return status;
        const std::string &bytes = *file_->bytes;
        const size_t start = std::min<uint64_t>(offset, bytes.size());
        const size_t length = std::min(count, bytes.size() - start);
        std::memcpy(scratch, bytes.data() + start, length);
        *result = Slice(scratch, length);
        return status;
    }

private:
    std::shared_ptr<Disk> disk_;
    std::shared_ptr<DiskFile> file_;
    std::string path_;
};

class SequentialFile final : public rocksdb::FSSequentialFile {
public:
    explicit SequentialFile(DiskReader reader) : reader_(std::move(reader)) {}

    IOStatus Read(
        size_t count, const IOOptions &, Slice *result, char *scratch, IODebugContext *) override {
        const IOStatus status = reader_.read(offset_, count, result, scratch);
        if (status.ok()) offset_ += result->size();
        return status;
    }
    IOStatus Skip(uint64_t count) override {
        offset_ += count;
        return IOStatus::OK();
    }

private:
    DiskReader reader_;
    uint64_t offset_ = 0;
};

class RandomAccessFile final : public rocksdb::FSRandomAccessFile {
public:
    explicit RandomAccessFile(DiskReader reader) : reader_(std::move(reader)) {}

    IOStatus Read(
        uint64_t offset, size_t count, const IOOptions &, Slice *result, char *scratch,
        IODebugContext *) const override {
        return reader_.read(offset, count, result, scratch);
    }

private:
    DiskReader reader_;
};

class WritableFile final : public rocksdb::FSWritableFile {
public:
    WritableFile(std::shared_ptr<Disk> disk, std::shared_ptr<DiskFile> file, std::string path)
        : disk_(std::move(disk)), file_(std::move(file)), path_(std::move(path)) {}

    using rocksdb::FSWritableFile::Append;
    IOStatus Append(const Slice &data, const IOOptions &, IODebugContext *) override {
        const Guard guard(disk_->mutex);
        const IOStatus status = disk_->begin(STELE_DISK_SPACE, path_);
        if (status.ok()) file_->bytes->append(data.data(), data.size());
        return status;
    }
    IOStatus Truncate(uint64_t size, const IOOptions &, IODebugContext *) override {
        const Guard guard(disk_->mutex);
        return disk_->truncate(file_, size);
    }
    IOStatus Sync(const IOOptions &, IODebugContext *) override {
        disk_->waitForSync();
        const Guard guard(disk_->mutex);
        return disk_->sync(file_, path_);
    }
    IOStatus Close(const IOOptions &, IODebugContext *) override { return IOStatus::OK(); }
    IOStatus Flush(const IOOptions &, IODebugContext *) override { return IOStatus::OK(); }
    uint64_t GetFileSize(const IOOptions &, IODebugContext *) override {
        const Guard guard(disk_->mutex);
        return file_->bytes->size();
    }

private:
    std::shared_ptr<Disk> disk_;
    std::shared_ptr<DiskFile> file_;
    std::string path_;
};

class Directory final : public rocksdb::FSDirectory {
public:
    Directory(std::shared_ptr<Disk> disk, std::string path)
        : disk_(std::move(disk)), path_(std::move(path)) {}

    IOStatus Fsync(const IOOptions &, IODebugContext *) override {
        disk_->waitForSync();
        const Guard guard(disk_->mutex);
        return disk_->syncDirectory(path_);
    }

private:
    std::shared_ptr<Disk> disk_;
    std::string path_;
};

struct Lock final : rocksdb::FileLock {
    explicit Lock(std::string path) : path(std::move(path)) {}
    std::string path;
};

class DiskFileSystem final : public rocksdb::FileSystem {
public:
    explicit DiskFileSystem(std::shared_ptr<Disk> disk) : disk_(std::move(disk)) {}

    const char *Name() const override { return "stele.disk"; }

    IOStatus NewSequentialFile(
        const std::string &path, const FileOptions &,
        std::unique_ptr<rocksdb::FSSequentialFile> *result, IODebugContext *) override {
        const Guard guard(disk_->mutex);
        std::shared_ptr<DiskFile> file;
        const IOStatus status = open(path, &file);
        if (status.ok()) result->reset(new SequentialFile(DiskReader(disk_, file, path)));
        return status;
    }
    IOStatus NewRandomAccessFile(
        const std::string &path, const FileOptions &,
        std::unique_ptr<rocksdb::FSRandomAccessFile> *result, IODebugContext *) override {
        const Guard guard(disk_->mutex);
        std::shared_ptr<DiskFile> file;
        const IOStatus status = open(path, &file);
        if (status.ok()) result->reset(new RandomAccessFile(DiskReader(disk_, file, path)));
        return status;
    }
    IOStatus NewWritableFile(
        const std::string &path, const FileOptions &,
        std::unique_ptr<rocksdb::FSWritableFile> *result, IODebugContext *) override {
        const Guard guard(disk_->mutex);
        const std::string name = normal(path);
        const IOStatus status = disk_->create(name, false);
        if (status.ok()) result->reset(new WritableFile(disk_, disk_->find(name), name));
        return status;
    }
    IOStatus ReopenWritableFile(
        const std::string &path, const FileOptions &options,
        std::unique_ptr<rocksdb::FSWritableFile> *result, IODebugContext *context) override {
        {
            const Guard guard(disk_->mutex);
            const std::string name = normal(path);
            if (const std::shared_ptr<DiskFile> file = disk_->find(name)) {
                result->reset(new WritableFile(disk_, file, name));
                return IOStatus::OK();
            }
        }
        return NewWritableFile(path, options, result, context);
    }
    IOStatus NewDirectory(
        const std::string &path, const IOOptions &,
        std::unique_ptr<rocksdb::FSDirectory> *result, IODebugContext *) override {
        const Guard guard(disk_->mutex);
        const std::string name = normal(path);
        const std::shared_ptr<DiskFile> file = disk_->find(name);
        if (!file || !file->isDirectory) return IOStatus::PathNotFound(path);
        result->reset(new Directory(disk_, name));
        return IOStatus::OK();
    }
    IOStatus FileExists(const std::string &path, const IOOptions &, IODebugContext *) override {
        const Guard guard(disk_->mutex);
        return disk_->find(normal(path)) ? IOStatus::OK() : IOStatus::NotFound(path);
    }
    IOStatus GetChildren(
        const std::string &path, const IOOptions &, std::vector<std::string> *result,
        IODebugContext *) override {
        const Guard guard(disk_->mutex);
        const IOStatus status = disk_->begin(STELE_DISK_READ, path);
        if (!status.ok()) return status;
        const std::string name = normal(path);
        const std::shared_ptr<DiskFile> directory = disk_->find(name);
        if (!directory) return IOStatus::NotFound(path);
        if (!directory->isDirectory) return IOStatus::IOError(path, "Not a directory");
        const std::string start = name == "/" ? name : name + "/";
        result->clear();
        for (auto child = disk_->names.upper_bound(start); child != disk_->names.end(); ++child) {
            if (child->first.compare(0, start.size(), start) != 0) break;
            if (child->first.find('/', start.size()) != std::string::npos) continue;
            result->push_back(child->first.substr(start.size()));
        }
        return status;
    }
    IOStatus DeleteFile(const std::string &path, const IOOptions &, IODebugContext *) override {
        const Guard guard(disk_->mutex);
        return disk_->remove(normal(path));
    }
    IOStatus CreateDir(const std::string &path, const IOOptions &, IODebugContext *) override {
        const Guard guard(disk_->mutex);
        const std::string name = normal(path);
        if (disk_->find(name)) return IOStatus::IOError(path, "File exists");
        return disk_->create(name, true);
    }
    IOStatus CreateDirIfMissing(
        const std::string &path, const IOOptions &, IODebugContext *) override {
        const Guard guard(disk_->mutex);
        const std::string name = normal(path);
        const std::shared_ptr<DiskFile> file = disk_->find(name);
        if (!file) return disk_->create(name, true);
        return file->isDirectory ? IOStatus::OK() : IOStatus::IOError(path, "Not a directory");
    }
    IOStatus DeleteDir(const std::string &path, const IOOptions &, IODebugContext *) override {
        const Guard guard(disk_->mutex);
        return disk_->remove(normal(path));
    }
    IOStatus GetFileSize(
        const std::string &path, const IOOptions &, uint64_t *size, IODebugContext *) override {
        const Guard guard(disk_->mutex);
        const std::shared_ptr<DiskFile> file = disk_->find(normal(path));
        if (!file) return IOStatus::PathNotFound(path);
        *size = file->bytes->size();
        return IOStatus::OK();
    }
    IOStatus GetFileModificationTime(
        const std::string &, const IOOptions &, uint64_t *time, IODebugContext *) override {
        *time = 0;
        return IOStatus::OK();
    }
    IOStatus RenameFile(
        const std::string &from, const std::string &to, const IOOptions &,
        IODebugContext *) override {
        const Guard guard(disk_->mutex);
        return disk_->rename(normal(from), normal(to));
    }
    IOStatus LinkFile(
        const std::string &from, const std::string &to, const IOOptions &,
        IODebugContext *) override {
        const Guard guard(disk_->mutex);
        return disk_->link(normal(from), normal(to));
    }
    IOStatus Truncate(
        const std::string &path, size_t size, const IOOptions &, IODebugContext *) override {
        const Guard guard(disk_->mutex);
        const std::shared_ptr<DiskFile> file = disk_->find(normal(path));
        return file ? disk_->truncate(file, size) : IOStatus::PathNotFound(path);
    }
    IOStatus LockFile(
        const std::string &path, const IOOptions &, rocksdb::FileLock **lock,
        IODebugContext *) override {
        const Guard guard(disk_->mutex);
        const std::string name = normal(path);
        if (!disk_->find(name)) {
            const IOStatus status = disk_->create(name, false);
            if (!status.ok()) return status;
        }
        if (!disk_->locks.insert(name).second) {
            return IOStatus::IOError("lock hold by current process", path);
        }
        *lock = new Lock(name);
        return IOStatus::OK();
    }
    IOStatus UnlockFile(rocksdb::FileLock *lock, const IOOptions &, IODebugContext *) override {
        const Guard guard(disk_->mutex);
        const std::unique_ptr<Lock> owned(static_cast<Lock *>(lock));
        disk_->locks.erase(owned->path);
        return IOStatus::OK();
    }
    IOStatus GetTestDirectory(const IOOptions &, std::string *path, IODebugContext *) override {
        *path = "/";
        return IOStatus::OK();
    }
    IOStatus GetAbsolutePath(
        const std::string &path, const IOOptions &, std::string *result,
        IODebugContext *) override {
        *result = normal(path);
        return IOStatus::OK();
    }
    IOStatus GetFreeSpace(
        const std::string &, const IOOptions &, uint64_t *free, IODebugContext *) override {
        const Guard guard(disk_->mutex);
        const stele_disk_fault &fault = disk_->fault;
        const bool isFull = fault.error == STELE_DISK_NO_SPACE && fault.is_permanent
            && disk_->operationsUnderFault >= fault.after;
        if (isFull) ++disk_->failures;
        *free = isFull ? 0 : uint64_t(1) << 40;
        return IOStatus::OK();
    }
    IOStatus NewLogger(
        const std::string &, const IOOptions &, std::shared_ptr<rocksdb::Logger> *result,
        IODebugContext *) override {
        *result = std::make_shared<SilentLogger>();
        return IOStatus::OK();
    }
    IOStatus IsDirectory(
        const std::string &path, const IOOptions &, bool *is, IODebugContext *) override {
        const Guard guard(disk_->mutex);
        const std::shared_ptr<DiskFile> file = disk_->find(normal(path));
        if (!file) return IOStatus::PathNotFound(path);
        *is = file->isDirectory;
        return IOStatus::OK();
    }

private:
    IOStatus open(const std::string &path, std::shared_ptr<DiskFile> *file) {
        const IOStatus status = disk_->begin(STELE_DISK_READ, path);
        if (!status.ok()) return status;
        *file = disk_->find(normal(path));
        if (!*file) return IOStatus::PathNotFound(path, "No such file or directory");
        return status;
    }

    std::shared_ptr<Disk> disk_;
};

class ImpatientClock final : public rocksdb::SystemClockWrapper {
public:
    using rocksdb::SystemClockWrapper::SystemClockWrapper;

    const char *Name() const override { return "stele.impatient-clock"; }
    void SleepForMicroseconds(int duration) override {
        target_->SleepForMicroseconds(std::min(duration, 100));
    }
};

class DiskEnv final : public rocksdb::EnvWrapper {
public:
    explicit DiskEnv(const std::shared_ptr<rocksdb::FileSystem> &files)
        : rocksdb::EnvWrapper(rocksdb::NewCompositeEnv(files)) {
        file_system_ = files;
        system_clock_ = std::make_shared<ImpatientClock>(rocksdb::SystemClock::Default());
    }
};

}  // namespace

std::unique_ptr<rocksdb::Env> makeDiskEnv(const std::shared_ptr<rocksdb::FileSystem> &files) {
    return std::make_unique<DiskEnv>(files);
}

std::shared_ptr<rocksdb::FileSystem> makeFileSystem(std::shared_ptr<Disk> disk) {
    return std::make_shared<DiskFileSystem>(std::move(disk));
}

}  // namespace stele
