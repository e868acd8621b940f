// A disk in memory, for tests of what a crash or a failing disk leaves.
//
// It keeps what was written apart from what was synced, data of files and entries of directories
// alike, and counts its operations, so that a test can crash or fail at each one. An engine that
// is opened on a disk uses it instead of the file system; it may outlive the handle.

#ifndef CROCKSDB_DISK_H
#define CROCKSDB_DISK_H

#include "CRocksDBBase.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct stele_disk stele_disk;

// Kinds of operations, as bits.
enum {
    // Creating, appending, linking.
    STELE_DISK_SPACE = 1,
    // Syncing files and directories, renaming, deleting, truncating.
    STELE_DISK_CHANGE = 2,
    // Opening, reading, listing.
    STELE_DISK_READ = 4,
};

enum {
    STELE_DISK_IO_ERROR = 1,
    STELE_DISK_NO_SPACE = 2,
    STELE_DISK_READ_ONLY = 3,
};

typedef struct {
    uint8_t error;
    uint8_t operations;
    uint8_t is_permanent;
    // How many operations of these kinds go well before it.
    uint64_t after;
} stele_disk_fault;

stele_code stele_disk_create(stele_disk **disk, char **message);
void stele_disk_free(stele_disk *disk);

// Replaces the fault in force and starts to count again; an error of 0 ends it.
void stele_disk_inject(stele_disk *disk, stele_disk_fault fault);

// How long each sync takes from now on, of a file or a directory; others go on meanwhile.
void stele_disk_slow_syncs(stele_disk *disk, uint32_t milliseconds);

// How many operations failed since the last call of stele_disk_inject.
uint64_t stele_disk_failures(const stele_disk *disk);

// How many operations of these kinds there were, ever.
uint64_t stele_disk_operations(const stele_disk *disk, uint8_t operations);

// From now on, remembers what the disk held before each operation that changes it.
stele_code stele_disk_record(stele_disk *disk, char **message);

// How many moments are remembered; the last one is the present.
size_t stele_disk_moments(const stele_disk *disk);

// Makes the disk that a crash at that moment leaves. With seed 0 all that was not synced is gone;
// else a prefix of each file's unsynced bytes is kept, and of the unsynced changes of directories.
stele_code stele_disk_crash(
    const stele_disk *disk, size_t moment, uint64_t seed, stele_disk **crashed, char **message);

typedef void (*stele_file_sink)(void *context, stele_bytes path, stele_bytes content);

// Calls the sink with each file, by path.
stele_code stele_disk_files(
    const stele_disk *disk, void *context, stele_file_sink sink, char **message);

// Writes a file, synced, whose directory exists; creates or replaces it.
stele_code stele_disk_write(
    stele_disk *disk, stele_bytes path, stele_bytes content, char **message);

// Removes a file, durably.
stele_code stele_disk_remove(stele_disk *disk, stele_bytes path, char **message);

// Makes a database that is none of ours: with one pair in the family `default`, and, unless its
// name is empty, with a family more.
stele_code stele_disk_make_foreign(
    stele_disk *disk, stele_bytes directory, stele_bytes family, stele_bytes key,
    stele_bytes value, char **message);

#ifdef __cplusplus
}
#endif

#endif
