internal import CSteleBase

/// Asks the system to run the calling thread soon after it was woken, though for less time at once.
///
/// For threads that work in short bursts, while others wait for them: on a busy machine a thread
/// may else stand in line for milliseconds after each wait for the disk.
///
/// Of two threads that wake each other all the time, both ask for it or none. If one alone does, it
/// takes the processor from the one that woke it, before that one could go to sleep; the two then
/// end up on a processor each, and wherever an idle one is slow to wake, as in a virtual machine
/// that halts it, every hand-over costs that time.
package func preferPromptness() { stele_thread_prefer_promptness() }
