// Cache, write buffers and background bandwidth, possibly shared between engines.

#pragma once

#include <memory>

#include <rocksdb/cache.h>
#include <rocksdb/rate_limiter.h>
#include <rocksdb/write_buffer_manager.h>

#include "CRocksDBResources.h"

// Copying one shares what it holds.
struct stele_resources {
    std::shared_ptr<rocksdb::Cache> cache;
    // Null without a budget.
    std::shared_ptr<rocksdb::WriteBufferManager> writeBuffers;
    // Null without a limit.
    std::shared_ptr<rocksdb::RateLimiter> rateLimiter;
};
