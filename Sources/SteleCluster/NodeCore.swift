import SteleBase
import SteleClock
import SteleEngine
import SteleRaft
import SteleTablet

/// What a node core is told once, at its start.
package struct NodeCoreConfiguration: Sendable {
    package var node: NodeID
    /// All tablets of the cluster, ascending by range.
    package var tablets: [TabletDescriptor]
    /// All nodes of the cluster, this one included, ascending.
    package var members: [NodeID]
    package var seed: UInt64
    /// All in microseconds.
    package var tickInterval: UInt64 = 100_000
    package var leaseDuration: UInt64 = 350_000
    package var grantDuration: UInt64 = 400_000
    package var maximumClockOffset: UInt64 = 250_000
    /// How far ahead of this node's clock a timestamp of a request may be: as far as a leader may
    /// have served on the strength of a grant, and new leaders do begin there.
    package var toleratedLead: UInt64 { 2 * maximumClockOffset + leaseDuration }
    /// An election starts after this many ticks without a leader, or up to twice as many.
    package var electionTicks = 5
    /// Bytes applied and not flushed that call for a flush.
    package var flushThreshold = 48 << 20
    /// Entries that a busy tablet's log gives up at once, at least.
    package var minimumTruncation: LogIndex = 1_024
    /// What the logs of all tablets may keep in memory together.
    package var logCacheBytes = Limits.logCacheBytes
    /// Bytes of mutations that one turn applies.
    package var applyBudget = 1 << 20

    package init(node: NodeID, tablets: [TabletDescriptor], members: [NodeID], seed: UInt64) {
        self.node = node
        self.tablets = tablets
        self.members = members
        self.seed = seed
    }
}

