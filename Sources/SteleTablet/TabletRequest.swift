import SteleAPI
import SteleBase
import SteleClock
import SteleEngine

/// What a coordinator asks of the leader of one tablet.
///
/// All keys of a request belong to one tablet. Repeating a request is safe: reads and locks are
/// idempotent, and a commit looks for itself first.
package struct TabletRequest: Sendable {
    package var transaction: TransactionID
    package var body: Body

    package init(transaction: TransactionID, body: Body) {
        self.transaction = transaction
        self.body = body
    }

    package enum Body: Sendable {
        case read(keys: [KeyBytes], at: Timestamp?)
        case scan(ScanRequest)
        case lock(LockRequest)
        case commit(CommitRequest)
        /// Gives up the transaction's locks at the tablet that holds this key.
        case release(near: KeyBytes)
        /// Gives up some of the transaction's locks: those that it took after a savepoint to which it
        /// returns. It may take them again afterwards; should this come late then, it is for nothing:
        /// a lock must not be held, lost, and held again under one grant.
        ///
        /// - Parameter rollback: which return of the transaction to a savepoint it is, from 1.
        case unlock(keys: [KeyBytes], rollback: UInt64)
    }

    /// A page of a range. Without a timestamp the leader chooses one, at which nothing that was
    /// acknowledged is missing.
    package struct ScanRequest: Sendable {
        package var range: KeyRange
        package var timestamp: Timestamp?
        package var limits: ScanLimits
        package var reverse: Bool

        package init(
            range: KeyRange, timestamp: Timestamp?, limits: ScanLimits, reverse: Bool
        ) {
            self.range = range
            self.timestamp = timestamp
            self.limits = limits
            self.reverse = reverse
        }
    }

    /// Locks keys, then reads their newest versions.
    package struct LockRequest: Sendable {
        package var keys: [KeyBytes]
        /// Keys whose newest versions are read too, once all locks are held. They are not locked.
        package var others: [KeyBytes]
        package var mode: LockMode
        package var wait: LockWait
        /// How long to wait for a lock, in microseconds; nil is for ever.
        package var timeoutMicroseconds: UInt64?
        /// A key with a version above this fails the request with a conflict.
        package var snapshot: Timestamp?
        /// What the transaction's earlier locks were granted as; fails the request if they are lost.
        package var grant: LockGrant?
        /// How often the transaction had returned to a savepoint and given up locks.
        package var rollbacks: UInt64

        package init(
            keys: [KeyBytes], others: [KeyBytes] = [], mode: LockMode, wait: LockWait,
            timeoutMicroseconds: UInt64?, snapshot: Timestamp?, grant: LockGrant?,
            rollbacks: UInt64 = 0
        ) {
            self.grant = grant
            self.rollbacks = rollbacks
            self.keys = keys
            self.others = others
            self.mode = mode
            self.wait = wait
            self.timeoutMicroseconds = timeoutMicroseconds
            self.snapshot = snapshot
        }
    }

    /// A whole transaction on one tablet: one command, one round (DESIGN, section 5, point 3).
    /// Without writes it only verifies its locks.
    package struct CommitRequest: Sendable {
        /// The coordinator's time when it first sent the commit. Nothing of this transaction has a
        /// version at or below it. Filled in by the node where the request enters.
        package var begun: Timestamp
        /// What `readKeys`, `readRanges` were read at.
        package var readTimestamp: Timestamp
        /// Keys and ranges that must not have changed since `readTimestamp`, ascending, each once;
        /// ranges do not overlap.
        package var readKeys: [KeyBytes]
        package var readRanges: [KeyRange]
        /// Locks that the transaction must hold without a break since they were granted.
        package var locks: [KeyBytes]
        /// What they were granted as; nil if there are none.
        package var grant: LockGrant?
        /// Keys that must have these values now, whatever was read.
        package var expected: [Write]
        /// Whether a written key must not have changed since `readTimestamp` either.
        package var firstCommitterWins: Bool
        /// By ascending key; nil deletes.
        package var writes: [Write]
        /// About how many bytes the coding takes; it is asked for more often than can be counted.
        package internal(set) var sizeHint: Int

        /// Whether the commit is refused because of what changed since `readTimestamp`.
        var dependsOnReadTimestamp: Bool {
            !readKeys.isEmpty || !readRanges.isEmpty
                || firstCommitterWins && readTimestamp > .zero
        }

        package struct Write: Sendable {
            package var key: KeyBytes
            package var value: [UInt8]?

            package init(key: KeyBytes, value: [UInt8]?) {
                self.key = key
                self.value = value
            }
        }

        package init(
            readTimestamp: Timestamp = .zero, readKeys: [KeyBytes] = [],
            readRanges: [KeyRange] = [], locks: [KeyBytes] = [],
            grant: LockGrant? = nil, expected: [Write] = [], firstCommitterWins: Bool = false,
            writes: [Write]
        ) {
            self.begun = .zero
            self.readTimestamp = readTimestamp
            self.readKeys = readKeys.ascending
            self.readRanges = readRanges.disjoint
            self.locks = locks
            self.grant = grant
            self.expected = expected
            self.firstCommitterWins = firstCommitterWins
            self.writes = writes
            var bytes = locks.reduce(readKeys.reduce(256) { $0 + 4 + $1.count }) {
                $0 + 4 + $1.count
            }
            for write in writes { bytes += 8 + write.key.count + (write.value?.count ?? 0) }
            sizeHint = bytes
        }
    }

    /// The key by which the request finds its tablet.
    package var routingKey: KeyBytes {
        switch body {
        case .read(let keys, _): keys.first ?? []
        case .scan(let scan): scan.range.start
        case .lock(let lock): lock.keys.first ?? []
        case .commit(let commit): commit.writes.first?.key ?? commit.locks.first ?? []
        case .release(let key): key
        case .unlock(let keys, _): keys.first ?? []
        }
    }

    /// The first key that lies outside of `range`, if there is one.
    package func keyOutside(_ range: KeyRange) -> KeyBytes? {
        func outside(_ key: KeyBytes) -> Bool { !range.contains(key) }
        switch body {
        case .read(let keys, _): return keys.first(where: outside)
        case .scan(let scan): return range.contains(scan.range) ? nil : scan.range.end
        case .lock(let lock):
            return lock.keys.first(where: outside) ?? lock.others.first(where: outside)
        case .commit(let commit):
            // What is in order lies within the range if its ends do. A lock that lies outside is not
            // held here, as the commit finds out.
            let ends = [
                commit.readKeys.first, commit.readKeys.last, commit.locks.first,
                commit.writes.first?.key, commit.writes.last?.key,
            ]
            return ends.lazy.compactMap(\.self).first(where: outside)
                ?? [commit.readRanges.first, commit.readRanges.last].lazy.compactMap(\.self)
                .first { !range.contains($0) }?.end
                ?? commit.expected.first { outside($0.key) }?.key
        case .release(let key): return outside(key) ? key : nil
        case .unlock(let keys, _): return keys.first(where: outside)
        }
    }

    /// About how many bytes the coding takes.
    package var sizeHint: Int {
        switch body {
        case .read(let keys, _), .unlock(let keys, _): keys.reduce(64) { $0 + 4 + $1.count }
        case .lock(let lock): lock.keys.reduce(128) { $0 + 4 + $1.count }
        case .commit(let commit):
            commit.sizeHint
        case .scan, .release: 256
        }
    }

    /// Whether it asks for values and for nothing else.
    package var isRead: Bool {
        switch body {
        case .read, .scan: true
        case .lock, .commit, .release, .unlock: false
        }
    }

    package var isLock: Bool {
        if case .lock = body { return true }
        return false
    }

    package var isUnlock: Bool {
        if case .unlock = body { return true }
        return false
    }

    /// Whether it gives up locks, some or all.
    package var isRelease: Bool {
        switch body {
        case .release, .unlock: true
        default: false
        }
    }

    package var isCommit: Bool {
        if case .commit = body { return true }
        return false
    }
}

