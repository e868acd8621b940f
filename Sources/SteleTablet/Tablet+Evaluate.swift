import SteleAPI
import SteleBase
import SteleClock
import SteleEngine
import SteleRaft

/// How the leader evaluates requests. A request that has to wait changes nothing and starts over.
extension Tablet {
    /// Why a request cannot be answered at this moment.
    enum Obstacle {
        /// A command in flight writes what the request reads or writes.
        case latch(LogIndex)
        /// Another transaction holds the lock.
        case lock(KeyBytes, LockMode)
        /// The lease, or the clock, does not reach far enough yet.
        case lease
        /// This turn has done enough.
        case turn
        /// A release of the transaction's own locks, from before the request, waits for a turn.
        case unlock
        /// Something is not in memory.
        case disk
        /// The parts of the commit, or of another, have to be applied first.
        case upload
    }

    enum Outcome {
        case reply(TabletReply, servedAt: Timestamp?)
        case wait(Obstacle)
        /// The command is in the log; the reply comes when it is applied.
        case proposed
    }

    /// Takes a request in; its reply appears in ``output`` now or later, exactly once.
    package func handle(_ request: TabletRequest, origin: UInt64) {
        evaluate(WaitingRequest(request: request, origin: origin), ticket: nil)
    }

    /// Looks again at requests whose obstacle is gone.
    package func runAwakened() {
        while !awakened.isEmpty {
            let tickets = awakened
            awakened = []
            for ticket in tickets {
                if let waiter = waiting.remove(ticket) {
                    evaluate(waiter, ticket: ticket)
                }
            }
        }
    }

    /// Looks again at requests that wait for the lease, and ends waits that took too long.
    package func retryParked() {
        let now = clock.monotonic
        dropAbandonedParts()
        if !parked.isEmpty {
            let tickets = parked
            parked = []
            for ticket in tickets {
                guard let waiter = waiting.remove(ticket) else { continue }
                if let until = waiter.parkedUntil, now >= until, !isServing {
                    fail(waiter, .notLeader, "the leader has no lease")
                } else {
                    evaluate(waiter, ticket: ticket)
                }
            }
        }
    }

    /// How long a read waits for a turn that has room for its answer, in microseconds.
    private static let longestDeferral: UInt64 = 2_000_000

    /// Ends waits for locks whose time is over.
    package func expireLockWaits() {
        let now = clock.monotonic
        for ticket in waiting.expired(at: now) {
            // One that waits for something else goes on; the transaction may await a lock for another.
            guard let transaction = waiting[ticket]?.request.transaction,
                locks.ticket(of: transaction) == ticket,
                let cancelled = locks.cancelWait(of: transaction)
            else { continue }
            awakened += cancelled.granted
            if let waiter = waiting.remove(ticket) {
                fail(
                    waiter, .lockNotAvailable,
                    "the lock was not granted in the time that the call was given")
            }
        }
        runAwakened()
    }

