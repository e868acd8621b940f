internal import CSteleBase

/// A value behind a lock.
///
/// Used instead of the standard library's `Mutex` in whatever several threads of a node share below
/// its turn, because the thread sanitizer sees this one: it follows a mutex of POSIX, while that of
/// the standard library takes its slow path, which is that of contention, in a library that is
/// not instrumented, so that correct code is reported as a race (KD-0009).
@usableFromInline
package struct Locked<Value: Sendable>: ~Copyable, @unchecked Sendable {
    // Safety: the value is reached through `withLock` alone, which holds the lock meanwhile.
    @usableFromInline let value: UnsafeMutablePointer<Value>
    private let lock: OpaquePointer

    /// Puts a value behind a lock of its own.
    package init(_ value: Value) {
        self.value = .allocate(capacity: 1)
        self.value.initialize(to: value)
        lock = stele_lock_create()
    }

    deinit {
        stele_lock_free(lock)
        value.deinitialize(count: 1)
        value.deallocate()
    }

    /// Runs `body` while no other thread runs one on this value. Not to be nested.
    @inlinable
    package borrowing func withLock<Result: Sendable, Failure: Error>(
        _ body: (inout Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        take()
        defer { release() }
        return try body(&value.pointee)
    }

    @usableFromInline
    func take() { stele_lock_take(lock) }

    @usableFromInline
    func release() { stele_lock_release(lock) }
}
