import Synchronization

/// Says to a running statement, from any thread, that it shall end.
final class Cancellation: Sendable {
    private let isRequested = Atomic<Bool>(false)

    func request() { isRequested.store(true, ordering: .relaxed) }

    /// Forgets a request that came when nothing ran.
    func reset() { isRequested.store(false, ordering: .relaxed) }

    func check() throws(SQLError) {
        if isRequested.load(ordering: .relaxed) { throw .cancelled }
    }
}