    /// - Parameter inAnyCase: whether it is looked at even if the turn is used up.
    func evaluate(_ waiter: WaitingRequest, ticket: UInt64?, inAnyCase: Bool = false) {
        var waiter = waiter
        guard group.isLeader, group.leadTransferee == .none else {
            return fail(waiter, .notLeader, "this replica does not lead")
        }
        // Once is enough, and it takes long for very many keys.
        if ticket == nil, let key = waiter.request.keyOutside(descriptor.range) {
            return fail(
                waiter, .invalid,
                "\(key.keyDescription) lies outside of tablet \(descriptor.id); a transaction "
                    + "over several tablets is not supported by this version")
        }
        let outcome: Outcome
        // The locks are this leader's own: to give some up needs no lease.
        if isServing || waiter.request.isRelease {
            let beginning = work.begins()
            defer { work.note(waiter.request.kind, of: descriptor.id, since: beginning) }
            reader.patience = waiter.patience
            do {
                outcome = try perform(&waiter, inAnyCase)
            } catch let error as EngineError where error.code == .notInMemory {
                outcome = .wait(.disk)
            } catch let error as EngineError {
                output.failure = error.isFatal ? error : output.failure
                return fail(
                    waiter, error.code == .belowWatermark ? .snapshotTooOld : .storage,
                    error.message)
            } catch {
                // This clock is behind that of whoever asks. It is tried again: they come together,
                // or a replica whose clock is right takes over the leadership.
                return fail(waiter, .notLeader, "\(error)")
            }
        } else {
            outcome = .wait(.lease)
        }
        switch outcome {
        case .reply(let reply, let servedAt):
            abandonUpload(of: waiter)
            output.replies.append(
                TabletOutput.Reply(origin: waiter.origin, reply: reply, servedAt: servedAt))
        case .proposed: break
        case .wait(let obstacle):
            let ticket = ticket ?? nextTicket()
            switch obstacle {
            case .lease:
                if waiter.parkedUntil == nil { waiter.parkedUntil = clock.monotonic + 1_000_000 }
                parked.append(ticket)
                waiting.insert(waiter, ticket: ticket)
            case .turn where waiter.request.isUnlock:
                unlocking.append(ticket, of: waiter.request.transaction)
                waiting.insert(waiter, ticket: ticket)
            case .unlock:
                mark("tablet: a lock is asked for before its release was looked at")
                if case .lock(let lock) = waiter.request.body, waiter.lockDeadline == nil,
                    let timeout = lock.timeoutMicroseconds
                {
                    waiter.lockDeadline = clock.monotonic + timeout
                }
                waiting.insert(waiter, ticket: ticket)
                unlocking.wait(ticket, for: waiter.request.transaction)
            case .turn:
                mark("tablet: a request waits for the next turn")
                if waiter.deferredUntil == nil {
                    waiter.deferredUntil = clock.monotonic + Self.longestDeferral
                }
                deferred.append(ticket)
                waiting.insert(waiter, ticket: ticket)
            case .disk:
                mark("tablet: a request waits for the disk")
                waiter.noteFetch()
                waiting.insert(waiter, ticket: ticket)
                if let read = diskRead(for: waiter, ticket: ticket) {
                    output.diskReads.append(read)
                }
            case .latch(let index):
                waiting.insert(waiter, ticket: ticket)
                inFlight.wait(for: index, ticket: ticket)
            case .upload:
                waiting.insert(waiter, ticket: ticket)
                uploadWaiters.append(ticket)
            case .lock(let key, let mode):
                // Which may take for ever.
                abandonUpload(of: waiter)
                waiting.insert(waiter, ticket: ticket)
                waitForLock(key, mode, ticket: ticket)
                if case .lock(let lock) = waiter.request.body {
                    note(lock, of: waiter.request.transaction)
                }
            }
        }
    }

    private func perform(_ waiter: inout WaitingRequest, _ inAnyCase: Bool) throws -> Outcome {
        let request = waiter.request
        if work.isUsedUp, !request.isRelease, !inAnyCase { return .wait(.turn) }
        work.add(1, at: TurnWork.Cost.request)
        switch request.body {
        case .read(let keys, let timestamp): return try read(keys, at: timestamp)
        case .scan(let scan): return try self.scan(scan)
        case .lock(let lock): return try self.lock(lock, for: request.transaction)
        case .commit(let commit):
            let progress = waiter.progress ?? CommitProgress()
            waiter.progress = progress
            return try self.commit(
                commit, for: request.transaction, origin: waiter.origin, progress)
        case .release:
            release(request.transaction)
            return .reply(.released, servedAt: nil)
        case .unlock(let keys, let rollback):
            if !inAnyCase, work.isLongWorkOver || faultPoint("tablet: locks wait to be given up") {
                return .wait(.turn)
            }
            unlock(keys, of: request.transaction, rollback)
            return .reply(.released, servedAt: nil)
        }
    }

    // MARK: Reads

    private func read(_ keys: [KeyBytes], at requested: Timestamp?) throws -> Outcome {
        guard let timestamp = try readTimestamp(requested) else { return .wait(.lease) }
        if !inFlight.isEmpty {
            for key in keys {
                if let index = inFlight.writer(of: key, at: timestamp) {
                    return .wait(.latch(index))
                }
            }
        }
        var values: [[UInt8]?] = []
        values.reserveCapacity(keys.count)
        var bytes = 0
        for key in keys {
            let value = try reader.newestVersion(of: key, at: timestamp)?.value
            bytes += value?.count ?? 0
            guard bytes <= Limits.answerBytes else { return Self.tooLong(bytes) }
            values.append(value)
        }
        work.add(keys.count, at: TurnWork.Cost.readKey)
        work.addAnswer(bytes: bytes)
        return .reply(.values(values, at: timestamp), servedAt: timestamp)
    }

    /// An answer that no message could hold, however often it were asked for.
    private static func tooLong(_ bytes: Int) -> Outcome {
        let excess = LimitExceeded(.answerBytes, count: bytes)
        return .reply(.failed(.init(.tooLarge, excess.description)), servedAt: nil)
    }

