import SteleBase
import SteleClock
import SteleEngine
import SteleRaft

/// How far a commit has come that waits, or whose evaluation takes several turns.
///
/// By reference: what was encoded so far must not be copied in every turn.
final class CommitProgress {
    /// Among the versions of its first key the transaction is not, up to here.
    var isNotAppliedUpTo: Timestamp?
    var reads: ReadValidation?
    /// How many of its locks were found to be held.
    var heldLocks = 0
    /// How many of its writes were looked at for whether the transaction holds their locks, and
    /// which of them it does not hold.
    var checkedWrites = 0
    var unlockedWrites: [Int] = []
    private var tenure: LockTable.Tenure?
    var command: CommandWriter?
    var upload: CommandUpload?

    /// Whether its evaluation goes over several turns.
    var isLong: Bool {
        reads != nil || heldLocks > 0 || checkedWrites > 0 || command != nil || upload != nil
    }

    init() {}

    /// Forgets what was found of locks if some of them may be gone: while the commit waits for one, a
    /// release of others may come late, and the same commit by another way, which lets go of what this
    /// one was granted.
    func checkLocksAnew(unless tenure: LockTable.Tenure?) {
        if tenure == self.tenure { return }
        self.tenure = tenure
        heldLocks = 0
        checkedWrites = 0
        unlockedWrites = []
    }
}

/// How the leader evaluates a commit.
///
/// Everything is looked at anew whenever the request is, up to its command, in one piece; only what
/// was found in earlier turns and cannot have changed is passed over.
extension Tablet {
    func commit(
        _ commit: TabletRequest.CommitRequest, for transaction: TransactionID, origin: UInt64,
        _ progress: CommitProgress
    ) throws -> Outcome {
        // Who waits for a lock that is to go would seem to wait for this transaction: a deadlock.
        if unlocking.contains(transaction) { return .wait(.unlock) }
        progress.checkLocksAnew(unless: locks.tenure(of: transaction))
        if commit.writes.isEmpty { return verify(commit, for: transaction, progress) }
        if let index = inFlight.newestWriter(of: commit.writes) { return .wait(.latch(index)) }
        work.add(commit.expected.count, at: TurnWork.Cost.readKey)
        for expectation in commit.expected {
            if let index = inFlight.writer(of: expectation.key) { return .wait(.latch(index)) }
        }
        try clock.hybrid.update(with: commit.begun, physical: clock.physical)
        // Looked at first, since looking at the rest may take long.
        if clock.hybrid.peek(physical: clock.physical) > leaseBound { return .wait(.lease) }
        switch try earlierCommit(commit, of: transaction, progress) {
        case .none: break
        case .at(let timestamp):
            mark("tablet: a repeated commit finds itself")
            release(transaction)
            return .reply(.committed(timestamp), servedAt: nil)
        case .cannotBeTold:
            mark("tablet: a commit began below the watermark")
            var failure = TabletReply.Failure(.begunTooEarly, "the commit came too late")
            failure.watermark = watermark
            return .reply(.failed(failure), servedAt: nil)
        }
        if let outcome = checkLocks(commit, of: transaction, progress) { return outcome }
        if let obstacle = lockInTheWay(of: commit, transaction, progress) {
            return .wait(obstacle)
        }
        for expectation in commit.expected
        where try reader.newestVersion(of: expectation.key, at: .max)?.value != expectation.value {
            return changed(expectation.key, transaction)
        }
        // What changed since may have been dropped.
        if commit.readTimestamp < watermark, commit.dependsOnReadTimestamp {
            release(transaction)
            return Self.snapshotTooOld
        }
        switch try validate(CommitReads(commit), since: commit.readTimestamp, &progress.reads) {
        case .valid: break
        case .changed(let key): return changed(key, transaction)
        case .latched(let index): return .wait(.latch(index))
        case .unfinished: return .wait(.turn)
        }
        if progress.upload != nil || isUploaded(commit) {
            if let outcome = upload(commit, of: transaction, progress) { return outcome }
            guard let timestamp = writeTimestamp() else { return .wait(.lease) }
            return propose(
                commit, for: transaction, at: timestamp, origin: origin,
                assembly(of: transaction, at: timestamp))
        }
        guard var command = encode(commit, of: transaction, progress) else { return .wait(.turn) }
        guard let timestamp = writeTimestamp() else {
            progress.command = command
            return .wait(.lease)
        }
        return propose(
            commit, for: transaction, at: timestamp, origin: origin,
            command.finish(commit.writes, at: timestamp, generation: descriptor.generation))
    }

