import SteleBase
import SteleClock
import SteleEngine
import SteleRaft

/// How committed entries reach the engine, on every replica, and what that sets free on the leader.
///
/// An entry with many mutations is applied in parts, spread over turns, so that heartbeats and
/// other tablets are not kept waiting; its latches stay until the last part. Nor are small commands
/// behind it: they are applied beside it. Meanwhile the applied index stays before it, so that after
/// a crash all of them are applied again, with the same result: all that they do is to put versions,
/// each its own.
///
/// Invariant: what is behind a large entry and is no command that only puts versions, or is large
/// itself, waits for it. So the first entry of a term is applied behind all of the terms before.
extension Tablet {
    /// An entry that is applied in parts.
    struct LargeEntry {
        let entry: Entry
        /// What is left of its mutations, the next list last.
        var lists: [ArraySlice<UInt8>]
        /// Where in the next list the next part begins.
        var offset = 0
        /// The timestamp to be put in, if the mutations have none.
        var stamp: Timestamp?
        /// For tests: a part is a single mutation, and many turns apply none.
        var isSlow = false
    }

    /// An entry with more bytes than this is applied in parts.
    private static let partBytes = 32 << 10
    /// About what is applied before it is seen whether the turn has room for more.
    private static let bytesAtOnce = 16 << 10
    /// What is applied of it whatever else there is to apply.
    private static let leastPartBytes = 8 << 10

    /// Takes over entries that are committed and durable here (a message for the apply thread).
    package func apply(_ message: Message) { applies.append(message) }

    package var hasApplies: Bool { !applies.isEmpty || largeEntry != nil }

    /// Whether entries from elsewhere are commands for this tablet. Others must not come into its
    /// log, which has to be applied to the end in every later run too.
    package func canApply(_ entries: [Entry]) -> Bool {
        entries.allSatisfy { entry in
            entry.type == .normal
                && (entry.payload.isEmpty
                    || (try? TabletCommand(payload: entry.payload))?.generation
                        == descriptor.generation)
        }
    }

    /// Applies what is queued, up to about `budget` bytes, and returns what that used.
    ///
    /// Responses for Raft are stepped here; requests that were kept waiting go on.
    package func runApplies(budget: Int) -> Int {
        var used = 0
        do {
            while used < budget, work.mayApply {
                let before = used
                let beginning = work.begins()
                defer { work.applied(bytes: used - before, since: beginning) }
                used += try applySome(budget: min(budget - used, Self.bytesAtOnce))
                used += try applyPart(budget: min(budget - used, Self.bytesAtOnce))
                if used == before { break }
            }
        } catch {
            if error.code == .busy {
                output.isEngineBusy = true
            } else {
                output.failure = error
            }
            return used
        }
        runAwakened()
        return used
    }

    /// Applies the next small entries, as far as they need not wait for a large one.
    private func applySome(budget: Int) throws(EngineError) -> Int {
        guard budget > 0, let message = applies.first else { return 0 }
        let entries = message.entries
        let first = nextApply
        var lists: [ArraySlice<UInt8>] = []
        var bytes = 0
        var next = first
        while next < entries.count, bytes < budget {
            let entry = entries[next]
            if isPart(entry) {
                if next > first || largeEntry != nil { break }
                try take(entry)
                passed(upTo: next + 1)
                return entry.payload.isEmpty ? 1 : 64
            }
            if let parts, parts.term < entry.term {
                mark("tablet: parts of an earlier term are dropped")
                self.parts = nil
            }
            let list = try mutations(of: entry)
            let isLarge = list.count > Self.partBytes
            let isSlow =
                !isLarge && largeEntry == nil
                && faultPoint("tablet: an entry is applied in slow parts")
            if isLarge || isSlow {
                if next > first || largeEntry != nil { break }
                begin(LargeEntry(entry: entry, lists: [list], isSlow: isSlow))
                passed(upTo: next + 1)
                return 0
            }
            if let largeEntry {
                guard isWrite(largeEntry.entry), isWrite(entry) else { break }
                mark("tablet: an entry is applied beside a large one")
            }
            if !list.isEmpty { lists.append(list) }
            bytes += entry.payload.count + 64
            next += 1
        }
        guard next > first else { return 0 }
        let last = LogPosition(index: entries[next - 1].index, term: entries[next - 1].term)
        try advance(to: last, applying: lists)
        for entry in entries[first..<next] { finished(entry) }
        passed(upTo: next)
        return bytes
    }

    /// Has an entry applied in parts, which no other is at the moment.
    func begin(_ large: LargeEntry) {
        largeEntry = large
        reached = LogPosition(index: large.entry.index, term: large.entry.term)
    }

    /// Whether all that an entry does is to put versions: then it does not matter which of two is
    /// applied first. The first entry of a term does nothing, but says that all before it is applied.
    private func isWrite(_ entry: Entry) -> Bool {
        switch TabletCommand.kind(of: entry.payload) {
        case .write, .assemble: true
        default: false
        }
    }