/// A node without its IO: tablets, leases, routing, in one synchronous turn over all of them.
///
/// The host calls ``beginTurn(monotonic:physical:)``, hands in what has arrived, calls
/// ``endTurn(monotonic:)`` and carries out the effects: one record for the log, one frame per peer,
/// the replies. The same inputs give the same effects, always.
///
/// Invariants:
/// - Nothing that promises durability (votes, acknowledgements) leaves before the log record that
///   holds it is synced: such messages are kept in `appends` until ``logSynced(_:)``.
/// - No timestamp or grant exceeds what the node record on disk allows.
/// - Every submitted request is answered exactly once.
package final class NodeCore {
    package let configuration: NodeCoreConfiguration
    package let clock: TurnClock
    /// The tablets of which this node holds a replica, ascending by id.
    package let tablets: [Tablet]
    package let boot: UInt64
    let engine: any StorageEngine
    package let peers: [NodeID]
    var leases: LeaseTable
    var states: [TabletState]
    /// Requests that entered here, and those that other nodes forwarded, by number.
    var pending: [UInt64: PendingRequest] = [:]
    var remoteOrigins: [UInt64: RemoteRequest] = [:]
    /// The values of `remoteOrigins`.
    var remoteRequests: Set<RemoteRequest> = []
    var retries: [(due: UInt64, id: UInt64)] = []
    var leaderHints: [TabletID: NodeID] = [:]
    /// Requests that this node's tablets look at in the next turn, in the order in which they came.
    var postponed: [(tablet: Tablet, request: TabletRequest, origin: UInt64)] = []
    /// Reads that peers forwarded and whose answers have to wait for the network, in order.
    var congested: [(tablet: Tablet, request: TabletRequest, origin: UInt64, peer: Int)] = []
    /// Begins at random, so that no answer to a request of an earlier run is taken for another one.
    var lastRequest: UInt64
    var effects = NodeEffects()
    var outgoing: [PeerOutbox]

    /// What the log was asked to make durable and has not confirmed yet, in order.
    var appends: [PendingAppend] = []
    private var lastAppend: UInt64 = 0
    private var logCaches: LogCaches
    private let answers = TurnAnswers()
    /// The record that was last asked for, and the highest one that is on disk.
    private var requestedRecord: NodeRecord
    package private(set) var durableRecord: NodeRecord?
    /// Transactions are numbered from here on; the host hands the numbers out.
    package let firstTransaction: UInt64
    /// The highest number that the host has handed out so far, told with every turn.
    package var transactionsUsed: UInt64

    /// Added to the times that peers echo, and when this run began: an echo of an earlier run, whose
    /// clock may have stood elsewhere, then lies outside of this one.
    let echoMark: UInt64
    let startedAt: UInt64
    /// Judges this node's clock by its peers' clocks; the verdict is of the last tick or reading.
    var clockMonitor: OffsetMonitor
    package internal(set) var clockVerdict: OffsetMonitor.Verdict {
        didSet { if isClockConfirmed { wasClockConfirmed = true } }
    }
    /// Whether the clock was confirmed in this run; a node by itself has nobody to ask.
    private var wasClockConfirmed = false
    /// The highest physical time, of this clock or a peer's, that grants went by before that.
    var lentPhysical: UInt64 = 0
    /// What peers' clocks showed in answers that came in this turn.
    var clockReadings: [(from: NodeID, sentAt: UInt64, physical: UInt64)] = []
    /// Answers to heartbeats of this turn, which leave with the time of its end.
    var heartbeatReplies: [(peer: Int, reply: PeerMessage.HeartbeatReply)] = []
    /// The monotonic time at which the turn's physical time was read.
    var turnBegan: UInt64
    private var nextTick: UInt64
    /// Until then nobody is voted for: an earlier run of this node may have granted leases.
    private let quietUntil: UInt64
    /// Physical time must pass this before the clock may be used: it is what an earlier run gave.
    private let physicalFloor: UInt64
    private var isFlushing = false
    /// The engine took no more writes in this turn.
    private var isEngineBusy = false
    /// How long applying then pauses, in microseconds.
    private static let busyEngineDelay: UInt64 = 1_000
    /// How long reads for a peer wait that does not take what it was sent, in microseconds.
    private static let congestionDelay: UInt64 = 5_000

    /// - Throws: ``DecodingError`` when the recovered node record cannot be read.
    package init(
        configuration: NodeCoreConfiguration, engine: any StorageEngine, recovered: RecoveredLog,
        monotonic: UInt64, physical: UInt64
    ) throws {
        self.configuration = configuration
        self.engine = engine
        let earlier = try recovered.nodeRecord.map { bytes in try NodeRecord(bytes: bytes) }
        boot = (earlier?.boot ?? 0) + 1
        let bound = earlier?.clockBound ?? .zero
        clock = TurnClock(
            monotonic: monotonic, physical: physical,
            hybrid: HybridClock(
                startingAbove: bound,
                toleranceMicroseconds: configuration.toleratedLead))
        physicalFloor = bound.microseconds
        quietUntil = earlier == nil ? 0 : monotonic + configuration.grantDuration
        firstTransaction = max(earlier?.transactionBound ?? 0, 1)
        transactionsUsed = firstTransaction
        requestedRecord = NodeRecord(
            boot: boot, clockBound: bound, transactionBound: firstTransaction)
        leases = LeaseTable(
            boot: boot, highestBound: bound, leaseMicroseconds: configuration.leaseDuration,
            grantMicroseconds: configuration.grantDuration,
            maximumOffsetMicroseconds: configuration.maximumClockOffset)
        peers = configuration.members.filter { $0 != configuration.node }
        outgoing = peers.map { PeerOutbox(node: $0) }
        nextTick = monotonic
        turnBegan = monotonic
        clockMonitor = OffsetMonitor(
            members: max(configuration.members.count, 1),
            maximumOffset: configuration.maximumClockOffset,
            maximumAge: configuration.grantDuration)
        clockVerdict = clockMonitor.verdict(at: monotonic)
        var random = SeededRandom(seed: configuration.seed)
        lastRequest = random.next() >> 1
        echoMark = random.next()
        startedAt = monotonic
        tablets = try Self.makeTablets(
            configuration, engine: engine, recovered: recovered, clock: clock, random: &random)
        let inFlight = InFlightBytes()
        for tablet in tablets {
            tablet.nodeInFlight = inFlight
            tablet.answers = answers
        }
        states = tablets.map { tablet in TabletState(replicas: tablet.descriptor.replicas.count) }
        logCaches = LogCaches(limit: configuration.logCacheBytes)
        for index in tablets.indices {
            logCaches.changed(index, by: tablets[index].log.cachedBytes) { tablets[$0].log }
        }
    }

    // MARK: The turn

    /// Begins a turn: sets the time, and does what is due by it.
    package func beginTurn(monotonic: UInt64, physical: UInt64) {
        clock.monotonic = max(clock.monotonic, monotonic)
        clock.physical = max(clock.physical, physical)
        turnBegan = clock.monotonic
        effects = NodeEffects()
        isEngineBusy = false
        answers.begin()
        for tablet in tablets where tablet.hasDeferred { tablet.resumeDeferred() }
        renewRecord()
        for index in tablets.indices {
            wakeIfDoubtful(index)
            setVotePermission(index)
        }
        if clock.monotonic >= nextTick {
            tick()
            nextTick = clock.monotonic + configuration.tickInterval
        }
        campaignWhereDue()
        evaluatePostponed()
        evaluateCongested()
    }

    /// Ends a turn and returns what the host has to do.
    ///
    /// - Parameter monotonic: the time now, read anew: a read is answered only if the lease still
    ///   stood after it was made.
    package func endTurn(monotonic: UInt64) -> NodeEffects {
        readPeerClocks(at: max(clock.monotonic, monotonic))
        var budget = faultPoint("cluster: apply little") ? 1 : configuration.applyBudget
        settle(applyBudget: &budget)
        clock.monotonic = max(clock.monotonic, monotonic)
        leases.endTurn(at: clock.monotonic)
        releaseReplies()
        // Replies may have set requests of this node on their way again.
        settle(applyBudget: &budget)
        releaseReplies()
        writeLog()
        requestFlush()
        sendHeartbeatReplies()
        for index in outgoing.indices where !outgoing[index].messages.isEmpty {
            effects.messages.append(outgoing[index])
            outgoing[index].messages.removeAll(keepingCapacity: true)
            outgoing[index].backlog += outgoing[index].added
            outgoing[index].added = 0
        }
        for tablet in tablets {
            if let wanted = tablet.log.takeWanted() {
                effects.fetches.append(
                    EntryFetch(
                        tablet: tablet.descriptor.id, replica: tablet.replica, from: wanted,
                        upTo: tablet.log.lastIndex + 1, maxBytes: 4 << 20))
            }
        }
        for tablet in tablets { tablet.output.hasLargeProposal = false }
        effects.needsAnotherTurn = !postponed.isEmpty || tablets.contains {
            $0.hasApplies && !isEngineBusy || $0.group.hasReady || $0.hasDeferred
        }
        effects.wakeAt = min(nextTick, nextRetry ?? .max, nextCampaign() ?? .max)
        if !congested.isEmpty {
            effects.wakeAt = min(effects.wakeAt, clock.monotonic + Self.congestionDelay)
        }
        if isEngineBusy {
            effects.wakeAt = min(effects.wakeAt, clock.monotonic + Self.busyEngineDelay)
        }
        return effects
    }

    /// Lets Raft, apply and waiting requests feed each other until nothing is left to do.
    private func settle(applyBudget: inout Int) {
        var rounds = 0
        var isBusy = true
        while isBusy, rounds < 64 {
            rounds += 1
            isBusy = false
            for index in tablets.indices {
                let tablet = tablets[index]
                noteLeadership(index)
                refreshLease(index)
                tablet.retryParked()
                if tablet.hasApplies, applyBudget > 0 {
                    applyBudget -= tablet.runApplies(budget: applyBudget)
                    isBusy = true
                    if tablet.output.isEngineBusy {
                        tablet.output.isEngineBusy = false
                        isEngineBusy = true
                        applyBudget = 0
                    }
                }
                tablet.runAwakened()
                if tablet.group.hasReady, !tablet.output.hasLargeProposal {
                    takeReady(index)
                    isBusy = true
                }
                tablet.countInFlight()
                if let failure = tablet.output.failure { effects.failure = failure }
            }
            if routeDue() { isBusy = true }
        }
    }

    /// Hands out the replies of all tablets; reads only if the lease stands at this moment.
    private func releaseReplies() {
        for index in tablets.indices {
            let tablet = tablets[index]
            guard !tablet.output.replies.isEmpty else { continue }
            refreshLease(index)
            let replies = tablet.output.replies
            tablet.output.replies = []
            for reply in replies {
                if let servedAt = reply.servedAt, !tablet.isServing || servedAt > tablet.leaseBound {
                    mark("cluster: a read is withheld because the lease ran out")
                    answer(reply.origin, .failed(.init(.notLeader, "the lease ran out")))
                } else {
                    answer(reply.origin, reply.reply)
                }
            }
        }
    }

    private func tick() {
        heartbeat()
        judgeClock()
        for index in tablets.indices {
            let tablet = tablets[index]
            tablet.expireLockWaits()
            // A leader that sleeps has told before how far all hold the log.
            if tablet.group.isHibernated { continue }
            tablet.group.tick()
            shareTruncation(index)
        }
        releaseLocksOfDeadNodes()
        askWhetherTheyLead()
        expireRequests()
    }

    // MARK: The log

    /// The log has made everything durable that was asked for up to `token`.
    package func logSynced(_ token: UInt64) {
        var count = 0
        for append in appends {
            guard append.token <= token else { break }
            count += 1
            for part in append.parts { partSynced(part) }
            if let record = append.record {
                durableRecord = record
                clock.hybrid.raiseBound(to: record.clockBound)
            }
        }
        appends.removeFirst(count)
    }

    private func partSynced(_ part: PendingAppend.Part) {
        let tablet = tablets[part.tablet]
        let cached = tablet.log.cachedBytes
        tablet.log.append(part.entries, hardState: part.hardState)
        if let position = part.compacted { tablet.log.compact(to: position) }
        let growth = tablet.log.cachedBytes - cached
        logCaches.changed(part.tablet, by: growth) { tablets[$0].log }
        for response in part.responses {
            if response.to == tablet.replica {
                try? tablet.group.step(response)
            } else {
                send(response, of: part.tablet)
            }
        }
    }

    private func takeReady(_ index: Int) {
        let tablet = tablets[index]
        var ready = Ready()
        swap(&ready, &states[index].ready)
        tablet.group.ready(into: &ready)
        for message in ready.messages {
            switch message.to {
            case .appendThread:
                append(
                    PendingAppend.Part(
                        tablet: index, hardState: ready.hardState, entries: message.entries,
                        responses: message.responses),
                    mustSync: ready.mustSync)
            case .applyThread: tablet.apply(message)
            default: send(message, of: index)
            }
        }
        // A tablet that sleeps keeps no memory for work.
        if !tablet.group.isHibernated { swap(&ready, &states[index].ready) }
    }

    /// Queues what Raft wants made durable for this turn's log record.
    ///
    /// A commit index alone need not be durable, so it rides along with the next record; responses
    /// that wait for nothing new go out as soon as what was asked for before them is durable.
    private func append(_ part: PendingAppend.Part, mustSync: Bool) {
        var part = part
        let index = part.tablet
        if let hardState = part.hardState { states[index].hardState = hardState }
        if mustSync {
            part.hardState = states[index].hardState
            states[index].unwritten.append(part)
            return
        }
        part.hardState = nil
        if !states[index].unwritten.isEmpty {
            states[index].unwritten.append(part)
        } else if !appends.isEmpty {
            appends[appends.count - 1].parts.append(part)
        } else {
            partSynced(part)
        }
    }

    /// One record for everything that this turn has to make durable.
    private func writeLog() {
        var append = PendingAppend(token: lastAppend + 1)
        var batch = LogBatch()
        for index in tablets.indices {
            let tablet = tablets[index]
            for part in states[index].unwritten {
                append.parts.append(part)
                guard part.isDurable else { continue }
                batch.parts.append(
                    LogBatch.Part(
                        tablet: tablet.descriptor.id, replica: tablet.replica,
                        hardState: part.hardState, entries: part.entries,
                        compacted: part.compacted))
            }
            states[index].unwritten.removeAll(keepingCapacity: true)
        }
        if let record = effects.record {
            batch.nodeRecord = record.bytes
            append.record = record
        }
        guard !batch.isEmpty else { return }
        lastAppend += 1
        appends.append(append)
        effects.log = (lastAppend, batch)
    }

    /// Keeps the record on disk ahead of what the clock and the numbering of transactions will need.
    ///
    /// As long as physical time has not passed the bound of an earlier run, the hybrid clock stands at
    /// that bound and gives nothing, so it needs nothing above: otherwise each of several short runs
    /// would put off the next one for another second.
    ///
    /// And before the clock was confirmed it only needs what grants go by: a clock that stood an hour
    /// ahead when the machine started, and was then set right, would make the next run wait an hour.
    private func renewRecord() {
        let isTrusted = wasClockConfirmed || peers.isEmpty
        var clockNeed = Timestamp(microseconds: isTrusted ? clock.physical : lentPhysical)
        if clock.physical >= physicalFloor { clockNeed = max(clockNeed, clock.hybrid.last) }
        clockNeed = clockNeed.advanced(byMicroseconds: 700_000)
        let transactionNeed = transactionsUsed + 1 << 21
        guard requestedRecord.clockBound < clockNeed
            || requestedRecord.transactionBound < transactionNeed
        else { return }
        requestedRecord.clockBound = max(
            requestedRecord.clockBound, clockNeed.advanced(byMicroseconds: 300_000))
        requestedRecord.transactionBound = max(
            requestedRecord.transactionBound, transactionsUsed + 1 << 22)
        effects.record = requestedRecord
    }

    /// The record of a node that stops in good order: its next run waits only until its clock has
    /// passed what this one granted to its peers, and not at all if it has none.
    package func finalRecord() -> NodeRecord {
        NodeRecord(
            boot: boot,
            clockBound: max(clock.hybrid.last, peers.isEmpty ? .zero : leases.highestBound),
            transactionBound: max(transactionsUsed, firstTransaction))
    }

    // MARK: Leases and leadership

    /// Whether timestamps of this run cannot collide with those of an earlier one.
    package var isClockUsable: Bool { durableRecord != nil && clockWait == 0 }

    /// Microseconds until physical time passes what an earlier run may have given. Usually less than
    /// a second; more where the wall clock was set back between the runs.
    package var clockWait: UInt64 { physicalFloor - min(physicalFloor, clock.physical) }

    func refreshLease(_ index: Int) {
        let tablet = tablets[index]
        let term = tablet.group.term
        guard tablet.group.isLeader, isClockUsable, isClockConfirmed,
            states[index].resignedTerm != term
        else {
            tablet.leaseBound = .zero
            return
        }
        let acknowledgements = states[index].acknowledgements.lazy
            .filter { $0.term == term }
            .map { (node: $0.node, epoch: $0.epoch) }
        tablet.leaseBound = leases.bound(
            votersIncludingSelf: tablet.descriptor.replicas.count,
            acknowledgements: acknowledgements, clock: clock)
    }

    /// Forbids votes that would break a lease that this node has granted.
    func setVotePermission(_ index: Int) {
        releaseStand(index)
        let tablet = tablets[index]
        tablet.group.mayLead = isClockConfirmed
        tablet.group.voteBound = max(leases.highestBound, clock.hybrid.last).rawValue
        if tablet.descriptor.replicas.count == 1 {
            tablet.group.votesAllowedFor = isClockUsable ? .anyone : .nobody
        } else if clock.monotonic < quietUntil || !isClockUsable {
            tablet.group.votesAllowedFor = .nobody
        } else if let leader = states[index].standsBy?.node,
            let replica = tablet.descriptor.replica(on: leader)
        {
            tablet.group.votesAllowedFor = .only(replica)
        } else {
            tablet.group.votesAllowedFor = .anyone
        }
    }

    /// Stops standing by a leader under a grant that has ended, or by that of an earlier term than
    /// the one that is followed now.
    ///
    /// An acknowledgement counts only under the grant that it names; a later grant to the same node
    /// says nothing for this tablet. A later leader was elected by voters of which none stands by
    /// the earlier one any more, and they are a quorum: whatever this node does, the earlier one has
    /// no lease. Without this, nodes that grant each other leases for other tablets could wait for
    /// one another for ever; for what is left of that, see ``askWhetherTheyLead()``.
    func releaseStand(_ index: Int) {
        guard let stand = states[index].standsBy else { return }
        let isSuperseded =
            tablets[index].group.lead != .none && tablets[index].group.term > stand.term
        if isSuperseded || leases.standingEpoch(for: stand.node, at: clock.monotonic) != stand.epoch {
            states[index].standsBy = nil
        }
    }

    private func noteLeadership(_ index: Int) {
        let tablet = tablets[index]
        tablet.noteLeadership()
        let leader = tablet.descriptor.node(of: tablet.group.lead) ?? .none
        guard leader != states[index].leader else { return }
        states[index].leader = leader
        if leader != .none { states[index].campaignAt = nil }
        // A new leader needs grants whose bounds reach above its floor; it does not wait for them.
        if leader == configuration.node { heartbeat() }
        redirectRequests(of: tablet.descriptor.id, to: leader)
    }

    // MARK: Flushing and truncation

    private func requestFlush() {
        guard !isFlushing,
            engine.unflushedBytes > configuration.flushThreshold
                || faultPoint("cluster: flush early") && engine.unflushedBytes > 0
        else { return }
        isFlushing = true
        effects.flush = true
    }

    /// The flush that was asked for has ended; see ``frontierMoved(_:)``.
    package func flushed(_ frontier: [AppliedState]) {
        isFlushing = false
        frontierMoved(frontier)
    }

    /// More is durable in the engine than before, whoever caused that.
    ///
    /// - Parameter frontier: what the engine says is durable, by tablet and replica.
    package func frontierMoved(_ frontier: [AppliedState]) {
        var rest = frontier[...]
        for index in tablets.indices {
            let tablet = tablets[index]
            rest = rest.drop { $0.tablet < tablet.descriptor.id }
            let own = rest.prefix { $0.tablet == tablet.descriptor.id }
            guard let state = own.first(where: { $0.replica == tablet.replica }) else { continue }
            invariant(
                state.index <= tablet.applied.index,
                "tablet \(tablet.descriptor.id): index \(state.index) is durable, but only "
                    + "\(tablet.applied.index) applied")
            states[index].flushedIndex = max(states[index].flushedIndex, state.index)
            truncate(index)
        }
    }

    /// Gives up entries that are flushed here and durable on all replicas: after each flush, or once
    /// there are many, whichever of the two conditions is the one that was waited for.
    func truncate(_ index: Int) {
        let tablet = tablets[index]
        let position = min(states[index].flushedIndex, states[index].heldByAll)
        guard position >= tablet.log.firstIndex + configuration.minimumTruncation
            || position == states[index].flushedIndex,
            position >= tablet.log.firstIndex, position > states[index].truncatedTo,
            position <= tablet.log.lastIndex, let term = try? tablet.log.term(at: position)
        else { return }
        states[index].truncatedTo = position
        states[index].unwritten.append(
            PendingAppend.Part(
                tablet: index, compacted: LogPosition(index: position, term: term)))
    }

    /// Entries that a look-up missed were read back from disk.
    package func entriesFetched(_ entries: [Entry], of tablet: TabletID) {
        guard let tablet = tablets.first(where: { $0.descriptor.id == tablet }) else { return }
        tablet.log.install(fetched: entries)
        tablet.group.entriesAvailable()
    }

    private static func makeTablets(
        _ configuration: NodeCoreConfiguration, engine: any StorageEngine,
        recovered: RecoveredLog, clock: TurnClock, random: inout SeededRandom
    ) throws -> [Tablet] {
        var tablets: [Tablet] = []
        for descriptor in configuration.tablets.sorted(by: { $0.id < $1.id }) {
            guard let replica = descriptor.replica(on: configuration.node) else { continue }
            let found = recovered.replicas.first {
                $0.tablet == descriptor.id && $0.replica == replica
            }
            var applied = AppliedState(
                tablet: descriptor.id, replica: replica, index: 0, term: 0)
            let key = applied.localKey.bytes
            if let value = try engine.value(of: key, in: .local) {
                applied = try AppliedState(
                    tablet: descriptor.id, replica: replica, localValue: value)
            }
            var state =
                found
                ?? RecoveredReplica(
                    tablet: descriptor.id, replica: replica, hardState: HardState(),
                    compacted: LogPosition(index: 0, term: 0), termRuns: [], lastIndex: 0,
                    tail: [])
            guard applied.index <= state.lastIndex else {
                throw EngineError(
                    .corruption,
                    "tablet \(descriptor.id): the store has applied index \(applied.index), but "
                        + "the log ends at \(state.lastIndex)")
            }
            guard applied.index >= state.compacted.index else {
                throw EngineError(
                    .corruption,
                    "tablet \(descriptor.id): the store has applied index \(applied.index), but "
                        + "the log begins after \(state.compacted.index)")
            }
            state.hardState.commit = max(state.hardState.commit, applied.index)
            let log = TabletLog(
                recovered: state, configuration: ConfState(voters: descriptor.replicas.map(\.id)))
            let group = RaftGroup(
                RaftConfiguration.forNode(
                    replica: replica, applied: applied.index,
                    electionTicks: configuration.electionTicks, seed: random.next()),
                storage: log)
            tablets.append(
                Tablet(
                    descriptor: descriptor, replica: replica, log: log, group: group,
                    applied: applied, engine: engine, clock: clock))
        }
        return tablets
    }
}
