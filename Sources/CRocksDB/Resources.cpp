#include "Resources.hpp"

#include "Failure.hpp"

namespace {

// A block that is larger than a shard is not kept, and a request whose blocks do not fit in beside
// each other never finds all of them in memory. So shards have room for several of the largest values;
// few threads use the cache, and need few.
int shardBits(uint64_t bytes) {
    constexpr uint64_t kSmallestShard = 32 << 20;
    int bits = 0;
    while (bits < 4 && bytes >> (bits + 1) >= kSmallestShard) bits++;
    return bits;
}

}  // namespace

stele_code stele_resources_create(
    stele_resource_limits limits, stele_resources **resources, char **message) {
    return stele::guarded(message, [&]() -> stele::Failure {
        auto created = std::make_unique<stele_resources>();
        created->cache = rocksdb::NewLRUCache(
            limits.block_cache_bytes, shardBits(limits.block_cache_bytes));
        if (limits.write_buffer_bytes > 0) {
            created->writeBuffers =
                std::make_shared<rocksdb::WriteBufferManager>(limits.write_buffer_bytes);
        }
        if (limits.background_bytes_per_second > 0) {
            created->rateLimiter.reset(rocksdb::NewGenericRateLimiter(
                static_cast<int64_t>(limits.background_bytes_per_second)));
        }
        *resources = created.release();
        return stele::Failure();
    });
}

void stele_resources_free(stele_resources *resources) { delete resources; }
