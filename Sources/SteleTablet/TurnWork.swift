import SteleBase

/// What all tablets of a node have done in the present turn, and how much more they may begin.
///
/// A request for a large value, or for a scan over what was deleted, is small: a client can ask for
/// more in one turn than fits in memory, or than heartbeats can wait for. So whatever is still asked
/// for once the turn has done enough waits for the next one.
package final class TurnWork {
    private var answerBytes = 0
    /// What was done, by ``Cost``, in nanoseconds of a usual machine.
    package private(set) var cost = 0
    /// What took longest in one piece.
    package private(set) var longest: Piece?
    private let answerLimit: Int
    private let costLimit: Int
    private let stopwatch: (() -> Int)?
    /// When the turn began, how long all of its pieces took that were noted, and how long applying.
    private var began = 0
    private var noted = 0
    private var applying = 0

    /// - Parameter stopwatch: tells the time in nanoseconds, to find out what took how long and when
    ///   long work has to go on in the next turn; without one, work takes as long as is estimated.
    package init(
        answerLimit: Int = Limits.turnAnswerBytes, costLimit: Int = Limits.turnWork,
        stopwatch: (() -> Int)? = nil
    ) {
        self.answerLimit = answerLimit
        self.costLimit = costLimit
        self.stopwatch = stopwatch
    }

    /// Something that was done in one piece, without the pieces within it.
    package struct Piece: Sendable {
        package enum Kind: String, Sendable {
            case read, scan, lock, commit, release, apply
            /// Taking in what peers sent.
            case receive
            /// Handing out what Raft wants sent and logged.
            case replicate
            /// Freeing the memory of what is done.
            case free
        }

        package let kind: Kind
        /// Nil if it was done for no tablet in particular.
        package let tablet: TabletID?
        package let nanoseconds: Int
    }

    /// When a piece began.
    package struct Beginning {
        fileprivate let time: Int
        fileprivate let noted: Int
    }

    /// About what one piece of work takes, in nanoseconds; measured with the engine on RocksDB and
    /// rounded up. They decide where a turn ends, unless it has taken too long before.
    package enum Cost {
        /// To take a request in and to answer it.
        static let request = 3_000
        /// A key that a scan or a search for changes passes.
        static let scannedKey = 250
        /// A key that is looked up in the engine.
        static let readKey = 1_500
        /// A key that is looked up in memory: among latches, locks or recent writes.
        static let checkedKey = 400
        /// A lock that is taken or given up.
        static let lockedKey = 1_000
        /// A write that becomes part of a command.
        static let writtenKey = 300
        /// Some bytes that are copied.
        static let bytes = 1
        static let bytesCopied = 4
        /// A write whose memory is freed.
        static let discardedWrite = 100
    }

    /// What the turn has done so far, in nanoseconds: as estimated, or longer if it took longer.
    private var spent: Int { stopwatch.map { max(cost, $0() - began) } ?? cost }

    /// Whether what is still asked for has to wait for the next turn. As estimated: many small
    /// requests in one turn are what makes it worth its while, also where the processor is shared.
    var isUsedUp: Bool { answerBytes >= answerLimit || cost >= costLimit }

    /// Whether work that takes several turns has to go on in the next one: half of each turn is for
    /// requests that come meanwhile.
    var isLongWorkOver: Bool { spent >= costLimit / 2 }

    /// How many pieces of a request's work still have room: at least one, so that something is done.
    func room(at cost: Int, isLong: Bool = false) -> Int {
        max((isLong ? costLimit / 2 - spent : costLimit - self.cost) / cost, 1)
    }

    /// Whether more is to be applied in this turn. What is evaluated does not count: a node that
    /// takes in more than it applies would fall further and further behind.
    package var mayApply: Bool { applying < costLimit }

    func add(_ count: Int, at cost: Int) { self.cost += count * cost }

    func copied(bytes: Int) { add(bytes / Cost.bytesCopied, at: Cost.bytes) }

    /// Counts what was applied since then: small writes take some 24 ns a byte, and of larger ones no
    /// more bytes than that are applied at a time.
    func applied(bytes: Int, since beginning: Beginning) {
        cost += 24 * min(bytes, 128 << 10)
        applying += time - beginning.time
    }

    /// Counts what was read for an answer.
    func addAnswer(bytes: Int) {
        answerBytes += bytes
        copied(bytes: bytes)
    }

    private var time: Int { stopwatch?() ?? cost }

    package func begins() -> Beginning { Beginning(time: time, noted: noted) }

    /// Names what was done since then, but for the pieces in between.
    package func note(_ kind: Piece.Kind, of tablet: TabletID?, since beginning: Beginning) {
        let length = time - beginning.time - (noted - beginning.noted)
        noted += length
        guard length > longest?.nanoseconds ?? 0 else { return }
        longest = Piece(kind: kind, tablet: tablet, nanoseconds: length)
    }

    /// A turn begins.
    package func begin() {
        answerBytes = 0
        cost = 0
        began = stopwatch?() ?? 0
        noted = 0
        applying = 0
        longest = nil
    }
}

