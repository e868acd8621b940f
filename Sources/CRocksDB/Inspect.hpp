// Looking at a directory before it is opened.

#pragma once

#include "Engine.hpp"

namespace stele {

// The key in the family `default` that says which format the store has. It is the first thing ever
// flushed, so a store without it holds nothing and was being created.
constexpr const char *kFormatKey = "stele-format";
constexpr const char *kFormat = "1";

// Says whether the directory can be opened, without changing anything in it: one that is not ours,
// or of a newer format, or damaged, stays exactly as it was.
Failure inspect(
    const stele_engine &engine, const std::string &directory, const stele_options &options);

// The families, or those of them that are named in `only`.
std::vector<rocksdb::ColumnFamilyDescriptor> descriptors(
    const stele_engine &engine, const stele_options &options,
    const std::vector<std::string> *only = nullptr);

}  // namespace stele
