#include "DeferredErrors.hpp"

#include <algorithm>
#include <cstring>

namespace stele {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

// Invariant: once an operation failed, every sync and the close fail with the same status.
class DeferringFile final : public rocksdb::FSWritableFileOwnerWrapper {
public:
    using rocksdb::FSWritableFileOwnerWrapper::FSWritableFileOwnerWrapper;

    IOStatus Append(
        const rocksdb::Slice &data, const IOOptions &options, IODebugContext *context) override {
        return defer([&]() { return target()->Append(data, options, context); });
    }
    IOStatus Append(
        const rocksdb::Slice &data, const IOOptions &options,
        const rocksdb::DataVerificationInfo &info, IODebugContext *context) override {
        return defer([&]() { return target()->Append(data, options, info, context); });
    }
    IOStatus Truncate(
        uint64_t size, const IOOptions &options, IODebugContext *context) override {
        return defer([&]() { return target()->Truncate(size, options, context); });
    }
    IOStatus Flush(const IOOptions &options, IODebugContext *context) override {
        return defer([&]() { return target()->Flush(options, context); });
    }
    IOStatus RangeSync(
        uint64_t offset, uint64_t count, const IOOptions &options,
        IODebugContext *context) override {
        return defer([&]() { return target()->RangeSync(offset, count, options, context); });
    }
    IOStatus Sync(const IOOptions &options, IODebugContext *context) override {
        return fail([&]() { return target()->Sync(options, context); });
    }
    IOStatus Fsync(const IOOptions &options, IODebugContext *context) override {
        return fail([&]() { return target()->Fsync(options, context); });
    }
    IOStatus Close(const IOOptions &options, IODebugContext *context) override {
        const IOStatus closed = target()->Close(options, context);
        return first_.ok() ? closed : first_;
    }

private:
    template <typename Operation>
    IOStatus defer(Operation &&operation) {
        if (first_.ok()) first_ = operation();
        return IOStatus::OK();
    }

    template <typename Operation>
    IOStatus fail(Operation &&operation) {
        if (first_.ok()) first_ = operation();
        return first_;
    }

    IOStatus first_;
};

// A file that was read as a whole when it was opened.
class LoadedFile final : public rocksdb::FSRandomAccessFile {
public:
    explicit LoadedFile(std::string bytes) : bytes_(std::move(bytes)) {}

    IOStatus Read(
        uint64_t offset, size_t count, const IOOptions &, rocksdb::Slice *result, char *scratch,
        IODebugContext *) const override {
        const size_t start = std::min<uint64_t>(offset, bytes_.size());
        const size_t length = std::min(count, bytes_.size() - start);
        std::memcpy(scratch, bytes_.data() + start, length);
        *result = rocksdb::Slice(scratch, length);
        return IOStatus::OK();
    }

private:
    const std::string bytes_;
};

class DeferringFileSystem final : public rocksdb::FileSystemWrapper {
public:
    DeferringFileSystem(std::shared_ptr<rocksdb::FileSystem> base, std::string imports)
        : rocksdb::FileSystemWrapper(std::move(base)), imports_(std::move(imports)) {}

    const char *Name() const override { return "stele.deferred-errors"; }

    IOStatus NewRandomAccessFile(
        const std::string &path, const FileOptions &options,
        std::unique_ptr<rocksdb::FSRandomAccessFile> *result, IODebugContext *context) override {
        const IOStatus status = target()->NewRandomAccessFile(path, options, result, context);
        return status.ok() && isOfImport(path) ? load(path, result, context) : status;
    }
    IOStatus NewWritableFile(
        const std::string &path, const FileOptions &options,
        std::unique_ptr<rocksdb::FSWritableFile> *result, IODebugContext *context) override {
        return wrap(target()->NewWritableFile(path, options, result, context), result);
    }
    IOStatus ReopenWritableFile(
        const std::string &path, const FileOptions &options,
        std::unique_ptr<rocksdb::FSWritableFile> *result, IODebugContext *context) override {
        return wrap(target()->ReopenWritableFile(path, options, result, context), result);
    }
    IOStatus ReuseWritableFile(
        const std::string &path, const std::string &earlier, const FileOptions &options,
        std::unique_ptr<rocksdb::FSWritableFile> *result, IODebugContext *context) override {
        return wrap(
            target()->ReuseWritableFile(path, earlier, options, result, context), result);
    }

private:
    bool isOfImport(const std::string &path) const {
        return path.find_last_of('/') == imports_.size()
            && path.compare(0, imports_.size(), imports_) == 0;
    }

    IOStatus load(
        const std::string &path, std::unique_ptr<rocksdb::FSRandomAccessFile> *file,
        IODebugContext *context) {
        uint64_t size = 0;
        IOStatus status = target()->GetFileSize(path, IOOptions(), &size, context);
        std::string bytes(status.ok() ? size : 0, '\0');
        size_t filled = 0;
        while (status.ok() && filled < bytes.size()) {
            rocksdb::Slice read;
            status = (*file)->Read(
                filled, bytes.size() - filled, IOOptions(), &read, &bytes[filled], context);
            if (!status.ok() || read.empty()) break;
            if (read.data() != &bytes[filled]) {
                std::memmove(&bytes[filled], read.data(), read.size());
            }
            filled += read.size();
        }
        if (status.ok() && filled < bytes.size()) status = IOStatus::Corruption(path, "cut short");
        if (status.ok()) file->reset(new LoadedFile(std::move(bytes)));
        return status;
    }

    static IOStatus wrap(
        IOStatus status, std::unique_ptr<rocksdb::FSWritableFile> *result) {
        if (status.ok()) result->reset(new DeferringFile(std::move(*result)));
        return status;
    }

    // The directory of files that a store is about to take in.
    const std::string imports_;
};

}  // namespace

std::shared_ptr<rocksdb::FileSystem> deferErrors(
    std::shared_ptr<rocksdb::FileSystem> base, const std::string &imports) {
    return std::make_shared<DeferringFileSystem>(std::move(base), imports);
}

}  // namespace stele
