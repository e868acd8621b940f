#pragma once

/// A mutex of POSIX, in memory of its own.
typedef struct stele_lock stele_lock;

/// Ends the process if there is no memory.
stele_lock *stele_lock_create(void);
void stele_lock_free(stele_lock *lock);
void stele_lock_take(stele_lock *lock);
void stele_lock_release(stele_lock *lock);