    private func changed(_ key: KeyBytes, _ transaction: TransactionID) -> Outcome {
        release(transaction)
        return .reply(.failed(.changed(key)), servedAt: nil)
    }

    private enum EarlierCommit {
        case none
        case at(Timestamp)
        /// It may lie below the watermark.
        case cannotBeTold
    }

    /// When the transaction was committed by an earlier attempt.
    ///
    /// Its first key is latched by nobody, so it is not in flight. Among the recent writes it is
    /// found by its name; only a predecessor's, or one of long ago, has to be looked for.
    private func earlierCommit(
        _ commit: TabletRequest.CommitRequest, of transaction: TransactionID,
        _ progress: CommitProgress
    ) throws(EngineError) -> EarlierCommit {
        if let timestamp = recent.timestamp(of: transaction) { return .at(timestamp) }
        let begun = max(commit.begun, progress.isNotAppliedUpTo ?? .zero)
        guard begun < recent.lowWater, let first = commit.writes.first else { return .none }
        if begun < watermark { return .cannotBeTold }
        mark("tablet: a commit looks for itself in the engine")
        work.add(1, at: TurnWork.Cost.readKey)
        let versions = try reader.versions(of: first.key, above: begun)
        work.add(versions.count, at: TurnWork.Cost.scannedKey)
        if let own = versions.first(where: { $0.transaction == transaction }) {
            return .at(own.timestamp)
        }
        progress.isNotAppliedUpTo = settled
        return .none
    }

    /// The end of a transaction that wrote nothing and may rely on its locks.
    ///
    /// Nothing is released: should the answer get lost, the same can be asked again. Under a lease
    /// nobody else can have changed what is locked here, so the timestamp needs no floor.
    private func verify(
        _ commit: TabletRequest.CommitRequest, for transaction: TransactionID,
        _ progress: CommitProgress
    ) -> Outcome {
        if let outcome = checkLocks(commit, of: transaction, progress) { return outcome }
        guard let now = clock.now(), now <= leaseBound else { return .wait(.lease) }
        return .reply(.committed(now), servedAt: now)
    }

    /// Checks that all locks of a commit are held; nil if they are.
    private func checkLocks(
        _ commit: TabletRequest.CommitRequest, of transaction: TransactionID,
        _ progress: CommitProgress
    ) -> Outcome? {
        if commit.locks.isEmpty { return nil }
        guard commit.grant == grant(of: transaction) else { return Self.lockLost }
        let end = min(
            progress.heldLocks + longSlice(at: TurnWork.Cost.checkedKey), commit.locks.count)
        work.add(end - progress.heldLocks, at: TurnWork.Cost.checkedKey)
        while progress.heldLocks < end {
            guard locks.holds(commit.locks[progress.heldLocks], transaction) else {
                return Self.lockLost
            }
            progress.heldLocks += 1
        }
        return end == commit.locks.count ? nil : .wait(.turn)
    }

    /// How much of one kind of work a slice of a long evaluation does. What a usual commit takes is
    /// done at once, however late in the turn it is.
    private func longSlice(at cost: Int, atLeast least: Int = 256) -> Int {
        faultPoint("tablet: a commit takes turns")
            ? 1 : max(work.room(at: cost, isLong: true), least)
    }

    /// A lock of somebody else's on a written key, for which the transaction has to wait, or the next
    /// turn, in which the search goes on; nil if there is none.
    ///
    /// The locks of what the transaction has locked itself cannot be others'. Where it has not, as
    /// it may be for very many writes, others' locks are looked up among the writes if they are
    /// fewer.
    private func lockInTheWay(
        of commit: TabletRequest.CommitRequest, _ transaction: TransactionID,
        _ progress: CommitProgress
    ) -> Obstacle? {
        func wait(_ key: KeyBytes?) -> Obstacle? { key.map { .lock($0, .exclusive) } }
        guard locks.isUsed(byOtherThan: transaction) else { return nil }
        let writes = commit.writes
        guard
            writes.count > InFlightWrites.keysLatchedSingly
                || faultPoint("tablet: a commit remembers which locks it holds")
        else {
            return wait(writes.lazy.map(\.key).first { isInTheWay($0, transaction) })
        }
        let end = min(
            progress.checkedWrites + longSlice(at: TurnWork.Cost.checkedKey), writes.count)
        work.add(end - progress.checkedWrites, at: TurnWork.Cost.checkedKey)
        while progress.checkedWrites < end {
            if !locks.holdsAlone(writes[progress.checkedWrites].key, transaction) {
                progress.unlockedWrites.append(progress.checkedWrites)
            }
            progress.checkedWrites += 1
        }
        if end < writes.count { return .turn }
        let unlocked = progress.unlockedWrites
        if unlocked.isEmpty { return nil }
        let others = locks.lockCount(ofOthersThan: transaction)
        if unlocked.count <= others || faultPoint("tablet: a commit's writes are looked at again") {
            work.add(unlocked.count, at: TurnWork.Cost.checkedKey)
            return wait(unlocked.lazy.map { writes[$0].key }.first { isInTheWay($0, transaction) })
        }
        work.add(others, at: TurnWork.Cost.checkedKey)
        return wait(
            locks.keys(ofOthersThan: transaction, in: writes.keySpan)
                .first { writes.contains($0) && isInTheWay($0, transaction) })
    }

