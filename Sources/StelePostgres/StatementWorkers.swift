import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Threads for what sessions compute beside the event loop, because it takes long or nests deeply.
///
/// Threads are started as they are needed, up to a number, and end after some seconds without work:
/// a statement that nests to the limit has filled much of a stack, which only the end of its thread
/// gives back. They give way to the event loop when there are fewer processors than work.
package final class StatementWorkers: @unchecked Sendable {
    // Safety: everything below is guarded by `condition`.
    private let condition = NSCondition()
    private var queue: [@Sendable () -> Void] = []
    private var threads = 0
    private var idle = 0

    private let mostThreads: Int
    private let patience: TimeInterval

    /// Bytes of stack: a build without optimisation takes about 16 KiB for each of the 10,000 levels
    /// that a statement may nest. Memory is taken as it is touched.
    private static let stackBytes = 512 << 20

    /// - Parameters:
    ///   - mostThreads: how many pieces of work are done at a time; others wait their turn.
    ///   - patience: seconds after which a thread without work ends.
    package init(
        mostThreads: Int = max(4, ProcessInfo.processInfo.activeProcessorCount),
        patience: TimeInterval = 5
    ) {
        self.mostThreads = mostThreads
        self.patience = patience
    }

    /// Does `work` on one of the threads, soon.
    package func run(_ work: @escaping @Sendable () -> Void) {
        condition.lock()
        defer { condition.unlock() }
        queue.append(work)
        if idle >= queue.count { return condition.signal() }
        guard threads < mostThreads else { return }
        threads += 1
        let thread = Thread { self.serve() }
        thread.stackSize = Self.stackBytes
        thread.name = "stele-statement"
        thread.start()
    }

    private func serve() {
        // Of this thread alone, on Linux.
        #if canImport(Glibc)
            _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 5)
        #endif
        while let work = next() { work() }
    }

    private func next() -> (@Sendable () -> Void)? {
        condition.lock()
        defer { condition.unlock() }
        let end = Date(timeIntervalSinceNow: patience)
        while queue.isEmpty {
            idle += 1
            let isSignalled = condition.wait(until: end)
            idle -= 1
            if !isSignalled, queue.isEmpty {
                threads -= 1
                return nil
            }
        }
        return queue.removeFirst()
    }
}
