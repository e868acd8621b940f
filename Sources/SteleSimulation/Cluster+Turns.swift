import SteleBase
import SteleCluster
import SteleEngine
import SteleRaft
import SteleTablet

/// The host of a node: turns, and everything that their effects ask for.
extension SimulatedCluster {
    /// Hands something to a node, in a turn that is due soon.
    func give(_ input: NodeInput, to node: SimulatedNode) {
        guard node.isUp else { return }
        node.inbox.append(input)
        scheduleTurn(node, in: nodeRandom.below(scenario.turnDelay))
    }

    /// Makes sure that a turn begins in `delay` microseconds, or as soon as the process runs again.
    func scheduleTurn(_ node: SimulatedNode, in delay: UInt64) {
        guard node.isUp, !node.isTurnOpen else { return }
        let time = max(now + delay, node.pausedUntil)
        if let due = node.turnAt, due <= time { return }
        node.turnAt = time
        after(time - now, on: node) { [self] in
            guard node.turnAt == time, !node.isTurnOpen else { return }
            node.turnAt = nil
            if node.pausedUntil > now { return scheduleTurn(node, in: 0) }
            beginTurn(node)
        }
    }

    private func beginTurn(_ node: SimulatedNode) {
        guard let core = node.core else { return }
        result.counts.turns += 1
        core.transactionsUsed = max(core.transactionsUsed, node.nextTransaction)
        let monotonic = node.clock.monotonic(at: now)
        // The network takes whatever it is given.
        for peer in core.peers { core.setBacklog(0, of: peer) }
        core.beginTurn(monotonic: monotonic, wall: node.clock.wall(at: now))
        node.physicalError = Int64(core.clock.physical) - Int64(SimulatedClock.epoch + now)
        handIn(node, core)
        if !isHealed, scenario.turnStallOdds > 0, faultRandom.oneIn(scenario.turnStallOdds) {
            // The process stops here, and finds more input when it goes on, from some sources and
            // not yet from others: it is still the same turn, with the time at which it began.
            node.isTurnOpen = true
            result.counts.stalls += 1
            let length = faultRandom.uniform(
                10_000...(faultRandom.oneIn(2) ? 600_000 : 2_500_000))
            trace.note(.fault, at: now, UInt64(node.place), length, "\(node.id) stalls in a turn")
            after(length, on: node) { [self] in
                node.isTurnOpen = false
                let late = deferSomeSources(node)
                handIn(node, core)
                node.inbox = late
                endTurn(node, core, begun: monotonic)
            }
        } else {
            finishTurn(node, core, begun: monotonic)
        }
    }

    /// The most that one turn may do, in nanoseconds as the core estimates it.
    static let longestTurn = 5_000_000

    /// Work takes time: what took long ends its turn that much later.
    private func finishTurn(_ node: SimulatedNode, _ core: NodeCore, begun: UInt64) {
        let length = UInt64(core.workOfTurn / 1_000)
        guard length >= 100 else { return endTurn(node, core, begun: begun) }
        node.isTurnOpen = true
        after(length, on: node) { [self] in
            node.isTurnOpen = false
            endTurn(node, core, begun: begun)
        }
    }

    /// Takes the input of some sources out of the inbox, for a later turn.
    private func deferSomeSources(_ node: SimulatedNode) -> [NodeInput] {
        let isDeferred = nodes.map { _ in faultRandom.oneIn(2) }
        let isLate: (NodeInput) -> Bool = { input in
            switch input {
            case .frame(let peer, _), .connected(let peer), .disconnected(let peer):
                isDeferred[peer]
            case .synced, .flushed, .fetched, .swept, .read: isDeferred[node.place]
            case .request, .cancel: false
            }
        }
        let late = node.inbox.filter(isLate)
        node.inbox.removeAll(where: isLate)
        return late
    }

