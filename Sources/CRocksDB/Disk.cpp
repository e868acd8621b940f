// What operations do to the disk in memory, and what a crash leaves of them.

#include "Disk.hpp"

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>

#include <rocksdb/db.h>

#include "Failure.hpp"

namespace stele {
namespace {

std::string parentOf(const std::string &path) {
    const size_t slash = path.find_last_of('/');
    return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

rocksdb::IOStatus injected(uint8_t error, const std::string &path) {
    switch (error) {
    case STELE_DISK_NO_SPACE:
        return rocksdb::IOStatus::NoSpace(path, "No space left on device");
    case STELE_DISK_READ_ONLY:
        return rocksdb::IOStatus::IOError(path, "Read-only file system");
    default:
        return rocksdb::IOStatus::IOError(path, "Input/output error");
    }
}

void perform(const NameChange &change, DiskNames &names) {
    if (!change.removed.empty()) names.erase(change.removed);
    if (!change.added.empty()) names[change.added] = change.file;
}

}  // namespace

Disk::Disk() {
    auto root = std::make_shared<DiskFile>();
    root->isDirectory = true;
    names["/"] = root;
    durable = names;
}

rocksdb::IOStatus Disk::begin(uint8_t kind, const std::string &path) {
    if (kind == STELE_DISK_READ) {
        ++readOperations;
    } else {
        if (isRecording) moments.push_back(present());
        ++(kind == STELE_DISK_SPACE ? spaceOperations : changeOperations);
    }
    if (fault.error == 0 || (fault.operations & kind) == 0) return rocksdb::IOStatus::OK();
    const uint64_t number = operationsUnderFault++;
    const bool fails = fault.is_permanent ? number >= fault.after : number == fault.after;
    if (!fails) return rocksdb::IOStatus::OK();
    ++failures;
    return injected(fault.error, path);
}

std::shared_ptr<DiskFile> Disk::find(const std::string &path) const {
    const auto found = names.find(path);
    return found == names.end() ? nullptr : found->second;
}

rocksdb::IOStatus Disk::create(const std::string &path, bool isDirectory) {
    const rocksdb::IOStatus status = begin(STELE_DISK_SPACE, path);
    if (!status.ok()) return status;
    const std::shared_ptr<DiskFile> parent = find(parentOf(path));
    if (!parent || !parent->isDirectory) return rocksdb::IOStatus::PathNotFound(path);
    auto file = std::make_shared<DiskFile>();
    file->isDirectory = isDirectory;
    names[path] = file;
    changes.push_back(NameChange{parentOf(path), "", path, file});
    return status;
}

rocksdb::IOStatus Disk::remove(const std::string &path) {
    const rocksdb::IOStatus status = begin(STELE_DISK_CHANGE, path);
    if (!status.ok()) return status;
    if (names.erase(path) == 0) return rocksdb::IOStatus::PathNotFound(path);
    changes.push_back(NameChange{parentOf(path), path, "", nullptr});
    return status;
}

rocksdb::IOStatus Disk::rename(const std::string &from, const std::string &to) {
    const rocksdb::IOStatus status = begin(STELE_DISK_CHANGE, from);
    if (!status.ok()) return status;
    const std::shared_ptr<DiskFile> file = find(from);
    if (!file || !find(parentOf(to))) return rocksdb::IOStatus::PathNotFound(from);
    names.erase(from);
    names[to] = file;
    changes.push_back(NameChange{parentOf(to), from, to, file});
    return status;
}

rocksdb::IOStatus Disk::link(const std::string &from, const std::string &to) {
    const rocksdb::IOStatus status = begin(STELE_DISK_SPACE, to);
    if (!status.ok()) return status;
    const std::shared_ptr<DiskFile> file = find(from);
    if (!file || !find(parentOf(to))) return rocksdb::IOStatus::PathNotFound(from);
    names[to] = file;
    changes.push_back(NameChange{parentOf(to), "", to, file});
    return status;
}

rocksdb::IOStatus Disk::truncate(const std::shared_ptr<DiskFile> &file, size_t size) {
    const rocksdb::IOStatus status = begin(STELE_DISK_CHANGE, "");
    if (!status.ok()) return status;
    if (size >= file->bytes->size()) {
        file->bytes->append(size - file->bytes->size(), '\0');
    } else {
        file->bytes = std::make_shared<std::string>(file->bytes->substr(0, size));
        file->synced = std::min(file->synced, size);
    }
    return status;
}

rocksdb::IOStatus Disk::sync(const std::shared_ptr<DiskFile> &file, const std::string &path) {
    const rocksdb::IOStatus status = begin(STELE_DISK_CHANGE, path);
    if (!status.ok()) {
        file->isSyncLost = true;
    } else if (!file->isSyncLost) {
        file->synced = file->bytes->size();
    }
    return status;
}

rocksdb::IOStatus Disk::syncDirectory(const std::string &path) {
    const rocksdb::IOStatus status = begin(STELE_DISK_CHANGE, path);
    if (!status.ok()) return status;
    std::vector<NameChange> others;
    for (NameChange &change : changes) {
        if (change.directory == path) {
            perform(change, durable);
        } else {
            others.push_back(std::move(change));
        }
    }
    changes = std::move(others);
    return status;
}

void Disk::waitForSync() const {
    std::this_thread::sleep_for(std::chrono::milliseconds(syncMilliseconds.load()));
}

void Disk::inject(stele_disk_fault wanted) {
    fault = wanted;
    operationsUnderFault = 0;
    failures = 0;
}

void Disk::record() {
    isRecording = true;
    moments.clear();
}

DiskMoment Disk::present() const {
    DiskMoment moment{durable, changes, {}};
    const auto note = [&](const std::shared_ptr<DiskFile> &file) {
        if (!file) return;
        moment.contents[file.get()] = {file->bytes, {file->bytes->size(), file->synced}};
    };
    for (const auto &name : durable) note(name.second);
    for (const NameChange &change : changes) note(change.file);
    return moment;
}

void Disk::restore(const DiskMoment &moment, uint64_t seed) {
    std::mt19937_64 random(seed);
    DiskNames left = moment.durable;
    if (seed != 0) {
        const size_t kept = random() % (moment.changes.size() + 1);
        for (size_t index = 0; index < kept; ++index) perform(moment.changes[index], left);
    }
    std::map<const DiskFile *, std::shared_ptr<DiskFile>> copies;
    names.clear();
    for (const auto &[path, file] : left) {
        // Directories come before what they hold.
        if (path != "/" && names.find(parentOf(path)) == names.end()) continue;
        std::shared_ptr<DiskFile> &copy = copies[file.get()];
        if (!copy) {
            const auto &[bytes, sizes] = moment.contents.at(file.get());
            const size_t unsynced = sizes.first - sizes.second;
            const size_t kept = seed == 0 ? 0 : random() % (unsynced + 1);
            copy = std::make_shared<DiskFile>();
            copy->isDirectory = file->isDirectory;
            copy->bytes->assign(*bytes, 0, sizes.second + kept);
            copy->synced = copy->bytes->size();
        }
        names[path] = copy;
    }
    durable = names;
    changes.clear();
}

namespace {

stele_disk *makeHandle() {
    auto handle = std::make_unique<stele_disk>();
    handle->disk = std::make_shared<Disk>();
    return handle.release();
}

}  // namespace
}  // namespace stele

stele_code stele_disk_create(stele_disk **disk, char **message) {
    return stele::guarded(message, [&]() -> stele::Failure {
        *disk = stele::makeHandle();
        return stele::Failure();
    });
}

void stele_disk_free(stele_disk *disk) { delete disk; }

void stele_disk_inject(stele_disk *disk, stele_disk_fault fault) {
    const std::lock_guard<std::mutex> guard(disk->disk->mutex);
    disk->disk->inject(fault);
}

void stele_disk_slow_syncs(stele_disk *disk, uint32_t milliseconds) {
    disk->disk->syncMilliseconds.store(milliseconds);
}

uint64_t stele_disk_failures(const stele_disk *disk) {
    const std::lock_guard<std::mutex> guard(disk->disk->mutex);
    return disk->disk->failures;
}

uint64_t stele_disk_operations(const stele_disk *disk, uint8_t operations) {
    const std::lock_guard<std::mutex> guard(disk->disk->mutex);
    return ((operations & STELE_DISK_SPACE) ? disk->disk->spaceOperations : 0)
        + ((operations & STELE_DISK_CHANGE) ? disk->disk->changeOperations : 0)
        + ((operations & STELE_DISK_READ) ? disk->disk->readOperations : 0);
}

stele_code stele_disk_record(stele_disk *disk, char **message) {
    return stele::guarded(message, [&]() -> stele::Failure {
        const std::lock_guard<std::mutex> guard(disk->disk->mutex);
        disk->disk->record();
        return stele::Failure();
    });
}

size_t stele_disk_moments(const stele_disk *disk) {
    const std::lock_guard<std::mutex> guard(disk->disk->mutex);
    return disk->disk->moments.size() + 1;
}

stele_code stele_disk_crash(
    const stele_disk *disk, size_t moment, uint64_t seed, stele_disk **crashed, char **message) {
    return stele::guarded(message, [&]() -> stele::Failure {
        std::unique_ptr<stele_disk> left(stele::makeHandle());
        const std::lock_guard<std::mutex> guard(disk->disk->mutex);
        const std::vector<stele::DiskMoment> &moments = disk->disk->moments;
        if (moment > moments.size()) {
            return stele::failure(
                STELE_INVALID_ARGUMENT, "no moment " + std::to_string(moment) + " is remembered");
        }
        left->disk->restore(
            moment == moments.size() ? disk->disk->present() : moments[moment], seed);
        *crashed = left.release();
        return stele::Failure();
    });
}

stele_code stele_disk_files(
    const stele_disk *disk, void *context, stele_file_sink sink, char **message) {
    return stele::guarded(message, [&]() -> stele::Failure {
        const std::lock_guard<std::mutex> guard(disk->disk->mutex);
        for (const auto &[path, file] : disk->disk->names) {
            if (file->isDirectory) continue;
            const auto *content = reinterpret_cast<const uint8_t *>(file->bytes->data());
            sink(
                context,
                stele_bytes{reinterpret_cast<const uint8_t *>(path.data()), path.size()},
                stele_bytes{content, file->bytes->size()});
        }
        return stele::Failure();
    });
}

stele_code stele_disk_remove(stele_disk *disk, stele_bytes path, char **message) {
    return stele::guarded(message, [&]() -> stele::Failure {
        const std::string name(reinterpret_cast<const char *>(path.data), path.count);
        const std::lock_guard<std::mutex> guard(disk->disk->mutex);
        disk->disk->names.erase(name);
        disk->disk->durable.erase(name);
        return stele::Failure();
    });
}

stele_code stele_disk_make_foreign(
    stele_disk *disk, stele_bytes directory, stele_bytes family, stele_bytes key,
    stele_bytes value, char **message) {
    return stele::guarded(message, [&]() -> stele::Failure {
        const auto text = [](stele_bytes bytes) {
            return std::string(reinterpret_cast<const char *>(bytes.data), bytes.count);
        };
        const std::unique_ptr<rocksdb::Env> env =
            stele::makeDiskEnv(stele::makeFileSystem(disk->disk));
        rocksdb::Options options;
        options.env = env.get();
        options.create_if_missing = true;
        rocksdb::DB *opened = nullptr;
        rocksdb::Status status = rocksdb::DB::Open(options, text(directory), &opened);
        const std::unique_ptr<rocksdb::DB> db(opened);
        if (status.ok()) status = db->Put(rocksdb::WriteOptions(), text(key), text(value));
        if (status.ok()) status = db->Flush(rocksdb::FlushOptions());
        if (status.ok() && family.count > 0) {
            rocksdb::ColumnFamilyHandle *handle = nullptr;
            status = db->CreateColumnFamily(options, text(family), &handle);
            if (status.ok()) status = db->DestroyColumnFamilyHandle(handle);
        }
        return stele::failureOf(status);
    });
}

stele_code stele_disk_write(
    stele_disk *disk, stele_bytes path, stele_bytes content, char **message) {
    return stele::guarded(message, [&]() -> stele::Failure {
        const std::string name(reinterpret_cast<const char *>(path.data), path.count);
        const std::lock_guard<std::mutex> guard(disk->disk->mutex);
        auto file = std::make_shared<stele::DiskFile>();
        file->bytes->assign(reinterpret_cast<const char *>(content.data), content.count);
        file->synced = content.count;
        disk->disk->names[name] = file;
        disk->disk->durable[name] = file;
        return stele::Failure();
    });
}