    /// Whether the transaction has to wait for others' locks on a key, and cannot take it at once.
    private func isInTheWay(_ key: KeyBytes, _ transaction: TransactionID) -> Bool {
        locks.isHeld(key, byOtherThan: transaction)
            && !locks.acquire(key, .exclusive, for: transaction)
    }

    /// A timestamp above everything served and written; nil if the lease does not cover it.
    private func writeTimestamp() -> Timestamp? {
        clock.hybrid.advance(to: floor)
        guard let timestamp = clock.now(), timestamp <= leaseBound else { return nil }
        return timestamp
    }

    /// Encodes the next writes of a commit; nil if some are left for the next turn.
    private func encode(
        _ commit: TabletRequest.CommitRequest, of transaction: TransactionID,
        _ progress: CommitProgress
    ) -> CommandWriter? {
        var command: CommandWriter
        if let begun = progress.command {
            command = begun
            progress.command = nil
        } else {
            command = CommandWriter(
                transaction,
                reserving: commit.writes.reduce(0) { $0 + CommandWriter.size(of: $1) })
        }
        let before = command.count
        let bytes = command.encode(
            commit.writes, limit: longSlice(at: TurnWork.Cost.writtenKey),
            byteLimit: TurnWork.Cost.bytesCopied
                * longSlice(at: TurnWork.Cost.bytes, atLeast: 64 << 10))
        work.add(command.count - before, at: TurnWork.Cost.writtenKey)
        work.copied(bytes: bytes)
        guard command.count < commit.writes.count else { return command }
        mark("tablet: a command is encoded over several turns")
        progress.command = command
        return nil
    }

    private func propose(
        _ commit: TabletRequest.CommitRequest, for transaction: TransactionID,
        at timestamp: Timestamp, origin: UInt64, _ payload: ArraySlice<UInt8>
    ) -> Outcome {
        if payload.count > Self.largeCommandBytes || faultPoint("tablet: a large command") {
            output.hasLargeProposal = true
        }
        countInFlight()
        // Nothing else is refused to a leader that hands its leadership to nobody.
        guard nodeInFlight.hasRoom(for: payload.count), (try? group.propose([payload])) != nil
        else {
            releaseLocksTaken(by: commit, transaction)
            let excess = LimitExceeded(
                .logInFlightBytes, count: nodeInFlight.total + payload.count,
                allowed: nodeInFlight.limit)
            return .reply(.failed(.init(.overloaded, excess.description)), servedAt: nil)
        }
        countInFlight()
        noteDeletions(commit.writes)
        var keys = InFlightWrites.LatchedKeys.writes(commit.writes)
        // Only a large command is applied so slowly that others overtake it: of those before this one,
        // none may be in flight when this one is applied.
        let isRecent =
            RecentWrites.keeps(keys: commit.writes.count)
            && !(inFlight.isEmpty
                && faultPoint("tablet: a command is not kept among the recent writes"))
        if isRecent {
            let written = commit.writes.map(\.key)
            recent.append(written, by: transaction, at: timestamp, settled: settled)
            if written.count <= InFlightWrites.keysLatchedSingly { keys = .keys(written) }
        }
        inFlight.append(
            InFlightWrites.Command(
                index: group.lastIndex, term: group.term, timestamp: timestamp,
                transaction: transaction, origin: origin, keys: keys, isRecent: isRecent))
        return .proposed
    }

    private static let largeCommandBytes = 1 << 20
}