    private func scan(_ scan: TabletRequest.ScanRequest) throws -> Outcome {
        guard let timestamp = try readTimestamp(scan.timestamp) else { return .wait(.lease) }
        if let index = inFlight.writer(in: scan.range, at: timestamp) { return .wait(.latch(index)) }
        var page = ScanPage()
        var limits = scan.limits
        limits.keys = min(
            limits.keys, Limits.scanPageKeys, work.room(at: TurnWork.Cost.scannedKey))
        if faultPoint("tablet: a short page of a scan") { limits.keys = 1 }
        try reader.scan(
            scan.range, at: timestamp, limits: limits, reverse: scan.reverse, into: &page)
        if page.count == 0, page.resumeKey != nil { mark("tablet: a page without rows goes on") }
        work.add(page.visited, at: TurnWork.Cost.scannedKey)
        work.addAnswer(bytes: page.bytes.count)
        return .reply(.page(page, at: timestamp), servedAt: timestamp)
    }

    /// The timestamp of a read, with the floor raised to it; nil if the lease does not cover it.
    ///
    /// A read that may choose stays below the commands that are not acknowledged yet: it may come
    /// before them and need not wait. Everything that was acknowledged here, or by an earlier leader,
    /// is at or below `readLow`; a large command may be too, that others overtook.
    func readTimestamp(_ requested: Timestamp?) throws(ClockError) -> Timestamp? {
        let timestamp: Timestamp
        if let requested {
            try clock.hybrid.update(with: requested, physical: clock.physical)
            timestamp = requested
        } else if let first = inFlight.firstUnanswered {
            timestamp = max(first.timestamp.previous, readLow)
        } else {
            timestamp = max(min(clock.now() ?? readLow, leaseBound), readLow)
        }
        guard timestamp <= leaseBound else { return nil }
        floor = max(floor, timestamp)
        return timestamp
    }

    // MARK: Locks

    private func lock(
        _ lock: TabletRequest.LockRequest, for transaction: TransactionID
    ) throws -> Outcome {
        if lock.rollbacks > 0, unlocking.contains(transaction) { return .wait(.unlock) }
        if let grant = lock.grant, grant != self.grant(of: transaction) { return Self.lockLost }
        if locks.isReleasing(transaction) { return Self.lockLost }
        defer { note(lock, of: transaction) }
        if let snapshot = lock.snapshot, snapshot < watermark { return Self.snapshotTooOld }
        var skipped: [Bool] = []
        skipped.reserveCapacity(lock.keys.count)
        for key in lock.keys {
            if locks.acquire(key, lock.mode, for: transaction) {
                skipped.append(false)
                continue
            }
            switch lock.wait {
            case .wait: return .wait(.lock(key, lock.mode))
            case .skip: skipped.append(true)
            case .fail:
                return .reply(
                    .failed(.init(.lockNotAvailable, "could not obtain lock on row")),
                    servedAt: nil)
            }
        }
        for (key, isSkipped) in zip(lock.keys, skipped) where !isSkipped {
            if let index = inFlight.writer(of: key) { return .wait(.latch(index)) }
        }
        for key in lock.others {
            if let index = inFlight.writer(of: key) { return .wait(.latch(index)) }
        }
        guard let now = clock.now(), now <= leaseBound else { return .wait(.lease) }
        floor = max(floor, now)
        var values: [TabletReply.Locked] = []
        values.reserveCapacity(lock.keys.count + lock.others.count)
        var bytes = 0
        for (key, isSkipped) in zip(lock.keys, skipped) {
            if isSkipped {
                values.append(.init(isLocked: false, value: nil))
                continue
            }
            let version = try reader.newestVersion(of: key, at: .max)
            if let version, let snapshot = lock.snapshot, version.timestamp > snapshot {
                return .reply(.failed(.changed(key)), servedAt: nil)
            }
            bytes += version?.value?.count ?? 0
            guard bytes <= Limits.answerBytes else { return Self.tooLong(bytes) }
            values.append(.init(isLocked: true, value: version?.value))
        }
        for key in lock.others {
            let version = try reader.newestVersion(of: key, at: .max)
            bytes += version?.value?.count ?? 0
            guard bytes <= Limits.answerBytes else { return Self.tooLong(bytes) }
            values.append(.init(isLocked: false, value: version?.value))
        }
        work.add(values.count, at: TurnWork.Cost.readKey)
        work.addAnswer(bytes: bytes)
        return .reply(
            .locked(values, grant: grant(of: transaction), clock: now), servedAt: now)
    }

    /// What the locks of a transaction are held as; nil if it holds none.
    func grant(of transaction: TransactionID) -> LockGrant? {
        locks.arrival(of: transaction).map { LockGrant(term: leadingTerm, arrival: $0) }
    }

