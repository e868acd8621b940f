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

    // All in microseconds. A leader that is killed is replaced once the grants to it have ended,
    // at most `grantDuration` after its last heartbeat, and after two rounds of votes with their
    // syncs. One that hangs is noticed by its silence: `electionTicks` to twice as many, of which
    // the earlier of two followers' counts. DESIGN, section 12, allows 250 ms and 600 ms.
    //
    //   heartbeat  40
    //   lease     140  outlasts two heartbeats that are lost or late, and a round trip of 60
    //   grant     150  the giver begins to count later than the asker, so it has to be longer only
    //                  by what their clocks may drift apart: 7 %, where time daemons slew by 0.05 %
    //   election  400  a leader that waits 300 ms for its processor is not replaced; longer than a
    //                  grant, so that who campaigns may be voted for

    /// Time between heartbeats.
    package var tickInterval: UInt64 = 40_000
    /// How long the asker relies on a grant, from when it asked.
    package var leaseDuration: UInt64 = 140_000
    /// How long the giver keeps to it, from the end of the turn in which it gave it.
    package var grantDuration: UInt64 = 150_000
    package var maximumClockOffset: UInt64 = 250_000
    /// By how much physical time is moved towards the wall clock while peers confirm it, in parts
    /// per million; ``OffsetMonitor`` allows for that much.
    package var clockSlewPerMillion: UInt64 = 1_000
    /// How far ahead of this node's clock a timestamp of a request may be: as far as a leader may
    /// have served on the strength of a grant, and new leaders do begin there.
    package var toleratedLead: UInt64 { 2 * maximumClockOffset + leaseDuration }
    /// How long a peer may go by a clock reading that it was shown, until it judges its clock anew,
    /// by its own monotonic clock.
    var clockReliance: UInt64 { (grantDuration + tickInterval) * 102 / 100 }
    /// An election starts after this many ticks without a leader, or up to twice as many.
    package var electionTicks = 10
    /// Bytes applied and not flushed that call for a flush.
    package var flushThreshold = 48 << 20
    /// Entries that a busy tablet's log gives up at once, at least.
    package var minimumTruncation: LogIndex = 1_024
    /// What the log of a tablet is kept to for replicas on nodes that are down, and what all logs of
    /// the node come to at most, as long as the store can be flushed; bytes.
    package var tabletLogBytes = Limits.tabletLogBytes
    package var nodeLogBytes = Limits.nodeLogBytes
    /// What the logs of all tablets may keep in memory together.
    /// For how long old versions are kept, in microseconds.
    package var retention: UInt64 = 3_600_000_000
    package var logCacheBytes = Limits.logCacheBytes
    /// Bytes of mutations that one turn applies.
    package var applyBudget = 64 << 10

    package init(node: NodeID, tablets: [TabletDescriptor], members: [NodeID], seed: UInt64) {
        self.node = node
        self.tablets = tablets
        self.members = members
        self.seed = seed
    }
}

