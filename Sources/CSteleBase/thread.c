#define _GNU_SOURCE
#include "thread.h"

#ifdef __linux__

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

// The kernel's struct sched_attr, in its first version; not every C library declares it.
struct attributes {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime;
    uint64_t deadline;
    uint64_t period;
};

void stele_thread_prefer_promptness(void) {
    struct attributes attributes = {0};
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
    if (attributes.policy != 0) return;
    // From Linux 6.12 on the slice of an ordinary thread, whose length decides how soon it takes
    // the place of another one; 0.1 ms is the shortest. Older kernels have none to tell.
    if (attributes.runtime == 0) return;
    attributes.runtime = 100000;
    // Threads that this one starts, such as a library's for its background work, do not inherit it.
    attributes.flags |= 1; // SCHED_FLAG_RESET_ON_FORK
    attributes.size = sizeof attributes;
    (void)syscall(SYS_sched_setattr, 0, &attributes, 0);
}

#else

void stele_thread_prefer_promptness(void) {}

#endif
