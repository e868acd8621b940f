import DequeModule
import SteleAPI
import SteleBase

/// The row locks that a tablet's leader has granted, and who waits for them.
///
/// Locks are not replicated: they die with the leadership, and a commit verifies each one. Each key
/// has a FIFO queue; nobody overtakes, except that a holder of a shared lock who wants it
/// exclusively goes to the front.
///
/// Invariants:
/// - A key is held exclusively by one transaction, or shared by any number.
/// - A transaction waits for at most one key at a time, and not when it gives up its locks: what it
///   were granted then would be nobody's.
/// - No cycle of waits persists: ``wait(for:_:transaction:ticket:)`` names a victim for every one.
package struct LockTable: Sendable {
    private struct Lock: Sendable {
        var mode: LockMode
        var holders: [TransactionID]
        var queue = LockQueue()
    }

    private struct Wait: Sendable {
        var key: DictionaryKey
        var mode: LockMode
        var ticket: UInt64
    }

    private struct Owner: Sendable {
        /// The order in which transactions came to this table, which decides who is younger.
        var arrival: UInt64
        /// How often it gave up some of its locks.
        var releases: UInt64 = 0
        /// After how many returns to a savepoint it asked for a lock last.
        var rollbacks: UInt64 = 0
        /// The same for each key that it asked for after one, and has not given up since.
        var asked: [DictionaryKey: UInt64] = [:]
        /// The same for keys that were too many to remember: any may be one of them.
        var askedForOthers: UInt64 = 0
        /// Those that it took, in that order, also some that it gave up: to take one out of the
        /// middle would take as long as it has locks.
        var keys: [DictionaryKey] = []
        /// How many of those it gave up. One that it took again is there once more.
        var givenUp = 0
        var wait: Wait?

        var lockCount: Int { keys.count - givenUp }
        var isIdle: Bool { lockCount == 0 && wait == nil }
    }

    private var locks = KeyTable<Lock>()
    private var owners: [TransactionID: Owner] = [:]
    private var arrivals: UInt64 = 0
    /// Locks of transactions that have given theirs up, which go a part at a time, in that order.
    private var leaving = Deque<TransactionID>()
    private var leavingKeys: [TransactionID: [DictionaryKey]] = [:]

    package init() {}

    package var isEmpty: Bool { locks.isEmpty }

    /// Whether somebody else than `transaction` holds or awaits any lock.
    package func isUsed(byOtherThan transaction: TransactionID) -> Bool {
        owners.count > (owners[transaction] == nil ? 0 : 1)
    }

    /// Locks `key` if nobody is in the way; true also if the transaction has the lock already.
    package mutating func acquire(
        _ key: KeyBytes, _ mode: LockMode, for transaction: TransactionID
    ) -> Bool {
        let key = DictionaryKey(key)
        guard let lock = locks[key] else {
            locks[key] = Lock(mode: mode, holders: [transaction])
            noteHeld(key, by: transaction)
            return true
        }
        if lock.holders.contains(transaction) {
            if lock.mode == .exclusive || mode == .shared { return true }
            guard lock.holders.count == 1 else { return false }
            locks[key]?.mode = .exclusive
            return true
        }
        guard mode == .shared, lock.mode == .shared, lock.queue.isEmpty else { return false }
        locks[key]?.holders.append(transaction)
        noteHeld(key, by: transaction)
        return true
    }

    /// Whether ``acquire(_:_:for:)`` would lock `key`.
    package func isFree(
        _ key: KeyBytes, _ mode: LockMode, for transaction: TransactionID
    ) -> Bool {
        guard let lock = locks[DictionaryKey(key)] else { return true }
        if lock.holders.contains(transaction) {
            return lock.mode == .exclusive || mode == .shared || lock.holders.count == 1
        }
        return mode == .shared && lock.mode == .shared && lock.queue.isEmpty
    }

    /// Whether somebody else than `transaction` holds `key`.
    package func isHeld(_ key: KeyBytes, byOtherThan transaction: TransactionID) -> Bool {
        guard let lock = locks[DictionaryKey(key)] else { return false }
        return lock.holders.contains { $0 != transaction }
    }

    package func holds(_ key: KeyBytes, _ transaction: TransactionID) -> Bool {
        locks[DictionaryKey(key)]?.holders.contains(transaction) ?? false
    }

    /// Whether `transaction` holds `key`, which it has not given up, and nobody can hold it beside it.
    package func holdsAlone(_ key: KeyBytes, _ transaction: TransactionID) -> Bool {
        guard let lock = locks[DictionaryKey(key)], !isReleasing(transaction) else { return false }
        return lock.mode == .exclusive && lock.holders == [transaction]
    }

    /// While this is the same, a transaction holds all that it was found to hold.
    package struct Tenure: Equatable {
        fileprivate var arrival: UInt64
        fileprivate var releases: UInt64
    }

    /// Nil if the transaction holds and awaits no lock.
    package func tenure(of transaction: TransactionID) -> Tenure? {
        owners[transaction].map { Tenure(arrival: $0.arrival, releases: $0.releases) }
    }

    /// A transaction that holds or awaits locks asked for some after so many returns to a savepoint.
    package mutating func note(
        _ keys: [KeyBytes], askedAfter rollbacks: UInt64, of transaction: TransactionID
    ) {
        guard var owner = owners.removeValue(forKey: transaction) else { return }
        owner.rollbacks = max(owner.rollbacks, rollbacks)
        if owner.asked.count + keys.count <= Self.keysRemembered {
            for key in keys.lazy.map(DictionaryKey.init) {
                owner.asked[key] = max(owner.asked[key] ?? 0, rollbacks)
            }
        } else {
            owner.askedForOthers = max(owner.askedForOthers, rollbacks)
        }
        owners[transaction] = owner
    }

    /// More would take long to let go of; they stay locked until the transaction ends, if releases of
    /// them come late.
    private static let keysRemembered = 4_096

    /// Those of the keys that a transaction has not asked for since a return to a savepoint, counted
    /// from 1.
    package func keys(
        _ keys: [KeyBytes], notAskedAfter rollback: UInt64, of transaction: TransactionID
    ) -> [KeyBytes] {
        guard let owner = owners[transaction], owner.rollbacks >= rollback else { return keys }
        guard owner.askedForOthers < rollback else { return [] }
        return keys.filter { owner.asked[DictionaryKey($0)] ?? 0 < rollback }
    }

    /// How many locks others than a transaction took, a shared one for each.
    package func lockCount(ofOthersThan transaction: TransactionID) -> Int {
        owners.reduce(0) { $0 + ($1.key == transaction ? 0 : $1.value.keys.count) }
    }

    /// The keys of a range that others than a transaction took, ascending; some of them they may have
    /// given up.
    package func keys(
        ofOthersThan transaction: TransactionID, in range: KeyRange
    ) -> [KeyBytes] {
        var found: [KeyBytes] = []
        for (owner, held) in owners where owner != transaction {
            found += held.keys.lazy.map(\.bytes).filter(range.contains)
        }
        return found.sorted { $0.precedes($1) }
    }

    /// Queues a transaction behind those who are in its way; `ticket` comes back when it is its turn.
    ///
    /// - Returns: the youngest transaction of the cycle of waits that this closes, if it closes one.
    package mutating func wait(
        for key: KeyBytes, _ mode: LockMode, transaction: TransactionID, ticket: UInt64
    ) -> TransactionID? {
        let key = DictionaryKey(key)
        let waiter = LockQueue.Waiter(transaction: transaction, mode: mode, ticket: ticket)
        if locks[key]?.holders.contains(transaction) ?? false {
            locks[key]?.queue.prepend(waiter)
        } else {
            locks[key]?.queue.append(waiter)
        }
        note(transaction)
        owners[transaction]?.wait = Wait(key: key, mode: mode, ticket: ticket)
        return victimOfCycle(from: transaction)
    }

    /// Takes a transaction out of the queue in which it waits.
    ///
    /// - Returns: its ticket, and the tickets of those whose turn it is now.
    package mutating func cancelWait(
        of transaction: TransactionID
    ) -> (ticket: UInt64, granted: [UInt64])? {
        guard let wait = owners[transaction]?.wait else { return nil }
        locks[wait.key]?.queue.remove(ticket: wait.ticket)
        owners[transaction]?.wait = nil
        if owners[transaction]?.isIdle ?? false { owners[transaction] = nil }
        return (wait.ticket, grant(wait.key))
    }

    /// The ticket under which a transaction waits.
    package func ticket(of transaction: TransactionID) -> UInt64? {
        owners[transaction]?.wait?.ticket
    }

    /// A request that waits came once more, under a new ticket: it keeps its place.
    ///
    /// - Returns: its ticket so far; nil if the transaction does not wait for that.
    package mutating func renewWait(
        for key: KeyBytes, _ mode: LockMode, transaction: TransactionID, ticket: UInt64
    ) -> UInt64? {
        guard let wait = owners[transaction]?.wait, wait.mode == mode,
            wait.key == DictionaryKey(key)
        else { return nil }
        locks[wait.key]?.queue.rename(wait.ticket, to: ticket)
        owners[transaction]?.wait?.ticket = ticket
        return wait.ticket
    }

    /// Gives up all locks of a transaction; of very many the first `limit`, and the others with
    /// ``continueRelease(limit:)``. The transaction owns none of them any more.
    ///
    /// - Returns: the tickets of those whose turn it is now.
    package mutating func release(
        _ transaction: TransactionID, limit: Int = .max
    ) -> [UInt64] {
        guard let owner = owners.removeValue(forKey: transaction) else { return [] }
        invariant(owner.wait == nil, "a transaction that waits for a lock gives up its locks")
        guard owner.keys.count <= limit else {
            if leavingKeys[transaction] == nil { leaving.append(transaction) }
            leavingKeys[transaction, default: []] += owner.keys
            return continueRelease(limit: limit)
        }
        var granted: [UInt64] = []
        for key in owner.keys { granted += release(key, of: transaction) }
        return granted
    }

    /// Gives up those of the keys that a transaction has, at the cost of so many.
    ///
    /// - Returns: the tickets of those whose turn it is now.
    package mutating func release(
        _ keys: [KeyBytes], of transaction: TransactionID
    ) -> [UInt64] {
        var granted: [UInt64] = []
        var count = 0
        for key in keys where holds(key, transaction) {
            granted += release(DictionaryKey(key), of: transaction)
            count += 1
        }
        guard count > 0, var owner = owners.removeValue(forKey: transaction) else { return [] }
        if owner.rollbacks > 0 {
            for key in keys { owner.asked[DictionaryKey(key)] = nil }
        }
        owner.givenUp += count
        owner.releases += 1
        // Usually the newest are given up first, so that none of them stay.
        for _ in 0..<2 * count {
            guard let last = owner.keys.last, !holds(last.bytes, transaction) else { break }
            owner.keys.removeLast()
            owner.givenUp -= 1
        }
        if !owner.isIdle { owners[transaction] = owner }
        return granted
    }

    /// Whether locks are left that were given up.
    package var isReleasing: Bool { !leaving.isEmpty }

    /// Whether locks of the transaction are among them.
    package func isReleasing(_ transaction: TransactionID) -> Bool {
        leavingKeys[transaction] != nil
    }

    /// Goes on with locks that were given up.
    ///
    /// - Returns: the tickets of those whose turn it is now.
    package mutating func continueRelease(limit: Int) -> [UInt64] {
        var granted: [UInt64] = []
        var rest = limit
        while rest > 0, let transaction = leaving.first,
            var keys = leavingKeys.removeValue(forKey: transaction)
        {
            while rest > 0, let key = keys.popLast() {
                rest -= 1
                granted += release(key, of: transaction)
            }
            if keys.isEmpty {
                leaving.removeFirst()
            } else {
                leavingKeys[transaction] = keys
            }
        }
        return granted
    }

    private mutating func release(
        _ key: DictionaryKey, of transaction: TransactionID
    ) -> [UInt64] {
        guard let lock = locks[key] else { return [] }
        if lock.queue.isEmpty, lock.holders.count == 1 {
            if lock.holders[0] == transaction { locks.removeValue(forKey: key) }
            return []
        }
        locks[key]?.holders.removeAll { $0 == transaction }
        return grant(key)
    }

    /// How many locks a transaction holds.
    package func lockCount(of transaction: TransactionID) -> Int {
        owners[transaction]?.lockCount ?? 0
    }

    /// How many locks there are to look at to give all of them up.
    package func releaseCount(of transaction: TransactionID) -> Int {
        owners[transaction]?.keys.count ?? 0
    }

    /// All transactions that hold or await locks and were begun by `node`, ascending.
    package func transactions(of node: NodeID) -> [TransactionID] {
        owners.keys.filter { $0.node == node }.sorted()
    }

    /// The newest owner so far.
    package var lastArrival: UInt64 { arrivals }

    /// Owners that came after one and no later than another, oldest first, and a key of each.
    package func owners(
        arrivedAfter first: UInt64, upTo last: UInt64, atMost limit: Int
    ) -> [(transaction: TransactionID, arrival: UInt64, key: KeyBytes)] {
        let found = owners.compactMap {
            transaction, owner -> (transaction: TransactionID, arrival: UInt64, key: KeyBytes)? in
            guard owner.arrival > first, owner.arrival <= last,
                let key = owner.keys.first ?? owner.wait?.key
            else { return nil }
            return (transaction, owner.arrival, key.bytes)
        }
        return Array(found.sorted { $0.arrival < $1.arrival }.prefix(limit))
    }

    package mutating func removeAll() {
        locks.removeAll()
        owners.removeAll()
        leaving.removeAll()
        leavingKeys.removeAll()
    }

    /// Which owner of locks the transaction is to this table; nil if it holds and awaits none.
    ///
    /// An owner that gave its locks up and comes again is another one.
    package func arrival(of transaction: TransactionID) -> UInt64? {
        owners[transaction]?.arrival
    }

    private mutating func note(_ transaction: TransactionID) {
        if owners[transaction] == nil {
            arrivals += 1
            owners[transaction] = Owner(arrival: arrivals)
        }
    }

    private mutating func noteHeld(_ key: DictionaryKey, by transaction: TransactionID) {
        note(transaction)
        owners[transaction]?.keys.append(key)
    }

    /// Hands a key to those at the front of its queue who can have it now.
    private mutating func grant(_ key: DictionaryKey) -> [UInt64] {
        // Taken out, since a copy of it would copy the queue.
        guard var lock = locks.removeValue(forKey: key) else { return [] }
        var granted: [UInt64] = []
        while let next = lock.queue.first {
            let others = lock.holders.filter { $0 != next.transaction }
            guard others.isEmpty || (next.mode == .shared && lock.mode == .shared) else { break }
            lock.queue.removeFirst()
            owners[next.transaction]?.wait = nil
            if lock.holders.contains(next.transaction) {
                lock.mode = next.mode == .exclusive ? .exclusive : lock.mode
            } else {
                if lock.holders.isEmpty { lock.mode = next.mode }
                lock.holders.append(next.transaction)
                owners[next.transaction]?.keys.append(key)
            }
            granted.append(next.ticket)
            if lock.mode == .exclusive { break }
        }
        if !lock.holders.isEmpty || !lock.queue.isEmpty { locks[key] = lock }
        return granted
    }

    /// Follows the waits from `start` and returns the youngest member of a cycle through it.
    ///
    /// Without recursion: clients decide how many transactions wait for each other.
    package func victimOfCycle(from start: TransactionID) -> TransactionID? {
        var path = [(waiter: start, blockers: blockers(of: start)[...])]
        var visited: Set<TransactionID> = [start]
        while let blocker = path[path.count - 1].blockers.popFirst() {
            if blocker == start {
                return path.lazy.map(\.waiter).max { arrival(of: $0) ?? 0 < arrival(of: $1) ?? 0 }
            }
            if visited.insert(blocker).inserted {
                path.append((blocker, blockers(of: blocker)[...]))
            }
            while path.count > 1, path[path.count - 1].blockers.isEmpty { path.removeLast() }
        }
        return nil
    }

    /// Whom a waiting transaction waits for: the holders of its key. Those before it in the queue
    /// wait for the same holders, so no cycle leads through them that does not lead past them.
    private func blockers(of transaction: TransactionID) -> [TransactionID] {
        guard let key = owners[transaction]?.wait?.key, let lock = locks[key] else { return [] }
        return lock.holders.filter { $0 != transaction }
    }
}
