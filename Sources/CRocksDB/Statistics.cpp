#include "Engine.hpp"
#include "Events.hpp"

namespace stele {
namespace {

Failure readStatistics(stele_engine &engine, stele_statistics *result) {
    *result = stele_statistics{};
    const auto add = [&](rocksdb::ColumnFamilyHandle *family, const std::string &property,
                         uint64_t *sum) {
        uint64_t value = 0;
        if (engine.db->GetIntProperty(family, property, &value)) *sum += value;
    };
    using Properties = rocksdb::DB::Properties;
    for (rocksdb::ColumnFamilyHandle *family : engine.families) {
        rocksdb::ColumnFamilyMetaData meta;
        engine.db->GetColumnFamilyMetaData(family, &meta);
        for (const rocksdb::LevelMetaData &level : meta.levels) {
            if (level.level < 0 || level.level >= STELE_LEVELS) continue;
            result->level_files[level.level] += level.files.size();
            result->level_bytes[level.level] += level.size;
        }
        add(family, Properties::kCurSizeAllMemTables, &result->memtable_bytes);
        add(family, Properties::kEstimatePendingCompactionBytes,
            &result->pending_compaction_bytes);
        add(family, Properties::kTotalSstFilesSize, &result->table_bytes_on_disk);
    }
    rocksdb::ColumnFamilyHandle *data = engine.families[kData];
    // These two are of the whole database.
    add(data, Properties::kNumRunningFlushes, &result->running_flushes);
    add(data, Properties::kNumRunningCompactions, &result->running_compactions);
    add(data, Properties::kEstimateNumKeys, &result->estimated_versions);
    result->cache_bytes = engine.resources.blocks->GetUsage() + engine.resources.rows->GetUsage();
    result->cache_capacity = engine.resources.blocks->GetCapacity() + engine.resources.rows->GetCapacity();
    result->cache_hits = engine.cacheHits.load(std::memory_order_relaxed);
    result->cache_misses = engine.cacheMisses.load(std::memory_order_relaxed);
    result->row_hits = engine.rowHits.load(std::memory_order_relaxed);
    result->writes = engine.events->writes();
    return Failure();
}

}  // namespace
}  // namespace stele

stele_code stele_engine_statistics(
    stele_engine *engine, stele_statistics *statistics, char **message) {
    return stele::guarded(message, [&]() {
        return stele::readStatistics(*engine, statistics);
    });
}

uint8_t stele_engine_writes(const stele_engine *engine) { return engine->events->writes(); }