    private func handIn(_ node: SimulatedNode, _ core: NodeCore) {
        let inputs = node.inbox
        node.inbox = []
        for input in inputs {
            switch input {
            case .frame(let from, let bytes):
                var reader = ByteReader(bytes)
                var messages: [PeerMessage] = []
                while !reader.isAtEnd {
                    guard let message = try? PeerMessage(from: &reader) else {
                        return fail("\(node.id) cannot read a frame of \(nodes[from].id)")
                    }
                    messages.append(message)
                }
                if defect == .hidesPeerClocks {
                    messages = messages.map { hidingClock($0, behind: core.clock.physical) }
                }
                core.receive(messages, from: nodes[from].id)
            case .connected(let peer): core.peerConnected(nodes[peer].id)
            case .disconnected(let peer): core.peerDisconnected(nodes[peer].id)
            case .synced(let token): core.logSynced(token)
            case .flushed(let frontier): core.flushed(frontier)
            case .fetched(let tablet, let entries): core.entriesFetched(entries, of: tablet)
            case .swept(let sweep, let found): core.swept(sweep, found)
            case .read(let read): core.diskRead(done: read)
            case .request(let request, let token, let timeout):
                core.submit(request, token: token, timeoutMicroseconds: timeout)
            case .cancel(let token): core.cancel(token: token)
            }
        }
    }

    private func hidingClock(_ message: PeerMessage, behind physical: UInt64) -> PeerMessage {
        guard case .heartbeatReply(var reply) = message else { return message }
        reply.physical = physical
        return .heartbeatReply(reply)
    }

    private func endTurn(_ node: SimulatedNode, _ core: NodeCore, begun: UInt64) {
        let monotonic = defect == .endsTurnsWithOldTime ? begun : node.clock.monotonic(at: now)
        let effects = core.endTurn(monotonic: monotonic)
        trace.note(.turn, at: now, UInt64(node.place), effects.wakeAt, "\(node.id) turn")
        result.counts.longestTurn = max(result.counts.longestTurn, effects.work)
        if effects.work > Self.longestTurn {
            return fail("\(node.id) did \(effects.work / 1_000) µs of work in one turn")
        }
        if effects.failure != nil, node.properDisk != nil { return refuseImage(of: node) }
        if let failure = effects.failure { return fail("\(node.id): store failed: \(failure)") }
        if let (token, batch) = effects.log { write(batch, token: token, node) }
        for outbox in effects.messages { send(outbox, from: node) }
        for fetch in effects.fetches { self.fetch(fetch, node) }
        for sweep in effects.sweeps { self.sweep(sweep, node) }
        for read in effects.diskReads {
            result.counts.diskReads += 1
            after(diskRandom.uniform(20...5_000), on: node) { [self] in
                read.perform(on: node.engine)
                give(.read(read), to: node)
            }
        }
        if effects.flush { flush(node) }
        for notice in effects.notices { noted(notice, node) }
        checkAfterTurn(node, core)
        for (token, reply) in effects.replies { answer(token, reply) }
        if effects.needsAnotherTurn || !node.inbox.isEmpty {
            scheduleTurn(node, in: 5)
        } else if effects.wakeAt < .max {
            let due = node.clock.trueTime(ofMonotonic: effects.wakeAt)
            if due < .max { scheduleTurn(node, in: max(due, now + 1) - now) }
        }
    }

    // MARK: Disk

    private func write(_ batch: LogBatch, token: UInt64, _ node: SimulatedNode) {
        node.log.write(batch, token: token)
        trace.note(
            .log, at: now, UInt64(node.place), token,
            "\(node.id) log \(token): \(batch.summary)")
        result.counts.logRecords += 1
        for part in batch.parts {
            result.counts.loggedBytes += part.entries.reduce(0) { $0 + $1.payload.count }
            if part.compacted != nil { result.counts.truncations += 1 }
            for entry in part.entries { trace.fold(entry.payload) }
        }
        if defect == .reportsSyncEarly { give(.synced(token), to: node) }
        syncNext(node)
    }

