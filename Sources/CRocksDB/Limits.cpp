#include "Limits.hpp"

namespace stele {
namespace {

Failure tooLong(const char *what, size_t count, size_t limit, const char *name) {
    return failure(
        STELE_INVALID_ARGUMENT,
        std::string("a ") + what + " of " + std::to_string(count) + " bytes exceeds the limit of "
            + std::to_string(limit) + " (" + name + ")");
}

}  // namespace

Failure longKey(const rocksdb::Slice &key) {
    if (key.size() <= kMaxKeyBytes) return Failure();
    return tooLong("key", key.size(), kMaxKeyBytes, "Limits.storedKeyBytes");
}

Failure longBound(const rocksdb::Slice &start, const rocksdb::Slice &end) {
    const Failure result = longKey(start);
    return result.isFailure() ? result : longKey(end);
}

Failure longValue(const rocksdb::Slice &value) {
    if (value.size() <= kMaxValueBytes) return Failure();
    return tooLong("value", value.size(), kMaxValueBytes, "Limits.valueBytes");
}

}  // namespace stele
