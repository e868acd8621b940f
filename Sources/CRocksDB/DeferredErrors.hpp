// A file system that keeps a failed write to itself until the file is synced or closed.
//
// RocksDB built with its assertions, as some systems ship it, ends the process when it goes on with
// a file after a failed append, and its table builder does go on. Here a file that failed takes
// and drops all further bytes, and the error comes where RocksDB can bear it: no file counts for
// anything before its sync has succeeded.
//
// The other way round, it ends the process when it ingests a file whose last block cannot be read.
// A file of an import is therefore read as a whole when it is opened, where a failure is an error.

#pragma once

#include <memory>

#include <rocksdb/file_system.h>

namespace stele {

std::shared_ptr<rocksdb::FileSystem> deferErrors(
    std::shared_ptr<rocksdb::FileSystem> base, const std::string &imports);

}  // namespace stele
