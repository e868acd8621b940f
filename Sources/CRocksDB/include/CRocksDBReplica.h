// Moving and removing what belongs to one replica, in all families at once.
//
// Pairs are packed one behind the other: family (1), key length (4), value length (4), key, value;
// by family, then by key. Keys are the stored ones, except that those of the family `local` lack
// the replica's prefix.

#ifndef CROCKSDB_REPLICA_H
#define CROCKSDB_REPLICA_H

#include "CRocksDBBase.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct stele_engine stele_engine;
typedef struct stele_batch stele_batch;
typedef struct stele_export stele_export;
typedef struct stele_import stele_import;

typedef struct {
    // Of user keys; an empty end is the end of the keyspace.
    stele_bytes start;
    stele_bytes end;
    // What all its keys of the family `local` begin with.
    stele_bytes local_prefix;
} stele_replica;

// Holds on to the present state of the replica.
stele_code stele_export_create(
    stele_engine *engine, const stele_replica *replica, stele_export **created, char **message);
void stele_export_free(stele_export *from);

// Calls the sink with the value of the replica's applied state, if it has one.
stele_code stele_export_applied(
    stele_export *from, void *context, void (*sink)(void *context, stele_bytes value),
    char **message);

// Calls the sink once with the next pairs, more than `max_bytes` only if the first one is; with
// none at the end.
stele_code stele_export_next(
    stele_export *from, size_t max_bytes, void *context,
    void (*sink)(void *context, stele_bytes pairs), char **message);

// Collects pairs in files of its own, which nothing refers to before stele_import_finish.
stele_code stele_import_create(
    stele_engine *engine, const stele_replica *replica, stele_import **created, char **message);
void stele_import_free(stele_import *to);

// Adds pairs, which must go on in order and lie within the replica. After an error it can only be
// freed.
stele_code stele_import_add(stele_import *to, stele_bytes pairs, char **message);

// Calls the sink with the value of the replica's applied state, if it was added.
stele_code stele_import_applied(
    const stele_import *to, void *context, void (*sink)(void *context, stele_bytes value),
    char **message);

// Replaces all that the replica had by what was added, durably, as a whole. No write may run
// meanwhile.
stele_code stele_import_finish(stele_import *to, char **message);

// Adds the removal of all that the replica has to a batch that is empty.
stele_code stele_batch_remove_replica(
    stele_batch *batch, const stele_replica *replica, char **message);

#ifdef __cplusplus
}
#endif

#endif
