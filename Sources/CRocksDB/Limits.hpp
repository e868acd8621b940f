// What no key, no bound and no value may exceed, whether from a mutation list or from a snapshot.

#pragma once

#include <rocksdb/slice.h>

#include "Failure.hpp"

namespace stele {

// Limits.storedKeyBytes and Limits.valueBytes of SteleBase, which a test compares.
constexpr size_t kMaxKeyBytes = (8 << 10) + 256;
constexpr size_t kMaxValueBytes = 4 << 20;

// A failure that names the limit if a key, as it is stored but without its timestamp, exceeds it.
Failure longKey(const rocksdb::Slice &key);

// The same for the bounds of a range, which are no longer than keys.
Failure longBound(const rocksdb::Slice &start, const rocksdb::Slice &end);

// The same for a value without what it is stored with.
Failure longValue(const rocksdb::Slice &value);

}  // namespace stele
