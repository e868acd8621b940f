#include "Resources.hpp"

#include "Failure.hpp"

namespace {

// A budget of its own, so that scans and compactions that fill the cache of blocks leave the rows that
// are read over and over, and the rows of many keys read once leave indexes and filters. A quarter,
// because a row takes a hundredth of the block that it spares.
constexpr uint64_t kRowShare = 4;

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
        const uint64_t rows = limits.cache_bytes / kRowShare;
        const uint64_t blocks = limits.cache_bytes - rows;
        created->rows = rocksdb::NewLRUCache(rows, shardBits(rows));
        created->blocks = rocksdb::NewLRUCache(blocks, shardBits(blocks));
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
