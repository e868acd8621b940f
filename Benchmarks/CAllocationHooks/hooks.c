#include "CAllocationHooks.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

// A sanitizer has an allocator of its own.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#if defined(__GLIBC__) && !defined(SANITIZED)
#define HOOKED 1
#include <malloc.h>
#endif

static atomic_bool counting;
static atomic_uint_fast64_t process_count;
static atomic_uint_fast64_t process_bytes;
static _Thread_local uint64_t thread_count;
static _Thread_local uint64_t thread_bytes;

void stele_allocations_start(void) {
    atomic_store(&process_count, 0);
    atomic_store(&process_bytes, 0);
    thread_count = 0;
    thread_bytes = 0;
    atomic_store(&counting, 1);
}

void stele_allocations_stop(void) { atomic_store(&counting, 0); }
uint64_t stele_allocations_of_process(void) { return atomic_load(&process_count); }
uint64_t stele_allocations_of_thread(void) { return thread_count; }
uint64_t stele_allocated_bytes_of_thread(void) { return thread_bytes; }
uint64_t stele_allocated_bytes_of_process(void) { return atomic_load(&process_bytes); }

#ifdef HOOKED

int32_t stele_allocations_supported(void) { return 1; }

static inline void count(size_t size) {
    if (__builtin_expect(atomic_load_explicit(&counting, memory_order_relaxed), 0)) {
        atomic_fetch_add_explicit(&process_count, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&process_bytes, size, memory_order_relaxed);
        thread_count += 1;
        thread_bytes += size;
    }
}

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

void *malloc(size_t size) {
    count(size);
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    count(number * size);
    return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) {
    count(size);
    return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
    count(size);
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    count(size);
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
    if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0)
        return EINVAL;
    count(size);
    void *memory = __libc_memalign(alignment, size);
    if (memory == NULL) return ENOMEM;
    *result = memory;
    return 0;
}

void free(void *memory) { __libc_free(memory); }

uint64_t stele_heap_bytes_in_use(void) {
    struct mallinfo2 heap = mallinfo2();
    return heap.uordblks + heap.hblkhd;
}

#else

uint64_t stele_heap_bytes_in_use(void) { return 0; }
int32_t stele_allocations_supported(void) { return 0; }

#endif
