// Keys of the family `data`: user key, then 8 bytes of inverted big-endian timestamp.
//
// Concatenated keys do not sort bytewise ("a" and "a\0" would interleave), hence the comparator:
// user key first, then timestamp, newest first. All keys that it sees, bounds of scans and of range
// tombstones included, carry the 8 bytes; a shorter key would be taken for a bare user key.

#pragma once

#include <cstdint>
#include <cstring>
#include <string>

#include <rocksdb/comparator.h>
#include <rocksdb/slice.h>
#include <rocksdb/slice_transform.h>

namespace stele {

constexpr size_t kTimestampBytes = 8;
constexpr uint64_t kNewest = UINT64_MAX;

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "stored integers are little-endian");

inline rocksdb::Slice userKey(const rocksdb::Slice &key) {
    return key.size() < kTimestampBytes
        ? key : rocksdb::Slice(key.data(), key.size() - kTimestampBytes);
}

// The timestamp bytes as the integer that they sort by; 0 sorts first and is the newest.
inline uint64_t invertedTimestamp(const rocksdb::Slice &key) {
    if (key.size() < kTimestampBytes) return 0;
    uint64_t raw;
    std::memcpy(&raw, key.data() + key.size() - kTimestampBytes, kTimestampBytes);
    return __builtin_bswap64(raw);
}

inline uint64_t timestampOf(const rocksdb::Slice &key) { return ~invertedTimestamp(key); }

inline void encodeTimestamp(uint64_t timestamp, char *bytes) {
    const uint64_t raw = __builtin_bswap64(~timestamp);
    std::memcpy(bytes, &raw, kTimestampBytes);
}

// Overwrites `buffer` with the key of a version; kNewest gives the bound before all versions.
inline rocksdb::Slice versionKey(
    std::string &buffer, const rocksdb::Slice &user, uint64_t timestamp) {
    buffer.assign(user.data(), user.size());
    char bytes[kTimestampBytes];
    encodeTimestamp(timestamp, bytes);
    buffer.append(bytes, kTimestampBytes);
    return rocksdb::Slice(buffer);
}

class VersionComparator final : public rocksdb::Comparator {
public:
    const char *Name() const override { return "stele.version.1"; }

    int Compare(const rocksdb::Slice &a, const rocksdb::Slice &b) const override {
        const int order = userKey(a).compare(userKey(b));
        if (order != 0) return order;
        const uint64_t left = invertedTimestamp(a);
        const uint64_t right = invertedTimestamp(b);
        return left < right ? -1 : left > right ? 1 : 0;
    }

    bool Equal(const rocksdb::Slice &a, const rocksdb::Slice &b) const override { return a == b; }

    bool CanKeysWithDifferentByteContentsBeEqual() const override { return false; }

    // A shortened separator would lack the timestamp bytes.
    void FindShortestSeparator(std::string *, const rocksdb::Slice &) const override {}
    void FindShortSuccessor(std::string *) const override {}
};

// The user key: what bloom filters hold, since no read names a timestamp exactly.
class VersionPrefix final : public rocksdb::SliceTransform {
public:
    const char *Name() const override { return "stele.version-prefix.1"; }
    rocksdb::Slice Transform(const rocksdb::Slice &key) const override { return userKey(key); }
    bool InDomain(const rocksdb::Slice &key) const override {
        return key.size() >= kTimestampBytes;
    }
};

// Values of the family `data`: kind byte, 8-byte transaction id, value; a deletion has none.
enum class VersionKind : uint8_t { value = 1, deletion = 2 };

constexpr size_t kVersionHeaderBytes = 9;

struct StoredVersion {
    VersionKind kind;
    uint64_t transaction;
    rocksdb::Slice value;
};

inline void encodeVersionHeader(VersionKind kind, uint64_t transaction, char *bytes) {
    bytes[0] = static_cast<char>(kind);
    std::memcpy(bytes + 1, &transaction, sizeof transaction);
}

// False if the bytes were not written by us.
inline bool decodeVersion(const rocksdb::Slice &bytes, StoredVersion *version) {
    if (bytes.size() < kVersionHeaderBytes) return false;
    version->kind = static_cast<VersionKind>(bytes[0]);
    if (version->kind != VersionKind::value && version->kind != VersionKind::deletion) return false;
    if (version->kind == VersionKind::deletion && bytes.size() > kVersionHeaderBytes) return false;
    std::memcpy(&version->transaction, bytes.data() + 1, sizeof version->transaction);
    version->value =
        rocksdb::Slice(bytes.data() + kVersionHeaderBytes, bytes.size() - kVersionHeaderBytes);
    return true;
}

}  // namespace stele
