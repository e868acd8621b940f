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
    /// What did the most of it in one piece.
    package private(set) var longest: Piece?
    private let answerLimit: Int
    private let costLimit: Int

    package init(
        answerLimit: Int = Limits.turnAnswerBytes, costLimit: Int = Limits.turnWork
    ) {
        self.answerLimit = answerLimit
        self.costLimit = costLimit
    }

    /// Something that was done in one piece, for one tablet.
    package struct Piece: Sendable {
        package enum Kind: String, Sendable {
            case read, scan, lock, commit, release, apply
        }

        package let kind: Kind
        package let tablet: TabletID
        /// In nanoseconds as they are estimated.
        package let cost: Int
    }

    /// About what one piece of work takes, in nanoseconds; measured with the engine on RocksDB and
    /// rounded up. They decide where a turn ends, and nothing else.
    package enum Cost {
        /// To take a request in and to answer it.
        static let request = 3_000
        /// A key that a scan or a search for changes passes.
        static let scannedKey = 250
        /// A key that is looked up in the engine.
        static let readKey = 1_500
        /// A key that is looked up in memory: among latches, locks or recent writes.
        static let checkedKey = 100
        /// A lock that is taken or given up.
        static let lockedKey = 300
        /// A write that becomes part of a command.
        static let writtenKey = 150
        /// Some bytes that are copied.
        static let bytes = 1
        static let bytesCopied = 4
        /// A write whose memory is freed.
        static let discardedWrite = 100
    }

    /// Whether what is still asked for has to wait for the next turn.
    var isUsedUp: Bool { answerBytes >= answerLimit || cost >= costLimit }

    /// Whether work that takes several turns has to go on in the next one: half of each turn is for
    /// requests that come meanwhile.
    var isLongWorkOver: Bool { cost >= costLimit / 2 }

    /// How many pieces of a request's work still have room: at least one, so that something is done.
    func room(at cost: Int, isLong: Bool = false) -> Int {
        max(((isLong ? costLimit / 2 : costLimit) - self.cost) / cost, 1)
    }

    func add(_ count: Int, at cost: Int) { self.cost += count * cost }

    func copied(bytes: Int) { add(bytes / Cost.bytesCopied, at: Cost.bytes) }

    /// Counts what was applied: small writes take some 24 ns a byte, and of larger ones no more bytes
    /// than that are applied at a time.
    package func applied(bytes: Int) { cost += 24 * min(bytes, 128 << 10) }

    /// Counts what was read for an answer.
    func addAnswer(bytes: Int) {
        answerBytes += bytes
        copied(bytes: bytes)
    }

    /// Names what was done since the turn's work came to `before`.
    package func note(_ kind: Piece.Kind, of tablet: TabletID, since before: Int) {
        guard cost - before > longest?.cost ?? 0 else { return }
        longest = Piece(kind: kind, tablet: tablet, cost: cost - before)
    }

    /// A turn begins.
    package func begin() {
        answerBytes = 0
        cost = 0
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
        case .release: .release
        }
    }
}

extension Tablet {
    /// Whether requests wait for the next turn.
    package var hasDeferred: Bool {
        !deferred.isEmpty || locks.isReleasing || !discarded.isEmpty
    }

    /// Frees the memory of large commands that were applied, some at a time.
    private func discardSome() {
        guard !discarded.isEmpty else { return }
        let last = discarded.count - 1
        let count = min(
            work.room(at: TurnWork.Cost.discardedWrite, isLong: true), discarded[last].count)
        work.add(count, at: TurnWork.Cost.discardedWrite)
        discarded[last].removeLast(count)
        if discarded[last].isEmpty { discarded.removeLast() }
    }

    /// Looks at the requests that earlier turns had no room for, oldest first and before any that
    /// comes in this turn; at those that take many turns for the first half of this one only. A read that has waited for long is sent back: whoever asked may be gone.
    package func resumeDeferred() {
        continueRelease()
        discardSome()
        let tickets = deferred
        deferred = []
        for (place, ticket) in tickets.enumerated() {
            if work.isUsedUp {
                deferred += tickets[place...]
                return
            }
            if work.isLongWorkOver, waiting[ticket]?.progress?.isLong ?? false {
                deferred.append(ticket)
                continue
            }
            guard let waiter = waiting.remove(ticket) else { continue }
            if let until = waiter.deferredUntil, clock.monotonic >= until, waiter.request.isRead {
                fail(waiter, .overloaded, "more is read at once than the node can answer")
            } else {
                evaluate(waiter, ticket: ticket)
            }
        }
    }
}