    /// Goes on behind so many entries of the first message.
    private func passed(upTo count: Int) {
        nextApply = count
        guard let message = applies.first, count == message.entries.count else { return }
        applies.removeFirst()
        nextApply = 0
        for response in message.responses where response.to == replica {
            try? group.step(response)
        }
    }

    /// Applies the next part of a large entry.
    private func applyPart(budget: Int) throws(EngineError) -> Int {
        guard let large = largeEntry else { return 0 }
        if large.isSlow, !faultPoint("tablet: a slow part is applied") { return max(budget, 1) }
        let start = large.offset
        var end = start
        if let list = large.lists.last {
            var bytes = max(budget, Self.leastPartBytes)
            if large.isSlow { bytes = 0 }
            if list.isEmpty {
                end = 0
            } else if let stamp = large.stamp {
                let part = try MutationList.stamped(list, from: start, maxBytes: bytes, at: stamp)
                try engine.apply([part.list[...]], applied: nil)
                end = part.end
            } else {
                end = try engine.applyPart(of: list, from: start, maxBytes: bytes)
            }
            largeEntry?.offset = end
            if end == list.count {
                largeEntry?.lists.removeLast()
                largeEntry?.offset = 0
            }
        }
        if largeEntry?.lists.isEmpty ?? false {
            try advance(to: reached, applying: [], isLast: true)
            largeEntry = nil
            finished(large.entry)
        }
        return large.isSlow ? max(budget, 1) : max(end - start, 1)
    }

    /// Applies lists, and moves the applied index with them, if the engine takes them, unless it has
    /// to stay before a large entry or before parts.
    ///
    /// - Parameter isLast: whether the large entry is done with it.
    func advance(
        to position: LogPosition, applying lists: [ArraySlice<UInt8>], isLast: Bool = false
    ) throws(EngineError) {
        if largeEntry != nil && !isLast || parts != nil {
            if !lists.isEmpty { try engine.apply(lists, applied: nil) }
            reached = position
            return
        }
        var state = applied
        state.index = position.index
        state.term = position.term
        try engine.apply(lists, applied: state)
        applied = state
    }

    func mutations(of entry: Entry) throws(EngineError) -> ArraySlice<UInt8> {
        guard entry.type == .normal else {
            throw EngineError(
                .incompatible,
                "entry \(entry.index) of tablet \(descriptor.id) changes its replicas, which this "
                    + "version does not support")
        }
        guard !entry.payload.isEmpty else { return [] }
        do {
            let command = try TabletCommand(payload: entry.payload)
            invariant(
                command.generation == descriptor.generation,
                "entry \(entry.index) was evaluated for generation \(command.generation) and "
                    + "is applied to \(descriptor.generation)")
            return Self.mutations(of: command, tablet: descriptor, replica: replica)
        } catch {
            throw EngineError(
                .corruption, "entry \(entry.index) of tablet \(descriptor.id): \(error)")
        }
    }

    /// Lets go of everything that waited for `entry` to be applied.
    func finished(_ entry: Entry) {
        if entry.term == group.term, group.isLeader, servingTerm != entry.term {
            servingTerm = entry.term
        }
        switch TabletCommand.kind(of: entry.payload) {
        case .watermark?:
            if let command = try? TabletCommand(payload: entry.payload) {
                raised(to: command.timestamp)
            }
        case .collect?: droppedBytes += entry.payload.count
        case .firstPart?, .part?, .assemble?, .dropParts?: noteApplied(entry)
        default: break
        }
        answer(upTo: entry.index)
        guard let command = inFlight.remove(at: entry.index) else { return }
        invariant(
            command.term == entry.term,
            "entry \(entry.index) of term \(entry.term) stands where \(command.term) was proposed")
        if case .writes(let writes) = command.keys {
            if !command.isRecent { recent.forget(upTo: command.timestamp) }
            discarded.append(writes)
        }
        awakened += command.waiters
        giveUpLocks(of: command.transaction)
        cancelLockRequests(of: command.transaction)
    }

    /// Answers what is committed though this replica's own disk does not hold it yet: whoever leads
    /// next has it. Reads from now on are at or above it, and wait until it is applied.
    ///
    /// What waits for the engine is answered once it is applied: so an engine that is behind slows
    /// its clients, and does not refuse them.
    package func answerCommitted() {
        guard group.isLeader, group.term == leadingTerm, !inFlight.isEmpty, !hasApplies else {
            return
        }
        answer(upTo: group.committed)
    }

    private func answer(upTo committed: LogIndex) {
        while let command = inFlight.nextAnswer(upTo: committed) {
            if command.index > applied.index {
                mark("tablet: a commit is answered before it is applied")
            }
            readLow = max(readLow, command.timestamp)
            output.replies.append(
                TabletOutput.Reply(
                    origin: command.origin, reply: .committed(command.timestamp), servedAt: nil))
        }
    }
}