    /// Remembers what was asked for after a return to a savepoint: a release that comes late must leave
    /// it.
    private func note(_ lock: TabletRequest.LockRequest, of transaction: TransactionID) {
        guard lock.rollbacks > 0 else { return }
        work.add(lock.keys.count, at: TurnWork.Cost.checkedKey)
        locks.note(lock.keys, askedAfter: lock.rollbacks, of: transaction)
    }

    static let snapshotTooOld = Outcome.reply(
        .failed(.init(.snapshotTooOld, "what was read is older than the history that is kept")),
        servedAt: nil)

    static let lockLost = Outcome.reply(
        .failed(.init(.lockLost, "row locks were lost when a leader or a node failed")),
        servedAt: nil)

    private func waitForLock(_ key: KeyBytes, _ mode: LockMode, ticket: UInt64) {
        guard let waiter = waiting[ticket] else { return }
        let transaction = waiter.request.transaction
        var timeout: UInt64?
        if case .lock(let lock) = waiter.request.body { timeout = lock.timeoutMicroseconds }
        if let timeout, waiter.lockDeadline == nil {
            waiting.setLockDeadline(clock.monotonic + timeout, of: ticket)
        }
        // A transaction waits once: a request that came twice waits as the one that came last, in the
        // place of the first. Which of them its node sent last is not known here, so the other is not
        // refused: should that be the one that counts, it is asked again.
        // A commit that came again begins anew, since the locks that it took by itself go.
        if waiter.request.isLock, let waits = locks.ticket(of: transaction),
            waiting[waits]?.request.isLock ?? false,
            let earlier = locks.renewWait(
                for: key, mode, transaction: transaction, ticket: ticket)
        {
            mark("tablet: a request that came again keeps its place in the queue")
            return failAskedAgain(earlier)
        }
        if let earlier = locks.cancelWait(of: transaction) {
            awakened += earlier.granted
            failAskedAgain(earlier.ticket)
            // The earlier request may have been all that was in the way, or its end have freed the key:
            // nobody would come to hand it over.
            if locks.acquire(key, mode, for: transaction) {
                awakened.append(ticket)
                return
            }
        }
        // Every wait may close several cycles; each one loses its youngest member.
        var victim = locks.wait(for: key, mode, transaction: transaction, ticket: ticket)
        while let youngest = victim, let cancelled = locks.cancelWait(of: youngest) {
            awakened += cancelled.granted
            if let loser = waiting.remove(cancelled.ticket) {
                fail(loser, .deadlock, "deadlock detected")
            }
            victim = youngest == transaction ? nil : locks.victimOfCycle(from: transaction)
        }
    }

    private func failAskedAgain(_ ticket: UInt64) {
        if let request = waiting.remove(ticket) {
            fail(request, .outcomeUnknown, "the lock was asked for again")
        }
    }

    /// Gives up a transaction's locks and all that may still take some.
    ///
    /// What a transaction whose command is in flight holds goes when that is applied: who gets the
    /// lock next would read below the command, which nobody knows to be committed yet.
    ///
    /// - Parameter least: how many locks at least, though the turn is used up.
    /// - Returns: how many were given up at once.
    @discardableResult
    func release(_ transaction: TransactionID, least: Int = 256) -> Int {
        var count = 0
        cancelWait(of: transaction)
        if locks.lockCount(of: transaction) > 0, inFlight.contains(transaction) {
            mark("tablet: a release waits for the transaction's command")
        } else {
            count = giveUpLocks(of: transaction, least: least)
        }
        cancelLockRequests(of: transaction)
        return count
    }

    private func cancelWait(of transaction: TransactionID) {
        guard let cancelled = locks.cancelWait(of: transaction) else { return }
        awakened += cancelled.granted
        if let waiter = waiting.remove(cancelled.ticket) {
            fail(waiter, .lockLost, Self.givenUp)
        }
    }

    /// Gives up some of a transaction's locks.
    ///
    /// One whose command is in flight keeps them until that is applied, as in ``release(_:)``; this
    /// came late then, and all of them go soon. It may also come behind requests that were sent after
    /// it, and the transaction relies on what it has asked for since.
    private func unlock(_ keys: [KeyBytes], of transaction: TransactionID, _ rollback: UInt64) {
        guard !inFlight.contains(transaction) else { return }
        // All of them go already, some at a time, and whoever gets one then is told.
        guard !locks.isReleasing(transaction) else { return }
        work.add(keys.count, at: TurnWork.Cost.lockedKey)
        let released = locks.keys(keys, notAskedAfter: rollback, of: transaction)
        if released.count < keys.count {
            mark("tablet: locks that were given up are asked for before they go")
        }
        // A request from before the return may wait here though its call has ended at its node.
        if let ticket = locks.ticket(of: transaction),
            case .lock(let lock)? = waiting[ticket]?.request.body, lock.rollbacks < rollback
        {
            cancelWait(of: transaction)
        }
        cancelLockRequests(of: transaction, before: rollback)
        awakened += locks.release(released, of: transaction)
    }

