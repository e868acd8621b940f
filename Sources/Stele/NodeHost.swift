import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import SteleAPI
import SteleBase
import SteleCluster
import SteleEngine
import SteleLog
import SteleRaft
import SteleTablet
import SteleTransport
import SteleWire
import Synchronization

/// Gives a ``NodeCore`` its turns and carries out what it wants done.
///
/// Lives on one event loop: what the loop delivers is collected, then one turn runs over all of it.
/// The log syncs on a thread of its own, the store flushes on one, and what is read from disk in the
/// background is read in a small pool; all report back through the inbox.
///
/// Invariant: after the first failure of the log or the store no turn runs any more, so nothing is
/// acknowledged that might not be durable.
final class NodeHost: @unchecked Sendable {
    // Safety: everything but `inbox` is touched on `loop` only; `core` is changed on the loop while
    // `turnLock` is held, and looked at by others under that lock.
    let loop: any EventLoop
    let executor: LoopExecutor
    private let pool: NIOThreadPool
    private let readPool: NIOThreadPool
    private let logPool: NIOThreadPool
    private var logger: Logger
    private let numbers: TransactionNumbers
    private let inbox = NIOLockedValueBox(Inbox())

    private var core: NodeCore?
    /// Held by each turn, and by whoever asks the core for leave to read between turns.
    private let turnLock = Mutex(())
    private var log: RaftLog?
    private var engine: (any StorageEngine)?
    private var transport: Transport?
    private var waiters: [UInt64: Waiter] = [:]
    private let lastToken = Atomic<UInt64>(0)
    private var needsTurn = false
    /// When the pump began that goes on with the loop's next task; nil if none does.
    private var pumpBegan: UInt64?
    /// The pump goes on once the loop has looked at its sockets.
    private var isPumpPaused = false
    private var wakeAt: UInt64 = .max
    private var timer: Scheduled<Void>?
    private var timerAt: UInt64 = .max
    /// When slow writes to the log were last told of.
    private var slowSyncsToldAt: UInt64 = 0
    private var fetchesUnderWay: Set<TabletID> = []
    private var onFailure: ((SteleError) -> Void)?
    /// Kept once the node's record of this start is durable.
    private var isDurable: EventLoopPromise<Void>?
    /// Kept once no other node has to wait for this one's leases to end.
    private var handedOver: EventLoopPromise<Void>?
    private var isHandingOver = false
    private let wasStopped = Atomic(false)
    /// No turn runs any more, and nothing is read. Of the loop, but may be looked at from anywhere.
    private var isStopped: Bool {
        get { wasStopped.load(ordering: .acquiring) }
        set { wasStopped.store(newValue, ordering: .sequentiallyConsistent) }
    }
    /// Invariant: a read is counted before it looks whether the node has stopped.
    private let readsUnderWay = Atomic(0)
    /// How long turns, and the jobs between them, have taken. On the loop.
    private(set) var turns = TurnStatistics()

    private struct Inbox {
        var events: [Event] = []
        var isScheduled = false
        /// Set at the end: no turn will come for what is posted now.
        var isClosed = false
    }

    /// Who gets the answer to a request.
    enum Waiter {
        case task(UnsafeContinuation<TabletReply, Never>)
        /// Called on the loop, at the end of the turn that has the answer.
        case callback(@Sendable (TabletReply) -> Void)

        func resume(_ reply: TabletReply) {
            switch self {
            case .task(let continuation): continuation.resume(returning: reply)
            case .callback(let callback): callback(reply)
            }
        }
    }

    /// What may happen between two turns.
    enum Event {
        case submit(TabletRequest, Duration, token: UInt64, Waiter)
        /// Whoever waits for this answer waits no longer.
        case cancel(UInt64)
        case synced(UInt64)
        /// A write to the log took so many microseconds.
        case slowSync(UInt64)
        case failed(SteleError)
        /// The store holds writes up, or does so no longer.
        case pressure(WritePressure)
        /// A flush that the turn asked for has ended.
        case flushed([AppliedState])
        /// The engine has flushed, asked or by itself.
        case engineFlushed
        case frontierMoved([AppliedState])
        case fetched(TabletID, [SteleRaft.Entry])
        case swept(HistorySweep, ObsoleteDeletions)
        case read(DiskRead)
        case messages([PeerMessage], NodeID)
        case connected(NodeID)
        case disconnected(NodeID)
    }

