// Which keys of each family belong to a replica.

#pragma once

#include <array>
#include <optional>

#include "CRocksDBReplica.h"
#include "Engine.hpp"

namespace stele {

// Families in the order in which their pairs are packed.
constexpr std::array<size_t, 4> kReplicaFamilies = {kLocks, kTransactions, kLocal, kData};

constexpr size_t kPairHeaderBytes = 9;

class Replica {
public:
    explicit Replica(const stele_replica &replica)
        : start_(slice(replica.start).ToString()), end_(slice(replica.end).ToString()),
          localPrefix_(slice(replica.local_prefix).ToString()) {}

    const std::string &localPrefix() const { return localPrefix_; }

    // The first key that may belong to it.
    std::string first(size_t family) const;
    // The first key behind it; empty if there is none.
    std::string behind(size_t family) const;
    bool contains(size_t family, const rocksdb::Slice &key) const;

    // An end for a range tombstone over all that the store has of the replica: behind() if there is
    // one, else just behind the greater of `last` and the family's last key. Empty if there is neither
    // a `last` nor anything of the replica in the store.
    Failure clearEnd(
        stele_engine &engine, size_t family, const std::optional<std::string> &last,
        std::string *end) const;

private:
    std::string start_;
    std::string end_;
    std::string localPrefix_;
};

}  // namespace stele
