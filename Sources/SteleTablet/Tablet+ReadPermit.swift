import SteleBase
import SteleClock
import SteleEngine

/// Leave to make the reads of a request outside of any turn, and from any thread.
///
/// Of a read: at the moment of the permit the tablet's leader had its lease and had applied all that
/// may be seen at the timestamp, and its floor was raised there, so that nothing is written at or below
/// it any more. So the answer is the state of that moment, whenever the read is made, and whoever leads
/// by then. Versions below a watermark may be gone meanwhile, which the engine refuses itself.
///
/// Of a request for locks: at the moment of the permit they were granted. What is read later may be
/// newer only if it was written under the same locks, or if those are lost, as the commit finds out.
package struct ReadPermit: Sendable {
    enum Kind: Sendable {
        case read(at: Timestamp)
        case locked(grant: LockGrant?, at: Timestamp)
    }

    let kind: Kind
    let reader: any EngineReader

    /// Makes the reads; nil if they need the disk, or are refused in a way that a request is told of.
    package func answer(_ body: TabletRequest.Body) -> TabletReply? {
        switch (kind, body) {
        case (.read(let timestamp), .read(let keys, _)): values(of: keys, at: timestamp)
        case (.read(let timestamp), .scan(let scan)): page(of: scan, at: timestamp)
        case (.locked(let grant, let clock), .lock(let lock)): locked(lock, grant, clock)
        default: nil
        }
    }

    private func version(of key: KeyBytes, at timestamp: Timestamp) throws(EngineError) -> Version? {
        try reader.newestVersion(of: key, at: timestamp)
    }

    private func values(of keys: [KeyBytes], at timestamp: Timestamp) -> TabletReply? {
        var values: [[UInt8]?] = []
        values.reserveCapacity(keys.count)
        var bytes = 0
        for key in keys {
            guard let version = try? version(of: key, at: timestamp) as Version?? else { return nil }
            bytes += version?.value?.count ?? 0
            guard bytes <= Limits.answerBytes else { return nil }
            values.append(version?.value)
        }
        return .values(values, at: timestamp)
    }

    private func page(of scan: TabletRequest.ScanRequest, at timestamp: Timestamp) -> TabletReply? {
        var limits = scan.limits
        limits.keys = min(limits.keys, Self.scannedKeys)
        var page = ScanPage()
        do throws(EngineError) {
            try reader.scan(
                scan.range, at: timestamp, limits: limits, reverse: scan.reverse, into: &page)
        } catch {
            return nil
        }
        return .page(page, at: timestamp)
    }

    private func locked(
        _ lock: TabletRequest.LockRequest, _ grant: LockGrant?, _ clock: Timestamp
    ) -> TabletReply? {
        var values: [TabletReply.Locked] = []
        values.reserveCapacity(lock.keys.count + lock.others.count)
        var bytes = 0
        for key in lock.keys + lock.others {
            guard let version = try? version(of: key, at: .max) as Version?? else { return nil }
            let isLocked = values.count < lock.keys.count
            if isLocked, let version, let snapshot = lock.snapshot, version.timestamp > snapshot {
                return .failed(.changed(key))
            }
            bytes += version?.value?.count ?? 0
            guard bytes <= Limits.answerBytes else { return nil }
            values.append(.init(isLocked: isLocked, value: version?.value))
        }
        return .locked(values, grant: grant, clock: clock)
    }

    /// Keys that are passed in one piece, which holds up whoever shares the thread.
    private static let scannedKeys = 1_024
    /// Keys that are read in one piece.
    static let keys = 64
}

extension Tablet {
    /// Leave to make the reads of a request now, once its locks are granted; nil if it has to wait for
    /// something, or changes more than that, and has had no effect then. The lease is that of this
    /// moment.
    package func permitReads(_ request: TabletRequest) -> ReadPermit? {
        guard isServing, group.leadTransferee == .none, request.keyOutside(descriptor.range) == nil
        else { return nil }
        switch request.body {
        case .read(let keys, let requested):
            guard keys.count <= ReadPermit.keys, let timestamp = try? readTimestamp(requested),
                !isWritten(keys, at: timestamp)
            else { return nil }
            return ReadPermit(kind: .read(at: timestamp), reader: reader.inMemory)
        case .scan(let scan):
            guard let timestamp = try? readTimestamp(scan.timestamp),
                inFlight.writer(in: scan.range, at: timestamp) == nil
            else { return nil }
            return ReadPermit(kind: .read(at: timestamp), reader: reader.inMemory)
        case .lock(let lock): return permitReads(lock, for: request.transaction)
        case .commit, .release, .unlock: return nil
        }
    }

    /// A command in flight writes one of the keys.
    private func isWritten(_ keys: [KeyBytes], at timestamp: Timestamp = .max) -> Bool {
        !inFlight.isEmpty && keys.contains { inFlight.writer(of: $0, at: timestamp) != nil }
    }

    /// Grants all of the locks, if none is refused for any reason. A transaction that has returned to a
    /// savepoint is left to a turn, which knows what it gave up meanwhile.
    private func permitReads(
        _ lock: TabletRequest.LockRequest, for transaction: TransactionID
    ) -> ReadPermit? {
        guard lock.rollbacks == 0, lock.keys.count + lock.others.count <= ReadPermit.keys,
            !locks.isReleasing(transaction), lock.snapshot ?? .max >= watermark,
            lock.grant == nil || lock.grant == grant(of: transaction),
            lock.keys.allSatisfy({ locks.isFree($0, lock.mode, for: transaction) }),
            !isWritten(lock.keys), !isWritten(lock.others),
            let now = clock.now(), now <= leaseBound
        else { return nil }
        floor = max(floor, now)
        for key in lock.keys {
            let isGranted = locks.acquire(key, lock.mode, for: transaction)
            invariant(isGranted, "a free lock is granted")
        }
        return ReadPermit(
            kind: .locked(grant: grant(of: transaction), at: now), reader: reader.inMemory)
    }
}
