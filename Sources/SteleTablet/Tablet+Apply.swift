import SteleBase
import SteleClock
import SteleEngine
import SteleRaft

/// How committed entries reach the engine, on every replica, and what that sets free on the leader.
///
/// An entry with many mutations is applied in parts, spread over turns, so that heartbeats and
/// other tablets are not kept waiting; its latches stay until the last part, and the applied index
/// moves with the last part only.
extension Tablet {
    /// How far the first entry of ``applies`` that is not applied yet has come.
    struct ApplyProgress {
        /// Within the entries of the first message.
        var entry = 0
        /// Within the mutations of that entry, when it is applied in parts.
        var offset = 0
    }

    /// An entry with more bytes than this is applied in parts.
    private static let partBytes = 64 << 10

    /// Takes over entries that are committed and durable here (a message for the apply thread).
    package func apply(_ message: Message) { applies.append(message) }

    package var hasApplies: Bool { !applies.isEmpty }

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
        while used < budget, let message = applies.first {
            do {
                used += try applySome(of: message.entries, budget: budget - used)
            } catch {
                if error.code == .busy {
                    output.isEngineBusy = true
                } else {
                    output.failure = error
                }
                return used
            }
            guard applyProgress.entry == message.entries.count else { continue }
            applies.removeFirst()
            applyProgress = ApplyProgress()
            for response in message.responses where response.to == replica {
                try? group.step(response)
            }
        }
        runAwakened()
        return used
    }

    private func applySome(of entries: [Entry], budget: Int) throws(EngineError) -> Int {
        let first = applyProgress.entry
        var lists: [ArraySlice<UInt8>] = []
        var bytes = 0
        var next = first
        while next < entries.count, bytes < budget {
            let entry = entries[next]
            let list = try mutations(of: entry)
            if list.count > Self.partBytes {
                if next > first { break }
                return try applyPart(of: entry, list, budget: budget)
            }
            if !list.isEmpty { lists.append(list) }
            bytes += entry.payload.count + 64
            next += 1
        }
        guard next > first else { return 0 }
        let last = entries[next - 1]
        try advance(to: last, applying: lists)
        applyProgress.entry = next
        for entry in entries[first..<next] { finished(entry) }
        return bytes
    }

    private func applyPart(
        of entry: Entry, _ list: ArraySlice<UInt8>, budget: Int
    ) throws(EngineError) -> Int {
        let start = applyProgress.offset
        let end = try engine.applyPart(
            of: list, from: start, maxBytes: min(budget, Self.partBytes))
        applyProgress.offset = end
        if end == list.count {
            try advance(to: entry, applying: [])
            applyProgress.entry += 1
            applyProgress.offset = 0
            finished(entry)
        }
        return max(end - start, 1)
    }

    /// Applies lists, and moves the applied index to `entry` with them, if the engine takes them.
    private func advance(
        to entry: Entry, applying lists: [ArraySlice<UInt8>]
    ) throws(EngineError) {
        var state = applied
        state.index = entry.index
        state.term = entry.term
        try engine.apply(lists, applied: state)
        applied = state
    }

    private func mutations(of entry: Entry) throws(EngineError) -> ArraySlice<UInt8> {
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
    private func finished(_ entry: Entry) {
        if entry.term == group.term, group.isLeader, servingTerm != entry.term {
            servingTerm = entry.term
        }
        switch TabletCommand.kind(of: entry.payload) {
        case .watermark?:
            if let command = try? TabletCommand(payload: entry.payload) {
                raised(to: command.timestamp)
            }
        case .collect?: droppedBytes += entry.payload.count
        default: break
        }
        answer(upTo: entry.index)
        guard let command = inFlight.remove(at: entry.index) else { return }
        invariant(
            command.term == entry.term,
            "entry \(entry.index) of term \(entry.term) stands where \(command.term) was proposed")
        if case .writes(let writes) = command.keys {
            if !RecentWrites.keeps(keys: writes.count) { recent.forget(upTo: command.timestamp) }
            discarded.append(writes)
        }
        awakened += command.waiters
        giveUpLocks(of: command.transaction)
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
