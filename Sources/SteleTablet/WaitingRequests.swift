import SteleBase

/// A request that could not be answered at once.
struct WaitingRequest {
    var request: TabletRequest
    var origin: UInt64
    /// Monotonic time after which a wait for a lock fails.
    var lockDeadline: UInt64?
    /// Monotonic time after which a request that waits for the lease is sent back.
    var parkedUntil: UInt64?
    /// Monotonic time after which a read that waits for a turn with room is sent back.
    var deferredUntil: UInt64?
    /// How often it had what it needs fetched from disk without getting on, and where it was then.
    var fetches = 0
    var fetchedAt: ReadValidation.Walk?
    /// How far a commit has come; nil before it is looked at.
    var progress: CommitProgress?

    /// Notes that it waits for the disk.
    mutating func noteFetch() {
        let position = progress?.reads?.walk
        if position != fetchedAt { fetches = 0 }
        fetchedAt = position
        fetches += 1
    }

    /// How many reads of what is not in memory it makes in this turn. A commit remembers how far it
    /// has come, others begin anew each time.
    var patience: Int {
        let missed = fetches - RequestReader.mostFetches
        guard missed >= 0 else { return 0 }
        return progress == nil ? .max : missed + 1
    }
}

/// The requests that wait for a lock, a latch, the lease or the next turn, by ticket.
///
/// Thousands may wait for one row, and each one's end looks for what else of its transaction waits,
/// so requests for locks are found by their transaction too.
struct WaitingRequests {
    private var requests: [UInt64: WaitingRequest] = [:]
    /// The tickets of requests for locks; nearly always one a transaction.
    private var lockTickets: [TransactionID: [UInt64]] = [:]

    subscript(ticket: UInt64) -> WaitingRequest? { requests[ticket] }

    mutating func insert(_ waiter: WaitingRequest, ticket: UInt64) {
        let isNew = requests.updateValue(waiter, forKey: ticket) == nil
        if isNew, waiter.request.isLock {
            lockTickets[waiter.request.transaction, default: []].append(ticket)
        }
    }

    mutating func setLockDeadline(_ deadline: UInt64, of ticket: UInt64) {
        requests[ticket]?.lockDeadline = deadline
    }

    mutating func remove(_ ticket: UInt64) -> WaitingRequest? {
        guard let waiter = requests.removeValue(forKey: ticket) else { return nil }
        let transaction = waiter.request.transaction
        if waiter.request.isLock, let place = lockTickets.index(forKey: transaction) {
            lockTickets.values[place].removeAll { $0 == ticket }
            if lockTickets.values[place].isEmpty { lockTickets.remove(at: place) }
        }
        return waiter
    }

    /// Tickets of a transaction's requests for locks, ascending.
    func lockRequests(of transaction: TransactionID) -> [UInt64] {
        lockTickets[transaction]?.sorted() ?? []
    }

    /// The transactions of a node that have requests for locks here, in no order.
    func locking(from node: NodeID) -> [TransactionID] {
        lockTickets.keys.filter { $0.node == node }
    }

    /// Tickets of waits for locks that end by `time`, ascending.
    func expired(at time: UInt64) -> [UInt64] {
        requests.filter { ($0.value.lockDeadline ?? .max) <= time }.keys.sorted()
    }

    /// Takes all out, by ascending ticket.
    mutating func removeAll() -> [WaitingRequest] {
        defer { self = WaitingRequests() }
        return requests.sorted { $0.key < $1.key }.map(\.value)
    }
}
