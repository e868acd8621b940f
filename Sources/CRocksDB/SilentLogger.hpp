// A log of RocksDB's that nobody reads.

#pragma once

#include <rocksdb/env.h>

namespace stele {

class SilentLogger final : public rocksdb::Logger {
public:
    using rocksdb::Logger::Logv;
    void Logv(const char *, va_list) override {}
    size_t GetLogFileSize() const override { return 0; }
};

}  // namespace stele