    init(
        loop: any EventLoop, executor: LoopExecutor, pool: NIOThreadPool,
        readPool: NIOThreadPool, logPool: NIOThreadPool, logger: Logger,
        numbers: TransactionNumbers
    ) {
        self.loop = loop
        self.executor = executor
        self.pool = pool
        self.readPool = readPool
        self.logPool = logPool
        self.logger = logger
        self.numbers = numbers
    }

    /// Begins to give `core` its turns. On the loop.
    ///
    /// - Returns: a future that succeeds once the node can number transactions and keep time.
    func start(
        core: NodeCore, log: RaftLog, engine: any StorageEngine, transport: Transport?,
        onFailure: @escaping (SteleError) -> Void
    ) -> EventLoopFuture<Void> {
        let promise = loop.makePromise(of: Void.self)
        isDurable = promise
        turnLock.withLock { _ in self.core = core }
        logger[metadataKey: "node"] = "\(core.configuration.node.rawValue)"
        self.log = log
        self.engine = engine
        self.transport = transport
        self.onFailure = onFailure
        executor.setPump { [unowned self] in pump() }
        // What a run gives and grants is ahead of its clock by less.
        if core.clockWait > 2_000_000 {
            logger.warning(
                "the clock was set back: nothing is promised until it has passed the last run's",
                metadata: ["milliseconds": "\(core.clockWait / 1000)"])
        }
        needsTurn = true
        // What an earlier run made durable lets the log go, however little this one writes.
        readFrontier()
        pump()
        return promise.futureResult
    }

    /// A name for a request that is submitted next. From any thread.
    func nextToken() -> UInt64 { lastToken.add(1, ordering: .relaxed).newValue }

    /// Adds an event from any thread and sees to it that a turn follows.
    func post(_ event: Event) {
        let mustSchedule: Bool? = inbox.withLockedValue { inbox in
            guard !inbox.isClosed else { return nil }
            inbox.events.append(event)
            defer { inbox.isScheduled = true }
            return !inbox.isScheduled
        }
        switch mustSchedule {
        case true?: loop.execute { self.pump() }
        case false?: break
        case nil: refuse([event])
        }
    }

    /// Whether no turn will come any more.
    var isClosed: Bool { inbox.withLockedValue(\.isClosed) }

    // MARK: Turns

    /// Runs jobs and turns in alternation until neither has anything left.
    ///
    /// If there is more for long, sockets and timers have a right to their turn too. The loop looks
    /// at its sockets only when no task is left that is due, so one that follows at once, as short
    /// ones do, would keep it from them for as long as there is work: then peers are not heard.
    private func pump() {
        guard !isPumpPaused else { return }
        let began = pumpBegan ?? SystemClocks.monotonic()
        pumpBegan = nil
        var isLong = false
        for _ in 0..<Self.roundsAtATime where !isLong {
            let didRun = runJobs()
            let didTurn = runTurn()
            guard didRun || didTurn else { return armTimer() }
            isLong = SystemClocks.monotonic() - began >= Self.pumpMicroseconds
        }
        if isLong {
            isPumpPaused = true
            loop.scheduleTask(in: Self.pumpPause) {
                self.isPumpPaused = false
                self.pump()
            }
        } else {
            pumpBegan = began
            loop.execute { self.pump() }
        }
    }

    private static let roundsAtATime = 4
    /// How long the pump runs without a look at the sockets, but for the round in which it ends.
    private static let pumpMicroseconds: UInt64 = 1_000
    /// Long enough for the loop not to find the task due at once.
    private static let pumpPause = TimeAmount.microseconds(30)

    private func runJobs() -> Bool {
        let start = SystemClocks.monotonic()
        guard executor.runJobs() else { return false }
        let length = SystemClocks.monotonic() - start
        turns.add(length, "transactions and statements")
        if length > Self.longTurn {
            logger.log(
                level: length > Self.stall ? .warning : .debug,
                "transactions and statements took long", metadata: ["microseconds": "\(length)"])
        }
        return true
    }

    /// Runs one turn if there is a reason for it.
    private func runTurn() -> Bool {
        let events = inbox.withLockedValue { inbox in
            defer {
                inbox.events = []
                inbox.isScheduled = false
            }
            return inbox.events
        }
        guard let core, !isStopped else {
            refuse(events)
            return false
        }
        let monotonic = SystemClocks.monotonic()
        guard needsTurn || !events.isEmpty || monotonic >= wakeAt else { return false }
        var result: NodeEffects?
        turnLock.withLock { _ in result = turn(core, events, at: monotonic) }
        guard let effects = result else { return false }
        var longest = LongestPiece(effects.longestPiece)
        carryOut(effects, &longest)
        count(SystemClocks.monotonic() - monotonic, longest)
        return !isStopped
    }

