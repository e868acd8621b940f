#pragma once
#include <stddef.h>
#include <stdint.h>

#include "lock.h"
#include "thread.h"

/// Whether this processor has instructions for CRC32C. The first call prepares tables; it must
/// have returned before `stele_crc32c` is called, and not run twice at a time.
int32_t stele_crc32c_prepare(void);

/// The register of the checksum, moved over `count` bytes by the processor's own instructions.
/// Neither complements at the beginning nor at the end. Only where `stele_crc32c_prepare` gave 1.
uint32_t stele_crc32c(uint32_t crc, const void *bytes, size_t count);
