#pragma once

/// Asks the system to run the calling thread soon after it was woken, though for less time at
/// once. It keeps its share of the processor. Threads that it starts do not inherit the wish, nor a
/// niceness below 0. Without effect where that cannot be had.
void stele_thread_prefer_promptness(void);
