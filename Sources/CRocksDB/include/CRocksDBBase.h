// What all headers of the shim share.

#ifndef CROCKSDB_BASE_H
#define CROCKSDB_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t stele_code;

enum {
    STELE_OK = 0,
    STELE_IO = 1,
    STELE_CORRUPTION = 2,
    STELE_NO_SPACE = 3,
    STELE_LOCKED = 4,
    STELE_INCOMPATIBLE = 5,
    STELE_INVALID_ARGUMENT = 6,
    // Nothing was done; later it may be.
    STELE_BUSY = 7,
    // A read of what garbage collection may have dropped.
    STELE_BELOW_WATERMARK = 8,
};

typedef struct {
    const uint8_t *data;
    size_t count;
} stele_bytes;

void stele_message_free(char *message);

#ifdef __cplusplus
}
#endif

#endif
