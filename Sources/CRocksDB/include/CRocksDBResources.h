// What several engines of one process share, what an engine tells by itself, and what it counts.

#ifndef CROCKSDB_RESOURCES_H
#define CROCKSDB_RESOURCES_H

#include "CRocksDBBase.h"

#ifdef __cplusplus
extern "C" {
#endif

// A cache of blocks and one of rows that were read, a budget of unflushed writes, a limit of background
// writing. Engines opened with it keep it alive; it is freed with the last of them.
typedef struct stele_resources stele_resources;

typedef struct {
    // Of both caches together.
    uint64_t cache_bytes;
    // Unflushed bytes, of all engines together, at which one flushes by itself; 0 is no budget.
    uint64_t write_buffer_bytes;
    // What flushes and compactions write a second, of all engines together; 0 is no limit.
    uint64_t background_bytes_per_second;
} stele_resource_limits;

stele_code stele_resources_create(
    stele_resource_limits limits, stele_resources **resources, char **message);
void stele_resources_free(stele_resources *resources);

// How fast an engine takes writes.
enum {
    STELE_WRITES_NORMAL = 0,
    STELE_WRITES_DELAYED = 1,
    STELE_WRITES_STOPPED = 2,
};

enum {
    // More is durable than before.
    STELE_EVENT_FLUSHED = 1,
    // The engine failed in the background and takes no more writes.
    STELE_EVENT_FAILED = 2,
    // It takes writes faster or slower than before; `code` is one of STELE_WRITES_*.
    STELE_EVENT_WRITES = 3,
};

// Comes from threads of RocksDB; must return soon, and not call into the engine.
typedef void (*stele_event_sink)(
    void *context, uint8_t event, int32_t code, stele_bytes message);

enum { STELE_LEVELS = 7 };

typedef struct {
    // Of all families.
    uint64_t level_files[STELE_LEVELS];
    uint64_t level_bytes[STELE_LEVELS];
    uint64_t memtable_bytes;
    uint64_t pending_compaction_bytes;
    uint64_t running_flushes;
    uint64_t running_compactions;
    // Obsolete files that something still reads are in here, and not in the levels.
    uint64_t table_bytes_on_disk;
    // Versions in the store, estimated.
    uint64_t estimated_versions;
    // Of both caches, which other engines may share.
    uint64_t cache_bytes;
    uint64_t cache_capacity;
    // Blocks that reads of this engine found in the cache, and had to fetch.
    uint64_t cache_hits;
    uint64_t cache_misses;
    // Reads of one key that were answered without looking into blocks.
    uint64_t row_hits;
    uint8_t writes;
} stele_statistics;

#ifdef __cplusplus
}
#endif

#endif
