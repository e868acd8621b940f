#pragma once
#include <stdint.h>

/// Counts heap allocations of the executable that links this target and of its libraries, by
/// standing in front of the allocator of the GNU C library. While counting is off, the cost is
/// one load and one branch. Where the C library is another one, or a sanitizer
/// stands there itself, nothing is counted.

/// 1 where allocations can be counted on this platform.
int32_t stele_allocations_supported(void);

/// Sets all counters of the process and of the calling thread to zero and begins to count.
void stele_allocations_start(void);

/// Ends the counting; the counters keep their values.
void stele_allocations_stop(void);

/// Allocations and reallocations of all threads since the start.
uint64_t stele_allocations_of_process(void);

/// Those of the calling thread.
uint64_t stele_allocations_of_thread(void);

/// Bytes asked for by the calling thread since the start.
uint64_t stele_allocated_bytes_of_thread(void);

/// Bytes asked for by all threads since the start.
uint64_t stele_allocated_bytes_of_process(void);

/// Bytes of the heap that are in use now, with what the allocator adds to each piece.
uint64_t stele_heap_bytes_in_use(void);
