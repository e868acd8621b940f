import Synchronization

/// Counts what a session computes, so that no statement keeps the node's event loop to itself.
///
/// Parsing, planning, evaluating and sorting wait for nothing: as long as they last, nobody else on
/// the loop is served. So they begin where the session runs and may take about a millisecond there.
/// What turns out to take more is given up and begun anew by a worker, beside the loop, where it has
/// all the time it needs and hears a request to cancel.
///
/// The measure is nanoseconds as the work itself estimates them, not a clock's, so that a simulation
/// repeats itself.
///
/// Invariant: work that may be begun anew has no effect but on what it computes anew, or keeps a
/// record of how far it has come, row by row.
final class WorkMeter {
    private enum Place { case between, session, worker }

    private var place = Place.between
    /// Of the present turn, or until the next look for a request to cancel.
    private var left: Int
    private var isUsedUp = false
    /// Whether the last work was done by a worker.
    private(set) var wasLong = false
    private let budget: Int
    private let cancellation: Cancellation
    private let offload: SQLEnvironment.Offload

    init(_ environment: SQLEnvironment, _ cancellation: Cancellation) {
        budget = environment.turnBudget
        left = budget
        offload = environment.offload
        self.cancellation = cancellation
    }

    /// Counts work that is about to be done.
    ///
    /// - Throws: something that only ``compute(isDeep:_:)`` sees; in a worker the reason of a
    ///   cancellation.
    @inline(__always)
    func charge(_ nanoseconds: Int) throws(SQLError) {
        left -= nanoseconds
        if left < 0 { try spent() }
    }

    /// Counts work that was done between other work.
    func note(_ nanoseconds: Int) { left = max(0, left - nanoseconds) }

    /// Counts work on what takes up so many bytes: to let something large grow takes long at once,
    /// and to let go of it too, so a worker does both.
    @inline(__always)
    func charge(growthOf bytes: Int) throws(SQLError) {
        if bytes > Self.largeBytes, place == .session {
            left = -1
            try spent()
        }
    }

    private static let largeBytes = 1 << 18

    private func spent() throws(SQLError) {
        switch place {
        case .between: left = 0
        case .session:
            isUsedUp = true
            throw SQLError("57014", "the statement takes longer than a turn")
        case .worker:
            left = budget
            try cancellation.check()
        }
    }

    /// Does work that waits for nothing: here if it takes little, else in a worker.
    ///
    /// - Parameters:
    ///   - isDeep: the work takes more stack than an event loop has, or is known to take long.
    ///   - body: is called a second time if it took long; see the invariant.
    func compute<Result>(
        isDeep: Bool = false, _ body: @escaping () throws(SQLError) -> Result
    ) async throws(SQLError) -> Result {
        if left < budget / 4 {
            await Task.yield()
            left = budget
        }
        if !isDeep {
            place = .session
            isUsedUp = false
            do throws(SQLError) {
                let result = try body()
                place = .between
                wasLong = isUsedUp
                if !isUsedUp { return result }
            } catch {
                place = .between
                if !isUsedUp { throw error }
            }
        }
        wasLong = true
        place = .worker
        left = budget
        let job = Job(body)
        await withUnsafeContinuation { continuation in
            cancellation.beginQueueing {
                if job.take() { continuation.resume() }
            }
            offload {
                guard job.take() else { return }
                job.run()
                continuation.resume()
            }
        }
        cancellation.endQueueing()
        place = .between
        left = budget
        guard let outcome = job.outcome else { throw cancellation.reason ?? .cancelled }
        return try outcome.get()
    }

    /// Counts work between computations, which nobody can begin anew: once it is enough for a turn,
    /// others get theirs, and a request to cancel is heard.
    @inline(__always)
    func takeTurn(after nanoseconds: Int) async throws(SQLError) {
        left -= nanoseconds
        if left < 0 { try await takeTurn() }
    }

    private func takeTurn() async throws(SQLError) {
        try cancellation.check()
        await Task.yield()
        left = budget
    }

    /// Work on its way through another thread, unless it is given up before.
    private final class Job<Result>: @unchecked Sendable {
        // Safety: whoever takes it uses it, and the session only after that.
        private let isTaken = Atomic(false)
        private var body: (() throws(SQLError) -> Result)?
        /// nil if it was given up.
        private(set) var outcome: Swift.Result<Result, SQLError>?

        init(_ body: @escaping () throws(SQLError) -> Result) { self.body = body }

        /// Whether the caller is the first, to begin the work or to give it up.
        func take() -> Bool { !isTaken.exchange(true, ordering: .acquiringAndReleasing) }

        func run() {
            guard let body else { return }
            do throws(SQLError) {
                outcome = .success(try body())
            } catch {
                outcome = .failure(error)
            }
            // What it holds may be much, and is let go here.
            self.body = nil
        }
    }

    /// Lets go of something large in a worker: that takes as long as it took to build.
    func discard<Value>(_ value: consuming Value) {
        let discarded = Discarded(value)
        offload { discarded.empty() }
    }

    /// Holds the only reference: if the session's side let go of it last, it would do the work.
    private final class Discarded<Value>: @unchecked Sendable {
        // Safety: nobody else uses the value any more.
        private var value: Value?

        init(_ value: consuming Value) { self.value = value }

        func empty() { value = nil }
    }
}

extension WorkMeter {
    // What work takes, in nanoseconds, roughly: within a factor of three or so of a release build.

    /// Parsing a byte of a statement.
    static let parsedByte = 150
    /// Planning a part of an expression.
    static let planned = 1_000
    /// Evaluating a part of an expression, not counting what depends on the size of values.
    static let evaluated = 40
    /// Reading a stored row, or making another of it.
    static let row = 300
    /// Encoding a row, or its deletion, and buffering it; its bytes count for themselves.
    static let written = 1_000
    /// Taking apart a byte of COPY data and making a value of it.
    static let copied = 30
    /// Comparing two values that are not large.
    static let compared = 100

    /// The product of two sizes, far from an overflow.
    @inline(__always)
    static func product(_ left: Int, _ right: Int) -> Int {
        let (product, overflow) = left.multipliedReportingOverflow(by: right)
        return overflow ? 1 << 50 : min(product, 1 << 50)
    }
}
