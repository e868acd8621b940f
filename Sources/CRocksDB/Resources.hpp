// Caches, write buffers and background bandwidth, possibly shared between engines.

#pragma once

#include <memory>

#include <rocksdb/cache.h>
#include <rocksdb/rate_limiter.h>
#include <rocksdb/write_buffer_manager.h>

#include "CRocksDBResources.h"

// Copying one shares what it holds.
struct stele_resources {
    // Indexes and filters, too.
    std::shared_ptr<rocksdb::Cache> blocks;
    std::shared_ptr<rocksdb::Cache> rows;
    // Null without a budget.
    std::shared_ptr<rocksdb::WriteBufferManager> writeBuffers;
    // Null without a limit.
    std::shared_ptr<rocksdb::RateLimiter> rateLimiter;
};
