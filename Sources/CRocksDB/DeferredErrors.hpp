// A file system that keeps a failed write to itself until the file is synced or closed.
//
// RocksDB built with its assertions, as some systems ship it, ends the process when it goes on with
// a file after a failed append, and its table builder does go on. Here a file that failed takes
// and drops all further bytes, and the error comes where RocksDB can bear it: no file counts for
// anything before its sync has succeeded.

#pragma once

#include <memory>

#include <rocksdb/file_system.h>

namespace stele {

std::shared_ptr<rocksdb::FileSystem> deferErrors(std::shared_ptr<rocksdb::FileSystem> base);

}  // namespace stele
