// How failures travel inside the shim: as a code with a message, also when they began as a RocksDB
// status or as an exception.

#pragma once

#include <exception>
#include <new>
#include <string>
#include <utility>

#include <rocksdb/status.h>

#include "CRocksDB.h"

namespace stele {

struct Failure {
    stele_code code = STELE_OK;
    std::string message;

    bool isFailure() const { return code != STELE_OK; }
};

inline Failure failure(stele_code code, std::string message) {
    return Failure{code, std::move(message)};
}

// What a status of a read, a write or a flush means.
Failure failureOf(const rocksdb::Status &status);

// What a status of opening a directory means: here a mismatch of options says "not ours".
Failure openFailureOf(const rocksdb::Status &status);

stele_code report(const Failure &failure, char **message) noexcept;

// Runs `body`, which returns a Failure, and turns what it throws into one.
template <typename Body>
stele_code guarded(char **message, Body &&body) noexcept {
    try {
        const Failure result = body();
        return result.isFailure() ? report(result, message) : STELE_OK;
    } catch (const std::bad_alloc &) {
        return report(Failure{STELE_IO, "out of memory"}, message);
    } catch (const std::exception &error) {
        return report(Failure{STELE_IO, error.what()}, message);
    } catch (...) {
        return report(Failure{STELE_IO, "unknown C++ exception"}, message);
    }
}

}  // namespace stele