/// A node without its IO: tablets, leases, routing, in one synchronous turn over all of them.
///
/// The host calls ``beginTurn(monotonic:wall:)``, hands in what has arrived, calls
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
    /// Requests that entered here or are passed on, and those that other nodes forwarded, by number.
    var pending: [UInt64: PendingRequest] = [:]
    /// The number of each client's request, by token.
    var clientRequests: [UInt64: UInt64] = [:]
    var remoteOrigins: [UInt64: RemoteRequest] = [:]
    /// The numbers of `remoteOrigins`.
    var remoteRequests: [RemoteRequest.Name: UInt64] = [:]
    var retries: [(due: UInt64, id: UInt64)] = []
    /// What refusals told; see ``knownLeader(of:)``.
    var leaderHints: [TabletID: LeaderHint] = [:]
    /// Transactions of this node that have asked for locks and have not ended.
    var lockers: Set<TransactionID> = []
    var abandonedLocks = AbandonedLocks()
    /// When to ask next whether the owners of locks are over.
    var lockAuditAt: UInt64 = 0
    /// Requests that this node's tablets look at in the next turn, in the order in which they came.
    var postponed: [(tablet: Tablet, request: TabletRequest, origin: UInt64)] = []
    /// Reads that peers forwarded and whose answers have to wait for the network, in order.
    var congested: [(tablet: Tablet, request: TabletRequest, origin: UInt64, peer: Int)] = []
    /// Large requests that are on their way to a peer, in order, and what has come of one of a peer's;
    /// by peer.
    var requestsInParts: [[RequestInParts]]
    /// Whether there may be any, so that a turn does not have to look.
    var areRequestsInParts = false
    var incomingParts: [IncomingParts?]
    /// Requests of peers to which no connection stands, by peer.
    var unanswerable: [[(request: TabletRequest, header: RequestHeader)]]
    /// Begins at random, so that no answer to a request of an earlier run is taken for another one.
    var lastRequest: UInt64
    /// The oldest timestamp, not below the one given, at which a transaction of this node reads.
    package var oldestReader: (Timestamp) -> Timestamp? = { _ in nil }
    /// The same of the peers, as they told last.
    var peerReaders: [NodeID: Timestamp] = [:]
    /// Nodes whose replica of a tablet cannot be caught up, and how long that stands.
    var outrun: [TabletID: (nodes: [NodeID], until: UInt64)] = [:]
    var effects = NodeEffects()
    var outgoing: [PeerOutbox]

    /// What the log was asked to make durable and has not confirmed yet, in order.
    var appends: [PendingAppend] = []
    var lastAppend: UInt64 = 0
    var logCaches: LogCaches
    let work: TurnWork
    /// The record that was last asked for, and the highest one that is on disk.
    var requestedRecord: NodeRecord
    package internal(set) var durableRecord: NodeRecord?
    /// Transactions are numbered from here on; the host hands the numbers out.
    package let firstTransaction: UInt64
    /// The highest number that the host has handed out so far, told with every turn.
    package var transactionsUsed: UInt64

    /// Added to the times that peers echo, and when this run began: an echo of an earlier run, whose
    /// clock may have stood elsewhere, then lies outside of this one.
    let echoMark: UInt64
    /// See ``NodeRun/mark``.
    let runMark: UInt64
    let startedAt: UInt64
    var physicalClock: PhysicalClock
    /// Judges this node's clock by its peers' clocks; the verdict is of the last tick or reading.
    var clockMonitor: OffsetMonitor
    package internal(set) var clockVerdict: OffsetMonitor.Verdict
    /// The highest physical time, of this clock or a peer's, that grants went by.
    var lentPhysical: UInt64 = 0
    var clockDoubt = ClockDoubt()
    /// Whether the operator was told that the disk hangs.
    var isDiskTold = false
    /// What peers' clocks showed in answers that came in this turn.
    var clockReadings: [(from: NodeID, sentAt: UInt64, physical: UInt64)] = []
    /// Answers to heartbeats of this turn, which leave with the time of its end.
    var heartbeatReplies: [(peer: Int, reply: PeerMessage.HeartbeatReply)] = []
    /// Tablets that this node has stopped leading in this turn, and in which term.
    var endedLeaderships: [(tablet: Int, term: Term)] = []
    /// The monotonic time at which the turn's physical time was read.
    var turnBegan: UInt64
    private var nextTick: UInt64
    /// Until then nobody is voted for: an earlier run of this node may have granted leases.
    let quietUntil: UInt64
    var isFlushing = false
    /// The node is about to stop and leads nothing any more.
    var isStopping = false
    /// A log is long because the store was not flushed, or scans pass what was dropped since.
    var wantsFlush = false
    /// The engine took no more writes in this turn.
    private var isEngineBusy = false
    /// How long applying then pauses, in microseconds.
    private static let busyEngineDelay: UInt64 = 1_000
    /// How long reads for a peer wait that does not take what it was sent, in microseconds.
    private static let congestionDelay: UInt64 = 5_000

    /// - Parameters:
    ///   - wall: the wall clock, in microseconds since 1970.
    ///   - stopwatch: tells the time in nanoseconds, for ``NodeEffects/longestPiece`` only.
    /// - Throws: ``DecodingError`` when the recovered node record cannot be read, ``EngineError``
    ///   when it says that the directory is an older copy, or log and store do not fit.
    package init(
        configuration: NodeCoreConfiguration, engine: any StorageEngine, recovered: RecoveredLog,
        monotonic: UInt64, wall: UInt64, stopwatch: (() -> Int)? = nil
    ) throws {
        self.configuration = configuration
        work = TurnWork(stopwatch: stopwatch)
        self.engine = engine
        let earlier = try recovered.nodeRecord.map { bytes in try NodeRecord(bytes: bytes) }
        if earlier?.isOutdated == true { throw Self.outdated }
        boot = (earlier?.boot ?? 0) + 1
        let bound = earlier?.clockBound ?? .zero
        peers = configuration.members.filter { $0 != configuration.node }
        physicalClock = PhysicalClock(
            monotonic: monotonic, wall: wall, standing: peers.isEmpty ? .alone : .unheard,
            promised: bound.microseconds, reliance: configuration.clockReliance,
            slewPerMillion: configuration.clockSlewPerMillion)
        clock = TurnClock(
            monotonic: monotonic, physical: physicalClock.reading,
            hybrid: HybridClock(
                startingAbove: bound,
                toleranceMicroseconds: configuration.toleratedLead))
        quietUntil = earlier == nil ? 0 : monotonic + configuration.grantDuration
        firstTransaction = max(earlier?.transactionBound ?? 0, 1)
        transactionsUsed = firstTransaction
        var record =
            earlier ?? NodeRecord(boot: 0, clockBound: bound, transactionBound: 0)
        record.boot = boot
        record.transactionBound = firstTransaction
        requestedRecord = record
        leases = LeaseTable(
            boot: boot, highestBound: bound, leaseMicroseconds: configuration.leaseDuration,
            grantMicroseconds: configuration.grantDuration,
            maximumOffsetMicroseconds: configuration.maximumClockOffset)
        requestsInParts = peers.map { _ in [] }
        incomingParts = peers.map { _ in nil }
        unanswerable = peers.map { _ in [] }
        outgoing = peers.map { PeerOutbox(node: $0, run: record.run(of: $0)) }
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
        runMark = random.next()
        startedAt = monotonic
        tablets = try Self.makeTablets(
            configuration, engine: engine, recovered: recovered, clock: clock, random: &random)
        let inFlight = InFlightBytes()
        for tablet in tablets {
            tablet.nodeInFlight = inFlight
            tablet.work = work
        }
        states = tablets.map { tablet in TabletState(replicas: tablet.descriptor.replicas.count) }
        logCaches = LogCaches(limit: configuration.logCacheBytes)
        for index in tablets.indices {
            logCaches.changed(index, by: tablets[index].log.cachedBytes) { tablets[$0].log }
        }
    }

    // MARK: The turn

    /// About what this turn has done so far, in nanoseconds; see ``TurnWork/Cost``.
    package var workOfTurn: Int { work.cost }

    /// Begins a turn: sets the time, and does what is due by it.
    ///
    /// - Parameter wall: the wall clock, in microseconds since 1970; it may jump.
    package func beginTurn(monotonic: UInt64, wall: UInt64) {
        effects = NodeEffects()
        readClocks(monotonic: monotonic, wall: wall)
        isEngineBusy = false
        work.begin()
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
        for tablet in tablets where tablet.hasDeferred { tablet.resumeDeferred() }
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
        if releaseReplies() {
            // Replies may have set requests of this node on their way again.
            settle(applyBudget: &budget)
            _ = releaseReplies()
        } else {
            for index in tablets.indices { refreshLease(index) }
        }
        writeLog()
        requestFlush()
        tellEndedLeaderships()
        sendHeartbeatReplies()
        let beginning = work.begins()
        sendParts()
        work.note(.replicate, of: nil, since: beginning)
        effects.failure = effects.failure ?? outdatedFailure
        for index in outgoing.indices where isNumbered && !outgoing[index].messages.isEmpty {
            outgoing[index].messages.insert(introduction(to: index), at: 0)
            effects.messages.append(outgoing[index])
            outgoing[index].messages.removeAll(keepingCapacity: true)
            outgoing[index].backlog += outgoing[index].added
            outgoing[index].added = 0
        }
        for tablet in tablets {
            if !tablet.output.diskReads.isEmpty {
                effects.diskReads += tablet.output.diskReads
                tablet.output.diskReads.removeAll(keepingCapacity: true)
            }
            if let wanted = tablet.log.takeWanted() {
                effects.fetches.append(
                    EntryFetch(
                        tablet: tablet.descriptor.id, replica: tablet.replica, from: wanted,
                        upTo: tablet.log.lastIndex + 1, maxBytes: 4 << 20))
            }
        }
        for tablet in tablets { tablet.output.hasLargeProposal = false }
        effects.work = work.cost
        effects.longestPiece = work.longest
        effects.needsAnotherTurn = !postponed.isEmpty || hasPartsToSend
        for tablet in tablets
        where tablet.hasApplies && !isEngineBusy || tablet.hasDeferred || tablet.group.hasReady {
            effects.needsAnotherTurn = true
        }
        effects.wakeAt = min(nextTick, nextRetry, nextCampaign())
        if !congested.isEmpty || areRequestsInParts {
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
                // Nothing else that a lease depends on changes here.
                if noteLeadership(index) || rounds == 1 { refreshLease(index) }
                // Without a lease they wait on, however often they are looked at.
                if rounds == 1 || tablet.isServing { tablet.retryParked() }
                if tablet.hasApplies, applyBudget > 0, work.mayApply {
                    let beginning = work.begins()
                    let used = tablet.runApplies(budget: applyBudget)
                    work.note(.apply, of: tablet.descriptor.id, since: beginning)
                    applyBudget -= used
                    isBusy = true
                    if tablet.output.isEngineBusy {
                        tablet.output.isEngineBusy = false
                        isEngineBusy = true
                        applyBudget = 0
                    }
                }
                tablet.runAwakened()
                if tablet.group.hasReady, !tablet.output.hasLargeProposal {
                    let beginning = work.begins()
                    takeReady(index)
                    work.note(.replicate, of: tablet.descriptor.id, since: beginning)
                    isBusy = true
                }
                tablet.countInFlight()
                if let failure = tablet.output.failure { effects.failure = failure }
            }
            if routeDue() { isBusy = true }
        }
    }

    /// A read that a request waits for was made.
    package func diskRead(done read: DiskRead) {
        tablets.first { $0.descriptor.id == read.tablet }?.diskRead(done: read)
    }

    /// Hands out the replies of all tablets; reads only if the lease stands at this moment.
    ///
    /// Returns whether there were any.
    private func releaseReplies() -> Bool {
        var areAny = false
        for index in tablets.indices {
            let tablet = tablets[index]
            guard !tablet.output.replies.isEmpty else { continue }
            areAny = true
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
        return areAny
    }

    private func tick() {
        heartbeat()
        judgeLeaderships()
        for index in tablets.indices {
            let tablet = tablets[index]
            sendCommitNotices(of: index)
            tablet.expireLockWaits()
            tablet.forgetOldWrites()
            // A leader that sleeps has told before how far all hold the log.
            if tablet.group.isHibernated { continue }
            tablet.group.tick()
            shareTruncation(index)
        }
        boundLogs()
        lookAfterHistory()
        releaseLocksOfDeadNodes()
        askAboutLocks()
        askWhetherTheyLead()
        checkRequests()
    }
}
