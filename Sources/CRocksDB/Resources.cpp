#include "Resources.hpp"

#include "Failure.hpp"

stele_code stele_resources_create(
    stele_resource_limits limits, stele_resources **resources, char **message) {
    return stele::guarded(message, [&]() -> stele::Failure {
        auto created = std::make_unique<stele_resources>();
        created->cache = rocksdb::NewLRUCache(limits.block_cache_bytes);
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
