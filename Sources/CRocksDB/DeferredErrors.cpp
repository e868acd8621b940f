#include "DeferredErrors.hpp"

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

class DeferringFileSystem final : public rocksdb::FileSystemWrapper {
public:
    using rocksdb::FileSystemWrapper::FileSystemWrapper;

    const char *Name() const override { return "stele.deferred-errors"; }

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
    static IOStatus wrap(
        IOStatus status, std::unique_ptr<rocksdb::FSWritableFile> *result) {
        if (status.ok()) result->reset(new DeferringFile(std::move(*result)));
        return status;
    }
};

}  // namespace

std::shared_ptr<rocksdb::FileSystem> deferErrors(std::shared_ptr<rocksdb::FileSystem> base) {
    return std::make_shared<DeferringFileSystem>(std::move(base));
}

}  // namespace stele