    /// One turn of the core; nil if the node has stopped in it.
    private func turn(_ core: NodeCore, _ events: [Event], at monotonic: UInt64) -> NodeEffects? {
        core.transactionsUsed = max(core.transactionsUsed, numbers.used)
        for node in core.peers { core.setBacklog(transport?.backlog(of: node) ?? 0, of: node) }
        core.beginTurn(monotonic: monotonic, wall: SystemClocks.wall())
        for event in events { handle(event, core) }
        return isStopped ? nil : core.endTurn(monotonic: SystemClocks.monotonic())
    }

    /// The answer to a read that needs no turn, if this node leads and all of it is in memory. From any
    /// thread; does not wait for a turn that is under way.
    func answerAtOnce(_ request: TabletRequest) -> TabletReply? {
        var permit: ReadPermit?
        readsUnderWay.add(1, ordering: .sequentiallyConsistent)
        defer { readsUnderWay.subtract(1, ordering: .releasing) }
        guard !wasStopped.load(ordering: .sequentiallyConsistent) else { return nil }
        turnLock.withLockIfAvailable { _ in
            guard !isStopped else { return }
            permit = core?.permitReads(request, monotonic: SystemClocks.monotonic())
        }
        return permit?.answer(request.body)
    }

    /// Waits for reads outside of turns to end, once the node has stopped: the store may be closed then.
    func endReads() async {
        while readsUnderWay.load(ordering: .sequentiallyConsistent) > 0 {
            try? await Task.sleep(for: .microseconds(100))
        }
    }

    /// What took longest within a turn.
    private struct LongestPiece {
        private(set) var nanoseconds: Int
        private let core: TurnWork.Piece?
        private var name: StaticString?
        private var began = 0

        init(_ piece: TurnWork.Piece?) {
            core = piece
            nanoseconds = piece?.nanoseconds ?? 0
            began = SystemClocks.stopwatch()
        }

        /// What was done since the last call was this.
        mutating func note(_ name: StaticString) {
            let now = SystemClocks.stopwatch()
            if now - began > nanoseconds { (self.name, nanoseconds) = (name, now - began) }
            began = now
        }

        var description: String {
            let tablet = core?.tablet.map { ", tablet \($0.rawValue)" } ?? ""
            let work = name.map { "\($0)" } ?? core.map { $0.kind.rawValue + tablet } ?? "nothing"
            return "\(work): \(nanoseconds / 1_000) µs"
        }
    }

    /// Counts a turn of so many microseconds.
    private func count(_ length: UInt64, _ longest: LongestPiece) {
        turns.add(length, longest.description)
        guard length > Self.longTurn else { return }
        logger.log(
            level: length > Self.stall ? .warning : .debug, "a turn took long",
            metadata: ["microseconds": "\(length)", "work": "\(longest.description)"])
    }

    /// What no turn should exceed, in microseconds.
    private static let longTurn: UInt64 = 5_000
    /// What an operator should hear of: it is near what costs a node its leaderships.
    private static let stall: UInt64 = 100_000

    /// Says that writes to the log are slow, once a second at most.
    private func note(slowSync length: UInt64) {
        let now = SystemClocks.monotonic()
        guard now >= slowSyncsToldAt + 1_000_000 else { return }
        slowSyncsToldAt = now
        logger.warning(
            "the disk was slow to make the log durable", metadata: ["ms": "\(length / 1_000)"])
    }

    private func note(_ pressure: WritePressure) {
        switch pressure {
        case .normal: logger.notice("the store takes writes again at full speed")
        case .delayed: logger.warning("the store slows writes down: compactions lag behind")
        case .stopped: logger.error("the store takes no writes until compactions have caught up")
        }
    }