extension TabletRequest {
    var kind: TurnWork.Piece.Kind {
        switch body {
        case .read: .read
        case .scan: .scan
        case .lock: .lock
        case .commit: .commit
        case .release, .unlock: .release
        }
    }
}

extension Tablet {
    /// Whether requests wait for the next turn.
    package var hasDeferred: Bool {
        !deferred.isEmpty || !unlocking.isEmpty || locks.isReleasing || !discarded.isEmpty
    }

    /// Frees the memory of large commands that were applied, some at a time.
    private func discardSome() {
        guard !discarded.isEmpty else { return }
        let beginning = work.begins()
        defer { work.note(.free, of: descriptor.id, since: beginning) }
        let last = discarded.count - 1
        let count = min(
            work.room(at: TurnWork.Cost.discardedWrite, isLong: true), discarded[last].count)
        work.add(count, at: TurnWork.Cost.discardedWrite)
        discarded[last].removeLast(count)
        if discarded[last].isEmpty { discarded.removeLast() }
    }

    /// Looks at the requests that earlier turns had no room for, and before any that comes in this
    /// turn: at releases of locks first, for half of this one only, since others wait for them; then at
    /// short ones, the oldest of them first, then at what takes many turns, for the first half only. A
    /// read that has waited for long is sent back: whoever asked may be gone.
    ///
    /// Invariant: all that takes many turns goes on in every one of them, by a piece at least, and no
    /// short request waits for more than one piece of each, however long that takes.
    package func resumeDeferred() {
        let unlocking = work.begins()
        continueUnlocking()
        work.note(.release, of: descriptor.id, since: unlocking)
        let tickets = deferred
        deferred = []
        var long: [UInt64] = []
        for ticket in tickets {
            guard let waiter = waiting[ticket] else { continue }
            if waiter.progress?.isLong ?? false {
                long.append(ticket)
            } else if work.isUsedUp {
                deferred.append(ticket)
            } else if let until = waiter.deferredUntil, clock.monotonic >= until,
                waiter.request.isRead
            {
                _ = waiting.remove(ticket)
                fail(waiter, .overloaded, "more is read at once than the node can answer")
            } else {
                _ = waiting.remove(ticket)
                evaluate(waiter, ticket: ticket)
            }
        }
        let beginning = work.begins()
        continueRelease()
        work.note(.release, of: descriptor.id, since: beginning)
        discardSome()
        for (place, ticket) in long.enumerated() {
            if place > 0, work.isLongWorkOver {
                deferred.append(ticket)
            } else if let waiter = waiting.remove(ticket) {
                evaluate(waiter, ticket: ticket, inAnyCase: true)
            }
        }
    }
}
