internal import CSteleBase

/// Asks the system to run the calling thread soon after it was woken, though for less time at once.
///
/// For threads that work in short bursts, while others wait for them: on a busy machine a thread
/// may else stand in line for milliseconds after each wait for the disk.
package func preferPromptness() { stele_thread_prefer_promptness() }