    /// Goes on with releases of locks taken after savepoints, one at least.
    func continueUnlocking() {
        for place in 0..<unlocking.count {
            if place > 0, work.isLongWorkOver { return }
            guard let (release, requests) = unlocking.removeFirst() else { return }
            if let waiter = waiting.remove(release) {
                evaluate(waiter, ticket: release, inAnyCase: true)
            }
            awakened += requests
        }
    }

    private static let givenUp = "the transaction was given up, and with it its row locks"

    /// The transactions, each with a key, that had or awaited locks already when this was last asked,
    /// longest first; of very many, the next ones each time.
    package func oldLockOwners(
        atMost limit: Int
    ) -> [(transaction: TransactionID, key: KeyBytes)] {
        defer { seenLockOwners = locks.lastArrival }
        guard group.isLeader, !locks.isEmpty else { return [] }
        // Whoever comes during a pass waits for the next one, which else might never begin.
        if askedLockOwners == 0 { lastLockOwnerOfPass = seenLockOwners }
        let found = locks.owners(
            arrivedAfter: askedLockOwners, upTo: lastLockOwnerOfPass, atMost: limit)
        askedLockOwners = found.count == limit ? found[limit - 1].arrival : 0
        return found.map { ($0.transaction, $0.key) }
    }

    /// Gives up a transaction's locks, and its place in a queue for one; very many over several turns.
    ///
    /// A transaction may wait though its client waits no longer: its node had the call end before this
    /// leader did, and the transaction went on from a savepoint.
    ///
    /// - Parameter least: how many at least, though the turn is used up.
    /// - Returns: how many.
    @discardableResult
    func giveUpLocks(of transaction: TransactionID, least: Int = 256) -> Int {
        cancelWait(of: transaction)
        var limit = max(work.room(at: TurnWork.Cost.lockedKey, isLong: true), least)
        if faultPoint("tablet: locks are given up in parts") { limit = 0 }
        let count = min(locks.releaseCount(of: transaction), limit)
        work.add(count, at: TurnWork.Cost.lockedKey)
        awakened += locks.release(transaction, limit: limit)
        return count
    }

    /// Goes on giving up locks.
    func continueRelease() {
        guard locks.isReleasing else { return }
        mark("tablet: locks are given up over several turns")
        let limit = max(work.room(at: TurnWork.Cost.lockedKey, isLong: true), 256)
        work.add(limit, at: TurnWork.Cost.lockedKey)
        awakened += locks.continueRelease(limit: limit)
    }

    /// Ends requests for locks that wait for a latch or the lease: they would take the locks of a
    /// transaction that gave them up.
    ///
    /// - Parameter rollback: only those from before this return to a savepoint.
    func cancelLockRequests(of transaction: TransactionID, before rollback: UInt64 = .max) {
        for ticket in waiting.lockRequests(of: transaction) {
            guard case .lock(let lock)? = waiting[ticket]?.request.body, lock.rollbacks < rollback,
                let waiter = waiting.remove(ticket)
            else { continue }
            fail(waiter, .lockLost, Self.givenUp)
        }
    }

    /// A commit without locks of its coordinator's may have taken some while it waited. Nobody else
    /// knows of them, so they end with its request, even if it is tried again.
    func releaseLocksTaken(
        by commit: TabletRequest.CommitRequest, _ transaction: TransactionID
    ) {
        if commit.locks.isEmpty { giveUpLocks(of: transaction) }
    }

    func fail(
        _ waiter: WaitingRequest, _ reason: TabletReply.Failure.Reason, _ message: String
    ) {
        if case .commit(let commit) = waiter.request.body {
            abandonUpload(of: waiter)
            releaseLocksTaken(by: commit, waiter.request.transaction)
        }
        let leader = descriptor.node(of: group.lead) ?? .none
        output.replies.append(
            TabletOutput.Reply(
                origin: waiter.origin,
                reply: .failed(.init(reason, message, leader: leader, term: group.term)),
                servedAt: nil))
    }
}

extension TabletReply.Failure {
    static func changed(_ key: KeyBytes) -> Self {
        .init(.conflict, "\(key.keyDescription) was changed by another transaction")
    }
}
