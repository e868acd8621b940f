#include "Failure.hpp"

#include <cstdlib>
#include <cstring>

namespace stele {

Failure failureOf(const rocksdb::Status &status) {
    if (status.ok()) return Failure();
    stele_code code = STELE_IO;
    if (status.IsIncomplete()) {
        code = STELE_BUSY;
    } else if (status.IsCorruption()) {
        code = STELE_CORRUPTION;
    } else if (
        status.subcode() == rocksdb::Status::kNoSpace
        || status.subcode() == rocksdb::Status::kSpaceLimit) {
        code = STELE_NO_SPACE;
    }
    return failure(code, status.ToString());
}

Failure openFailureOf(const rocksdb::Status &status) {
    Failure result = failureOf(status);
    if (status.IsInvalidArgument() || status.IsNotSupported()) {
        result.code = STELE_INCOMPATIBLE;
    } else if (
        // RocksDB tells a taken lock by its message only; the first form is another process, the
        // second another engine of this process.
        status.IsIOError()
        && (result.message.find("While lock file") != std::string::npos
            || result.message.find("lock hold by current process") != std::string::npos)) {
        result.code = STELE_LOCKED;
    }
    return result;
}

stele_code report(const Failure &failure, char **message) noexcept {
    *message = static_cast<char *>(std::malloc(failure.message.size() + 1));
    if (*message != nullptr) {
        std::memcpy(*message, failure.message.c_str(), failure.message.size() + 1);
    }
    return failure.code;
}

}  // namespace stele

void stele_message_free(char *message) { std::free(message); }
