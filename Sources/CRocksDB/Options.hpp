// How RocksDB is set up.

#pragma once

#include "Engine.hpp"

namespace stele {

rocksdb::DBOptions databaseOptions(const stele_engine &engine);

rocksdb::ColumnFamilyOptions familyOptions(
    const stele_engine &engine, const stele_options &options, size_t family);

}  // namespace stele
