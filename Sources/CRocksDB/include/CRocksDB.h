// RocksDB behind coarse C calls: a call is a whole batch, key or page, never a byte or a step.
//
// Ownership: a stele_bytes that goes in is only read during the call. Bytes handed to a sink are
// valid until the sink returns; a sink must not call into the same engine. Messages are the
// caller's to free.
//
// Threads: reads, stele_engine_flush and one writer (stele_batch_*) may run at the same time.
//
// Errors: every call that can fail returns a stele_code. Unless that is STELE_OK, *message is set
// to a text that stele_message_free frees. No C++ exception passes this header.

#ifndef CROCKSDB_H
#define CROCKSDB_H

#include "CRocksDBBase.h"
#include "CRocksDBDisk.h"
#include "CRocksDBResources.h"

#ifdef __cplusplus
extern "C" {
#endif

// Families of plain pairs, numbered as in the mutation list.
enum {
    STELE_LOCKS = 1,
    STELE_TRANSACTIONS = 2,
    STELE_LOCAL = 3,
};

typedef struct stele_engine stele_engine;
typedef struct stele_batch stele_batch;

typedef struct {
    // Size at which RocksDB flushes by itself, for the family of versions.
    uint64_t write_buffer_bytes;
    const stele_resources *resources;
    // Null: the file system.
    const stele_disk *disk;
    // May be null. Called until stele_engine_close returns.
    stele_event_sink on_event;
    void *context;
} stele_options;

// Opens or creates the store in `directory`. On failure nothing in an existing directory changed.
stele_code stele_engine_open(
    stele_bytes directory, stele_options options, stele_engine **engine, char **message);

// Frees everything. What was not flushed is given up. Batches must have been freed before.
void stele_engine_close(stele_engine *engine);

// Makes durable what was written before the call, in all families at once.
stele_code stele_engine_flush(stele_engine *engine, char **message);

// Calls the sink with the durable value of each applied state in the family `local`, by key.
stele_code stele_engine_frontier(
    stele_engine *engine, void *context, void (*sink)(void *, stele_bytes, stele_bytes),
    char **message);

stele_code stele_engine_statistics(
    stele_engine *engine, stele_statistics *statistics, char **message);

// How fast writes are taken, one of STELE_WRITES_*. Never waits.
uint8_t stele_engine_writes(const stele_engine *engine);

// A batch is reused: it is empty after creation, commit and clear.
stele_code stele_batch_create(stele_engine *engine, stele_batch **batch, char **message);
void stele_batch_free(stele_batch *batch);
void stele_batch_clear(stele_batch *batch);

// Adds mutations of a list from byte `offset` on until more than `max_bytes` were added; `*next` is
// where to go on. After an error the batch holds a part of them and must be cleared.
stele_code stele_batch_add(
    stele_batch *batch, stele_bytes list, size_t offset, size_t max_bytes, size_t *next,
    char **message);

stele_code stele_batch_put_local(
    stele_batch *batch, stele_bytes key, stele_bytes value, char **message);

// Writes the batch as a whole, and empties it whether that worked or not. Never waits for
// background work: where RocksDB wants a writer to wait, this is STELE_BUSY.
stele_code stele_batch_commit(stele_batch *batch, char **message);

// `value` is meaningless for a deletion.
typedef void (*stele_version_sink)(
    void *context, uint64_t timestamp, uint64_t transaction, uint8_t is_deletion,
    stele_bytes value);

typedef void (*stele_pair_sink)(void *context, stele_bytes key, stele_bytes value);

typedef void (*stele_key_sink)(void *context, stele_bytes key);

// Calls the sink with the newest version at or below `timestamp`, if there is one.
stele_code stele_read_newest(
    stele_engine *engine, stele_bytes key, uint64_t timestamp, void *context,
    stele_version_sink sink, char **message);

// Calls the sink with each version above `timestamp`, newest first, `limit` times at most.
stele_code stele_read_versions(
    stele_engine *engine, stele_bytes key, uint64_t timestamp, size_t limit, void *context,
    stele_version_sink sink, char **message);

typedef struct {
    // Empty `end`: to the end of the keyspace.
    stele_bytes start;
    stele_bytes end;
    uint64_t timestamp;
    size_t max_rows;
    size_t max_bytes;
    uint8_t is_reverse;
} stele_scan;

typedef struct {
    // Each row: key length (4), value length (4), timestamp (8), all little-endian; key; value.
    stele_bytes rows;
    size_t count;
    uint8_t has_resume_key;
    stele_bytes resume_key;
} stele_page;

typedef void (*stele_page_sink)(void *context, const stele_page *page);

// Calls the sink once with the visible rows of the range, at least one if there is one.
stele_code stele_read_scan(
    stele_engine *engine, const stele_scan *scan, void *context, stele_page_sink sink,
    char **message);

// Calls the sink with the first key of a range that has a version above `timestamp`, if any.
stele_code stele_read_first_change(
    stele_engine *engine, stele_bytes start, stele_bytes end, uint64_t timestamp, void *context,
    stele_key_sink sink, char **message);

// Calls the sink with the pair of `key` in a plain family, if there is one.
stele_code stele_read_value(
    stele_engine *engine, uint8_t family, stele_bytes key, void *context, stele_pair_sink sink,
    char **message);

// Calls the sink with each pair of a range of a plain family, ascending.
stele_code stele_read_pairs(
    stele_engine *engine, uint8_t family, stele_bytes start, stele_bytes end, void *context,
    stele_pair_sink sink, char **message);

#ifdef __cplusplus
}
#endif

#endif
