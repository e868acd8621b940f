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
    }
    // RocksDB tells a taken lock by its message only.
    if (!status.IsIOError()) return result;
    if (result.message.find("While lock file") != std::string::npos) {
        return failure(STELE_LOCKED, "it is open already, in this process or another");
    }
    if (result.message.find("lock hold by current process") != std::string::npos) {
        return failure(STELE_LOCKED, "it is open in this process already");
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