extension [KeyBytes] {
    /// Whether every key is greater than the one before.
    var isAscending: Bool { indices.dropFirst().allSatisfy { self[$0 - 1].precedes(self[$0]) } }

    /// In ascending order, each once.
    fileprivate var ascending: Self {
        if isAscending { return self }
        var kept: Self = []
        kept.reserveCapacity(count)
        for key in sorted(by: { $0.precedes($1) }) where key != kept.last { kept.append(key) }
        return kept
    }
}

extension [KeyRange] {
    /// Whether every range begins at or behind the end of the one before.
    var areDisjoint: Bool {
        allSatisfy { !$0.isEmpty }
            && indices.dropFirst().allSatisfy { place in
                !self[place - 1].end.isEmpty && !self[place].start.precedes(self[place - 1].end)
            }
    }

    /// In ascending order, with those that overlap or touch made one.
    fileprivate var disjoint: Self {
        if areDisjoint { return self }
        var kept: Self = []
        for range in sorted(by: { $0.start.precedes($1.start) }) where !range.isEmpty {
            guard let last = kept.last, last.end.isEmpty || !last.end.precedes(range.start) else {
                kept.append(range)
                continue
            }
            if !last.end.isEmpty, range.end.isEmpty || last.end.precedes(range.end) {
                kept[kept.count - 1].end = range.end
            }
        }
        return kept
    }
}
