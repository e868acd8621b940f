import Glibc
import SteleRaft

/// Batches on their way to the log thread: any thread puts, the log thread takes all at once.
///
/// A condition variable of POSIX, because the standard library has none; the signal is sent only
/// while the log thread waits, so that a busy log costs its callers no system call.
final class LogQueue: @unchecked Sendable {
    // Safety: everything mutable is touched only between `pthread_mutex_lock` and `unlock`.
    typealias Completion = @Sendable (Result<Void, LogError>) -> Void

    struct Item: Sendable {
        var batch: LogBatch
        var completion: Completion
    }

    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var items: [Item] = []
    private var isClosed = false
    private var isWaiting = false

    init() {
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Queues a batch; false after `close`.
    func put(_ item: Item) -> Bool {
        pthread_mutex_lock(mutex)
        let accepted = !isClosed
        if accepted { items.append(item) }
        let wakes = accepted && isWaiting
        isWaiting = false
        pthread_mutex_unlock(mutex)
        if wakes { pthread_cond_signal(condition) }
        return accepted
    }

    /// Everything queued; waits for something if `waits`. Nil once closed and empty.
    func take(waits: Bool) -> [Item]? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while items.isEmpty, !isClosed {
            if !waits { return [] }
            isWaiting = true
            pthread_cond_wait(condition, mutex)
        }
        isWaiting = false
        if items.isEmpty { return nil }
        var taken: [Item] = []
        taken.reserveCapacity(items.count)
        swap(&taken, &items)
        return taken
    }

    /// Refuses further batches; what is queued is still taken. True the first time.
    func close() -> Bool {
        pthread_mutex_lock(mutex)
        let isFirst = !isClosed
        isClosed = true
        pthread_mutex_unlock(mutex)
        pthread_cond_signal(condition)
        return isFirst
    }
}