    private func handle(_ event: Event, _ core: NodeCore) {
        switch event {
        case .submit(let request, let timeout, let token, let waiter):
            waiters[token] = waiter
            core.submit(request, token: token, timeoutMicroseconds: timeout.microseconds)
        case .cancel(let token): core.cancel(token: token)
        case .synced(let token):
            core.logSynced(token)
            if let record = core.durableRecord {
                numbers.extend(to: record.transactionBound)
                isDurable?.succeed()
                isDurable = nil
            }
        case .slowSync(let length): note(slowSync: length)
        case .failed(let error): fail(error)
        case .pressure(let pressure): note(pressure)
        case .flushed(let frontier): core.flushed(frontier)
        case .engineFlushed: readFrontier()
        case .frontierMoved(let frontier): core.frontierMoved(frontier)
        case .fetched(let tablet, let entries):
            fetchesUnderWay.remove(tablet)
            core.entriesFetched(entries, of: tablet)
        case .swept(let sweep, let found): core.swept(sweep, found)
        case .read(let read): core.diskRead(done: read)
        case .messages(let messages, let node): core.receive(messages, from: node)
        case .connected(let node): core.peerConnected(node)
        case .disconnected(let node): core.peerDisconnected(node)
        }
    }

    private func carryOut(_ effects: NodeEffects, _ longest: inout LongestPiece) {
        if let failure = effects.failure {
            return fail(SteleError(.storage, failure.message))
        }
        if let (token, batch) = effects.log {
            let began = SystemClocks.monotonic()
            log?.append(batch) { [weak self] result in
                let took = SystemClocks.monotonic() - began
                if took > Self.stall { self?.post(.slowSync(took)) }
                switch result {
                case .success: self?.post(.synced(token))
                case .failure(let error):
                    self?.post(.failed(SteleError(.storage, "\(error)")))
                }
            }
        }
        longest.note("log")
        for outbox in effects.messages { transport?.send(outbox) }
        longest.note("send")
        for (token, reply) in effects.replies {
            waiters.removeValue(forKey: token)?.resume(reply)
        }
        longest.note("answer")
        for fetch in effects.fetches { self.fetch(fetch) }
        for notice in effects.notices { logger.log(notice) }
        for sweep in effects.sweeps { self.sweep(sweep) }
        for read in effects.diskReads { self.read(read) }
        for replica in effects.outrun {
            logger.error(
                "a replica lacks what the log no longer holds: its node has to be rebuilt",
                metadata: ["tablet": "\(replica.tablet)", "replica_on": "\(replica.node)"])
        }
        if effects.flush { flush() }
        needsTurn = effects.needsAnotherTurn
        wakeAt = effects.wakeAt
        if let handedOver, withCore(\.hasHandedOver) ?? true {
            self.handedOver = nil
            handedOver.succeed()
        }
    }

    private func flush() {
        guard let engine else { return }
        pool.submit { [weak self] state in
            guard state == .active else { return }
            do {
                try engine.flush()
                self?.post(.flushed(try engine.persistedFrontier()))
            } catch {
                self?.post(.failed(SteleError(.storage, "\(error)")))
            }
        }
    }

    /// Takes in what the engine tells by itself. From any thread, which must not call the engine.
    func observe(_ event: EngineEvent) {
        switch event {
        case .failed(let error): post(.failed(SteleError(error)))
        case .flushed: post(.engineFlushed)
        case .pressure(let pressure): post(.pressure(pressure))
        }
    }

    /// Takes in what ended the log, which may be while nothing is being written. From any thread.
    func logFailed(_ error: LogError) { post(.failed(SteleError(error))) }

    /// Asks the engine how far it is durable.
    private func readFrontier() {
        guard let engine else { return }
        readPool.submit { [weak self] state in
            guard state == .active else { return }
            do {
                self?.post(.frontierMoved(try engine.persistedFrontier()))
            } catch {
                self?.post(.failed(SteleError(.storage, "\(error)")))
            }
        }
    }

    private func fetch(_ fetch: EntryFetch) {
        guard let log, fetchesUnderWay.insert(fetch.tablet).inserted else { return }
        logPool.submit { [weak self] state in
            guard state == .active else { return }
            do {
                let entries = try log.entries(
                    of: fetch.tablet, replica: fetch.replica, from: fetch.from,
                    upTo: fetch.upTo, maxBytes: fetch.maxBytes)
                self?.post(.fetched(fetch.tablet, entries))
            } catch {
                self?.post(.failed(SteleError(.storage, "\(error)")))
            }
        }
    }

    private func read(_ read: DiskRead) {
        guard let engine else { return }
        readPool.submit { [weak self] state in
            guard state == .active else { return }
            read.perform(on: engine)
            self?.post(.read(read))
        }
    }