    /// Syncs what waits, mostly the oldest batch alone and sometimes several at once.
    private func syncNext(_ node: SimulatedNode) {
        guard !node.isSyncing, node.log.isBusy else { return }
        node.isSyncing = true
        var delay = diskRandom.uniform(scenario.disk.minimumSync...scenario.disk.maximumSync)
        if node.diskStallsUntil > now { delay = node.diskStallsUntil - now }
        if !isHealed, scenario.disk.stallOdds > 0, diskRandom.oneIn(scenario.disk.stallOdds) {
            delay = diskRandom.uniform(
                50_000...(diskRandom.oneIn(4) ? scenario.disk.longestStall : 2_000_000))
            node.diskStallsUntil = now + delay
            result.counts.stalls += 1
            trace.note(.fault, at: now, UInt64(node.place), delay, "\(node.id) disk stalls for \(delay) µs")
        }
        node.syncs += 1
        let number = node.syncs
        after(delay, on: node) { [self] in
            if node.syncs == number { endSync(node) }
        }
    }

    /// From now on the disk syncs nothing, for so many microseconds.
    func hangDisk(_ node: SimulatedNode, for length: UInt64) {
        result.counts.stalls += 1
        trace.note(.fault, at: now, UInt64(node.place), length, "\(node.id) disk hangs")
        node.diskStallsUntil = now + length
        // What is under way does not end either.
        node.isSyncing = false
        syncNext(node)
    }

    /// The disk has done what it was asked for, or stalls no longer.
    func endSync(_ node: SimulatedNode) {
        guard node.isSyncing else { return }
        node.isSyncing = false
        node.syncs += 1
        if node.diskStallsUntil > 0 { node.lastFault = now }
        node.diskStallsUntil = 0
        let count = diskRandom.oneIn(4) ? node.log.unsyncedCount : 1
        if let token = node.log.sync(count), defect != .reportsSyncEarly {
            give(.synced(token), to: node)
        }
        syncNext(node)
    }

    private func fetch(_ fetch: EntryFetch, _ node: SimulatedNode) {
        result.counts.fetches += 1
        after(diskRandom.uniform(20...2_000), on: node) { [self] in
            // A small page now and then, so that reading goes on in several steps.
            let bytes = diskRandom.oneIn(2) ? fetch.maxBytes : 200
            let entries = node.log.entries(
                of: fetch.tablet, from: fetch.from, upTo: fetch.upTo, maxBytes: bytes)
            give(.fetched(fetch.tablet, entries), to: node)
        }
    }

    /// Looks through a slice of the store; what is found is of some moment until it is handed in.
    private func sweep(_ sweep: HistorySweep, _ node: SimulatedNode) {
        after(diskRandom.uniform(20...5_000), on: node) { [self] in
            do {
                let found = try sweep.look(in: node.engine)
                after(diskRandom.uniform(20...20_000), on: node) { [self] in
                    give(.swept(sweep, found), to: node)
                }
            } catch {
                fail("\(node.id) cannot look through its store: \(error)")
            }
        }
    }

    private func flush(_ node: SimulatedNode) {
        result.counts.flushes += 1
        let flush = node.engine.beginFlush()
        // What a host claims that never flushes.
        let applied = frontier {
            let items = try node.engine.pairs(of: .all, in: .local, limits: .none)
            return try AppliedState.all(in: items.pairs)
        }
        let slowest: UInt64 = diskRandom.oneIn(3) ? 1_500_000 : 50_000
        after(diskRandom.uniform(500...slowest), on: node) { [self] in
            if defect != .neverFlushes { node.engine.completeFlush(flush) }
            let durable = frontier { try node.engine.persistedFrontier() }
            give(.flushed(defect == .neverFlushes ? applied : durable), to: node)
        }
    }

    private func frontier(_ read: () throws -> [AppliedState]) -> [AppliedState] {
        do {
            return try read()
        } catch {
            invariantFailed("an engine in memory cannot read its own states: \(error)")
        }
    }
}

extension LogBatch {
    /// A form for people.
    var summary: String {
        let record = nodeRecord == nil ? "" : "record "
        return record
            + parts.map { part in
                var text = "\(part.tablet)"
                if let state = part.hardState {
                    text += " term \(state.term) vote \(state.vote) commit \(state.commit)"
                }
                if let first = part.entries.first, let last = part.entries.last {
                    text += " entries \(first.index)...\(last.index)"
                }
                if let position = part.compacted { text += " compacted \(position.index)" }
                return text
            }.joined(separator: "; ")
    }
}
