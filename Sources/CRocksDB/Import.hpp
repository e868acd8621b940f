// What opening a store has to do about imports that were cut short.

#pragma once

#include "Engine.hpp"

namespace stele {

// Removes all files of the directory in which imports are prepared, if there is one.
Failure removeImports(const std::string &directory, rocksdb::Env *env);

}  // namespace stele
