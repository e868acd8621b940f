#include "Replica.hpp"

#include "Batch.hpp"

namespace stele {
namespace {

const rocksdb::Comparator &comparatorOf(const stele_engine &engine, size_t family) {
    return *engine.families[family]->GetComparator();
}

// The smallest key that no key with this prefix is above; there is one for prefixes of local keys.
std::string successor(std::string prefix) {
    while (!prefix.empty() && static_cast<uint8_t>(prefix.back()) == 0xFF) prefix.pop_back();
    if (!prefix.empty()) ++prefix.back();
    return prefix;
}

// A key of the family just behind `key`, and behind all versions of it.
std::string justBehind(size_t family, const rocksdb::Slice &key) {
    std::string result;
    if (family == kData) {
        versionKey(result, userKey(key).ToString() + '\0', kNewest);
    } else {
        result = key.ToString() + '\0';
    }
    return result;
}

}  // namespace

std::string Replica::first(size_t family) const {
    std::string key;
    if (family == kLocal) return localPrefix_;
    if (family != kData) return start_;
    versionKey(key, start_, kNewest);
    return key;
}

std::string Replica::behind(size_t family) const {
    std::string key;
    if (family == kLocal) return successor(localPrefix_);
    if (family != kData || end_.empty()) return end_;
    versionKey(key, end_, kNewest);
    return key;
}

bool Replica::contains(size_t family, const rocksdb::Slice &key) const {
    if (family == kLocal) return key.starts_with(localPrefix_);
    const rocksdb::Slice user = family == kData ? userKey(key) : key;
    return user.compare(start_) >= 0 && (end_.empty() || user.compare(end_) < 0);
}

Failure Replica::clearEnd(
    stele_engine &engine, size_t family, const std::optional<std::string> &last,
    std::string *end) const {
    const rocksdb::Comparator &comparator = comparatorOf(engine, family);
    std::unique_ptr<rocksdb::Iterator> iterator(
        engine.db->NewIterator(engine.latest.rangeReads(), engine.families[family]));
    end->clear();
    *end = behind(family);
    if (!end->empty()) {
        iterator->Seek(first(family));
        const bool hasKeys = iterator->Valid() && contains(family, iterator->key());
        if (!hasKeys && !last) end->clear();
        return failureOf(iterator->status());
    }
    iterator->SeekToLast();
    std::optional<std::string> greatest = last;
    if (iterator->Valid() && contains(family, iterator->key())
        && (!last || comparator.Compare(iterator->key(), *last) > 0)) {
        greatest = iterator->key().ToString();
    }
    if (greatest) *end = justBehind(family, *greatest);
    return failureOf(iterator->status());
}

}  // namespace stele

stele_code stele_batch_remove_replica(
    stele_batch *batch, const stele_replica *replica, char **message) {
    return stele::guarded(message, [&]() -> stele::Failure {
        const rocksdb::Slice start = stele::slice(replica->start);
        const rocksdb::Slice end = stele::slice(replica->end);
        const stele::Replica scope(*replica);
        rocksdb::Status status = batch->clearVersions(start, end);
        for (const size_t family : {stele::kLocks, stele::kTransactions}) {
            if (status.ok()) status = batch->clearPlain(family, start, end);
        }
        if (status.ok()) {
            status = batch->clearPlain(
                stele::kLocal, scope.first(stele::kLocal), scope.behind(stele::kLocal));
        }
        return stele::failureOf(status);
    });
}