    /// Looks for deletions that hide nothing.
    private func sweep(_ sweep: HistorySweep) {
        guard let engine else { return }
        readPool.submit { [weak self] state in
            guard state == .active else { return }
            do {
                self?.post(.swept(sweep, try sweep.look(in: engine)))
            } catch {
                self?.post(.failed(SteleError(.storage, "\(error)")))
            }
        }
    }

    private func armTimer() {
        guard !isStopped, wakeAt < timerAt || timer == nil, wakeAt != .max else { return }
        timer?.cancel()
        timerAt = wakeAt
        let now = SystemClocks.monotonic()
        let delay = Int64(clamping: wakeAt > now ? wakeAt - now : 0)
        timer = loop.scheduleTask(in: .microseconds(delay)) { [weak self] in
            guard let self else { return }
            let now = SystemClocks.monotonic()
            let late = now - min(timerAt, now)
            if late > Self.stall {
                logger.warning(
                    "the node stood still: its thread did not run, or did other work",
                    metadata: ["ms": "\(late / 1_000)"])
            }
            timer = nil
            timerAt = .max
            pump()
        }
    }

    // MARK: The end

    private func fail(_ error: SteleError) {
        guard !isStopped else { return }
        logger.critical("the node stops: \(error.message)")
        halt(error)
        onFailure?(error)
    }

    /// Ends all turns; whoever waits for an answer learns that there will be none. On the loop.
    private func halt(_ error: SteleError) {
        isStopped = true
        isDurable?.fail(error)
        isDurable = nil
        handedOver?.succeed()
        handedOver = nil
        timer?.cancel()
        executor.setPump(nil)
        let reply = TabletReply.failed(.init(.outcomeUnknown, error.message))
        for (_, waiter) in waiters.sorted(by: { $0.key < $1.key }) {
            waiter.resume(reply)
        }
        waiters = [:]
        refuse(
            inbox.withLockedValue { inbox in
                inbox.isClosed = true
                defer { inbox.events = [] }
                return inbox.events
            })
    }

    private func refuse(_ events: [Event]) {
        let obstacle = isClosed ? nil : numbers.obstacle
        let reply = TabletReply.failed(obstacle ?? .init(.stopped, "the node is stopped"))
        for case .submit(_, _, _, let waiter) in events { waiter.resume(reply) }
    }

    /// Hands leaderships to other nodes, which then need not wait for this one's leases to end. On the
    /// loop.
    ///
    /// - Returns: a future that succeeds when that is done, or has taken too long.
    func handOver() -> EventLoopFuture<Void> {
        if let handedOver { return handedOver.futureResult }
        let promise = loop.makePromise(of: Void.self)
        // Once is enough: whoever has not taken over by then cannot.
        guard let core, !isStopped, !isHandingOver else {
            promise.succeed()
            return promise.futureResult
        }
        isHandingOver = true
        turnLock.withLock { _ in core.handOver() }
        needsTurn = true
        handedOver = promise
        loop.scheduleTask(in: Self.handOverPatience) { [weak self] in
            self?.handedOver?.succeed()
            self?.handedOver = nil
        }
        pump()
        return promise.futureResult
    }

    private static let handOverPatience = TimeAmount.seconds(1)

    /// Stops in good order: the node's record and all that was applied become durable. On the loop.
    ///
    /// - Returns: a future that succeeds when nothing is under way any more.
    func stop() -> EventLoopFuture<Void> {
        let promise = loop.makePromise(of: Void.self)
        guard let core, let log, !isStopped else {
            halt(SteleError(.stopped, "the node was stopped"))
            promise.succeed()
            return promise.futureResult
        }
        halt(SteleError(.stopped, "the node was stopped"))
        var record: [UInt8]?
        turnLock.withLock { _ in
            // Nothing is read any more above what it says was given.
            if core.durableRecord != nil { record = core.finalRecord().bytes }
            self.core = nil
        }
        guard let record else {
            promise.succeed()
            return promise.futureResult
        }
        let engine = self.engine
        log.append(LogBatch(nodeRecord: record)) { _ in
            self.pool.submit { _ in
                try? engine?.flush()
                promise.succeed()
            }
        }
        return promise.futureResult
    }

    /// For whom asks what the node knows at this moment. On the loop.
    func withCore<R>(_ body: (NodeCore) -> R) -> R? {
        var result: R?
        turnLock.withLock { _ in result = core.map(body) }
        return result
    }
}
