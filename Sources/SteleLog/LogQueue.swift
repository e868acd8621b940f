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
    /// How many items the log thread waits for; 0 while it does not wait.
    private var wanted = 0

    init() {
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
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
        let wakes = wanted > 0 && items.count >= wanted
        if wakes { wanted = 0 }
        pthread_mutex_unlock(mutex)
        if wakes { pthread_cond_signal(condition) }
        return accepted
    }

    /// How many batches are queued.
    var count: Int {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return items.count
    }

    /// Moves everything queued to `taken`, which is empty; waits for something until a time of
    /// `CLOCK_MONOTONIC` has come, or for as long as it takes. False once closed and empty.
    func take(_ taken: inout [Item], until deadline: UInt64?) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while items.isEmpty, !isClosed {
            wanted = 1
            guard let deadline else {
                pthread_cond_wait(condition, mutex)
                continue
            }
            var time = Self.time(deadline)
            if pthread_cond_timedwait(condition, mutex, &time) != 0 { break }
        }
        wanted = 0
        if items.isEmpty { return !isClosed }
        swap(&taken, &items)
        return true
    }

    /// Waits until so many batches are queued or a time of `CLOCK_MONOTONIC` has come; returns
    /// whether there are so many.
    func hold(for count: Int, until deadline: UInt64) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        var time = Self.time(deadline)
        while items.count < count, !isClosed {
            wanted = count
            if pthread_cond_timedwait(condition, mutex, &time) != 0 { break }
        }
        wanted = 0
        return items.count >= count
    }

    private static func time(_ nanoseconds: UInt64) -> timespec {
        timespec(
            tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    }

    /// Refuses further batches; what is queued is still taken.
    func close() {
        pthread_mutex_lock(mutex)
        isClosed = true
        pthread_mutex_unlock(mutex)
        pthread_cond_signal(condition)
    }
}
