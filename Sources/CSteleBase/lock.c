#include "lock.h"

#include <pthread.h>
#include <stdlib.h>

struct stele_lock {
    pthread_mutex_t mutex;
};

stele_lock *stele_lock_create(void) {
    stele_lock *lock = malloc(sizeof *lock);
    if (!lock || pthread_mutex_init(&lock->mutex, NULL) != 0) abort();
    return lock;
}

void stele_lock_free(stele_lock *lock) {
    pthread_mutex_destroy(&lock->mutex);
    free(lock);
}

// Neither fails for a valid mutex that its holder does not take twice.
void stele_lock_take(stele_lock *lock) { pthread_mutex_lock(&lock->mutex); }
void stele_lock_release(stele_lock *lock) { pthread_mutex_unlock(&lock->mutex); }
