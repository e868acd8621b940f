#include "Options.hpp"

#include <algorithm>

#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/table_properties_collectors.h>

#include "Events.hpp"

namespace stele {
namespace {

constexpr size_t kDroppedWindow = 8192;

}  // namespace

rocksdb::DBOptions databaseOptions(const stele_engine &engine) {
    rocksdb::DBOptions options;
    options.env = engine.env.get();
    options.write_buffer_manager = engine.resources.writeBuffers;
    options.rate_limiter = engine.resources.rateLimiter;
    options.listeners = {engine.events};
    options.create_if_missing = true;
    options.create_missing_column_families = true;
    options.atomic_flush = true;
    // The log is the Raft log; what was not flushed comes from there, after a close too.
    options.avoid_flush_during_shutdown = true;
    options.max_background_jobs = 2;
    options.bytes_per_sync = 1 << 20;
    // There is one writer.
    options.allow_concurrent_memtable_write = false;
    // The event loop releases iterators, and must not delete files then.
    options.avoid_unnecessary_blocking_io = true;
    // The first background error is final; the node restarts.
    options.max_bgerror_resume_count = 0;
    options.info_log_level = rocksdb::WARN_LEVEL;
    options.keep_log_file_num = 2;
    options.max_log_file_size = 1 << 20;
    options.stats_dump_period_sec = 0;
    options.stats_persist_period_sec = 0;
    return options;
}

rocksdb::ColumnFamilyOptions familyOptions(
    const stele_engine &engine, const stele_options &options, size_t family) {
    rocksdb::ColumnFamilyOptions result;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = engine.resources.blocks;
    table.block_size = 16 << 10;
    table.format_version = 5;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    // In the cache, so that memory stays bounded, and in parts of a block's size, so that what is not
    // read leaves it: as one block a filter of a million keys is 1.2 MB, to be read and verified anew
    // whenever it was pushed out. What finds the part is pinned.
    table.cache_index_and_filter_blocks = true;
    table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
    table.partition_filters = true;
    table.metadata_cache_options.top_level_index_pinning = rocksdb::PinningTier::kAll;

    result.write_buffer_size = options.write_buffer_bytes;
    // Room for writes to go on while one memtable is being flushed and another one is waiting.
    result.max_write_buffer_number = 4;
    result.level_compaction_dynamic_level_bytes = true;
    result.level0_slowdown_writes_trigger = 40;
    result.level0_stop_writes_trigger = 200;
    result.compression_per_level.assign(7, rocksdb::kLZ4Compression);
    result.compression_per_level[0] = rocksdb::kNoCompression;
    result.compression_per_level[1] = rocksdb::kNoCompression;

    if (family == kData) {
        result.comparator = &engine.comparator;
        result.prefix_extractor = engine.prefix;
        result.compaction_filter_factory =
            std::make_shared<CollectorFactory>(engine.watermarks);
        result.memtable_prefix_bloom_size_ratio = 0.02;
        // Scans pass what was dropped in one step of an iterator, however long that takes; so files
        // in which half of so many neighbours are deletions are compacted soon.
        result.table_properties_collector_factories = {
            rocksdb::NewCompactOnDeletionCollectorFactory(kDroppedWindow, kDroppedWindow / 2)};
        table.whole_key_filtering = false;
    } else {
        result.write_buffer_size = std::max<uint64_t>(options.write_buffer_bytes / 2, 1 << 20);
    }
    result.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    return result;
}

}  // namespace stele
