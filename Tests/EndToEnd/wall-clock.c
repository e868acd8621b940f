// Preloaded into a node by the script wrong-clocks: shifts its wall clock by as many milliseconds as
// the file named by WALL_CLOCK_OFFSET holds at the time.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static long long offset_milliseconds(void) {
    const char *path = getenv("WALL_CLOCK_OFFSET");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    char text[32] = {0};
    if (file < 0) return 0;
    if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
    close(file);
    return atoll(text);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, time);
    if (result == 0 && clock == CLOCK_REALTIME) {
        long long ns = time->tv_nsec + offset_milliseconds() * 1000000LL;
        time->tv_sec += ns / 1000000000LL;
        time->tv_nsec = ns % 1000000000LL;
        if (time->tv_nsec < 0) {
            time->tv_nsec += 1000000000LL;
            time->tv_sec -= 1;
        }
    }
    return result;
}
