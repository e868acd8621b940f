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
#include "CRocksDBReplica.h"
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

// What reads go through: the latest state, or that of a snapshot.
typedef struct stele_reader stele_reader;

typedef struct {
    // Size at which RocksDB flushes by itself, for the family of versions.
    uint64_t write_buffer_bytes;
    // Refuse versions at or below a watermark, and those that are not newer than cleared ones of
    // their key, which compactions could take for hidden. Costs a read of every key that is written
    // and of every range that is cleared.
    uint8_t checks_history;
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

// The reader of the latest state, which the engine owns.
stele_reader *stele_engine_latest(stele_engine *engine);

// The same, but what a read finds neither in memtables nor in the cache ends it with STELE_BUSY.
stele_reader *stele_engine_in_memory(stele_engine *engine);

// A reader that keeps showing the present state. It must be freed before the engine is closed.
stele_code stele_snapshot_create(
    stele_engine *engine, stele_reader **snapshot, char **message);
void stele_snapshot_free(stele_reader *snapshot);

// Rewrites the stored versions of a range, dropping those that garbage collection may drop.
stele_code stele_engine_compact(
    stele_engine *engine, stele_bytes start, stele_bytes end, char **message);

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

// A moment to read at, and for whom.
typedef struct {
    uint64_t timestamp;
    // Versions above `timestamp` up to here are reported as uncertain.
    uint64_t uncertainty_limit;
    // Reads its own intents; 0 has none.
    uint64_t transaction;
} stele_read_point;

enum {
    STELE_NONE = 0,
    STELE_VALUE = 1,
    STELE_DELETION = 2,
    // An intent of another transaction stands in the way.
    STELE_INTENT = 3,
    // A version within the uncertainty window.
    STELE_UNCERTAIN = 4,
};

// What a read found at a key.
typedef struct {
    uint8_t outcome;
    uint32_t sequence;
    uint64_t timestamp;
    uint64_t transaction;
    // The value, or the anchor of an intent.
    stele_bytes bytes;
} stele_found;

typedef void (*stele_found_sink)(void *context, const stele_found *found);

typedef void (*stele_conflict_sink)(void *context, stele_bytes key, const stele_found *found);

typedef void (*stele_pair_sink)(void *context, stele_bytes key, stele_bytes value);

typedef void (*stele_key_sink)(void *context, stele_bytes key, uint64_t timestamp);

// Calls the sink once for each of `count` keys, in their order.
stele_code stele_read_keys(
    stele_reader *reader, const stele_bytes *keys, size_t count, const stele_read_point *point,
    void *context, stele_found_sink sink, char **message);

// Calls the sink with the newest version at or below `timestamp`, whatever intent there is.
stele_code stele_read_newest(
    stele_reader *reader, stele_bytes key, uint64_t timestamp, void *context,
    stele_found_sink sink, char **message);

// Calls the sink with each version above `timestamp`, newest first, `limit` times at most.
// `is_unchecked` shows what is stored below the watermark too.
stele_code stele_read_versions(
    stele_reader *reader, stele_bytes key, uint64_t timestamp, size_t limit,
    uint8_t is_unchecked, void *context, stele_found_sink sink, char **message);

typedef struct {
    // Empty `end`: to the end of the keyspace.
    stele_bytes start;
    stele_bytes end;
    stele_read_point point;
    size_t max_rows;
    size_t max_bytes;
    size_t max_keys;
    size_t max_conflicts;
    // Keys to search for more conflicts behind the first one, where no rows are taken any more.
    size_t max_keys_after_conflict;
    uint8_t is_reverse;
} stele_scan;

typedef struct {
    // Each row: key length (4), value length (4), timestamp (8), all little-endian; key; value.
    stele_bytes rows;
    size_t count;
    // Keys with versions or an intent that were looked at.
    size_t visited;
    uint8_t has_resume_key;
    stele_bytes resume_key;
} stele_page;

typedef void (*stele_page_sink)(void *context, const stele_page *page);

// Calls `conflict_sink` with each conflict met, then `page_sink` once with the rows before them.
stele_code stele_read_scan(
    stele_reader *reader, const stele_scan *scan, void *context, stele_page_sink page_sink,
    stele_conflict_sink conflict_sink, char **message);

// Calls `sink` with the first key, among the first `max_keys` of a range, that has a version above
// `timestamp`, if there is one; else `resume_sink` with the key to go on at, if any is left. Sets
// `visited` to the number of keys that were looked at.
stele_code stele_read_first_change(
    stele_reader *reader, stele_bytes start, stele_bytes end, uint64_t timestamp,
    size_t max_keys, void *context, stele_key_sink sink, stele_key_sink resume_sink,
    size_t *visited, char **message);

// Calls `sink` with each key, among the first `max_keys` of a range, whose newest version is a
// deletion at or below `timestamp`; calls `resume_sink` with the key to go on at, if any is left.
stele_code stele_read_deletions(
    stele_reader *reader, stele_bytes start, stele_bytes end, uint64_t timestamp,
    size_t max_keys, void *context, stele_key_sink sink, stele_key_sink resume_sink,
    char **message);

// Calls the sink with the pair of `key` in a plain family, if there is one.
stele_code stele_read_value(
    stele_reader *reader, uint8_t family, stele_bytes key, void *context, stele_pair_sink sink,
    char **message);

// Calls `sink` with each pair of a range of a plain family, ascending, until there are `max_pairs`,
// or the keys and values have `max_bytes`; but with one in any case. Then calls `resume_sink` with
// the key to go on at, if any is left.
stele_code stele_read_pairs(
    stele_reader *reader, uint8_t family, stele_bytes start, stele_bytes end, size_t max_pairs,
    size_t max_bytes, void *context, stele_pair_sink sink, stele_key_sink resume_sink,
    char **message);

#ifdef __cplusplus
}
#endif

#endif
