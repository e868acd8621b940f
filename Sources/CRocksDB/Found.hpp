// What reads make of stored versions and intents.

#pragma once

#include <algorithm>

#include "Engine.hpp"

namespace stele {

inline Failure unknownVersion() {
    return failure(STELE_CORRUPTION, "a stored version has an unknown form");
}

inline Failure unknownIntent() {
    return failure(STELE_CORRUPTION, "a stored intent has an unknown form");
}

// Up to where versions and intents concern a read.
inline uint64_t newestOf(const stele_read_point &point) {
    return std::max(point.timestamp, point.uncertainty_limit);
}

// Describes a stored version; false if it cannot be read.
inline bool foundVersion(
    const rocksdb::Slice &key, const rocksdb::Slice &value, stele_found *found) {
    StoredVersion version;
    if (!decodeVersion(value, &version)) return false;
    found->outcome = version.kind == VersionKind::deletion ? STELE_DELETION : STELE_VALUE;
    found->sequence = 0;
    found->timestamp = timestampOf(key);
    found->transaction = version.transaction;
    found->bytes = bytes(version.value);
    return true;
}

// Describes what an intent means to a read: its value if it is the reader's own, a conflict if it
// is another one's and not too new, else nothing. False if it cannot be read.
inline bool foundIntent(
    const rocksdb::Slice &stored, const stele_read_point &point, stele_found *found) {
    StoredIntent intent;
    if (!decodeIntent(stored, &intent)) return false;
    found->sequence = intent.sequence;
    found->timestamp = intent.timestamp;
    found->transaction = intent.transaction;
    if (point.transaction != 0 && intent.transaction == point.transaction) {
        found->outcome =
            intent.kind == VersionKind::deletion ? STELE_DELETION : STELE_VALUE;
        found->bytes = bytes(intent.value);
    } else if (intent.timestamp <= newestOf(point)) {
        found->outcome = STELE_INTENT;
        found->bytes = bytes(intent.anchor);
    } else {
        found->outcome = STELE_NONE;
    }
    return true;
}

}  // namespace stele
