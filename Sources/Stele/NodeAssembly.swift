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
import SteleRocksDB
import SteleTablet
import SteleTransaction
import SteleTransport
import SteleWire
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The parts of a running node, and how they are put together and taken apart.
final class NodeAssembly: @unchecked Sendable {
    // Safety: `identity`, `log`, `engine`, `infos` and `isDiskAsked` are touched on `loop` only, or
    // before and after its life; the rest is immutable or locked.
    let configuration: NodeConfiguration
    /// A loop for each processor. The first is the core's; sessions are spread over all.
    let group: MultiThreadedEventLoopGroup
    let loop: any EventLoop
    let executor: LoopExecutor
    /// Runs the tasks of sessions, by their loops.
    private let executors: [ObjectIdentifier: LoopExecutor]
    /// Flushes the store, which takes long.
    private let pool: NIOThreadPool
    /// Reads what is not in memory, for as many as that has threads.
    private let readPool: NIOThreadPool
    /// Reads of the log what a replica lacks, which must not wait behind reads of cold rows.
    private let logPool: NIOThreadPool
    private let host: NodeHost
    private let numbers = TransactionNumbers()
    private let readers = OpenReaders()
    private let port: HostPort
    private let memory = BufferedBytes()
    private let clients: ClientService
    private let bootTime = SystemClocks.wall()
    private let listening = Mutex<String?>(nil)
    private let ending = Mutex(Ending())
    private var transport: Transport?
    private var identity: NodeIdentity
    private var log: RaftLog?
    private var engine: RocksDBEngine?
    private var infos: [NodeID: NodeInfo] = [:]
    private var isDiskAsked = false

    private struct Ending {
        var isOver = false
        var isStopping = false
        var failure: SteleError?
        var waiters: [CheckedContinuation<SteleError?, Never>] = []
        var stopped: [CheckedContinuation<Void, Never>] = []
        var isStopped = false
    }

    static func start(_ configuration: NodeConfiguration) async throws(SteleError) -> NodeAssembly {
        // A start that fails for a reason of the machine's changes nothing.
        if let listen = configuration.listen {
            let address = try NetworkAddress(parsing: listen)
            guard configuration.isInsecure || address.isLoopback else {
                throw SteleError(
                    .configuration,
                    "\(address) is not a loopback address: whoever reaches it can read and write, "
                        + "unencrypted and without a password; set isInsecure to listen there")
            }
            try address.checkIsFree()
        }
        try makeDirectory(configuration.directory)
        let identity = try NodeIdentity.load(from: configuration.directory)
        try identity.check(configuration)
        let assembly = NodeAssembly(configuration, identity)
        do {
            try await assembly.begin()
            return assembly
        } catch {
            await assembly.stop()
            throw error
        }
    }

    private init(_ configuration: NodeConfiguration, _ identity: NodeIdentity) {
        self.configuration = configuration
        self.identity = identity
        group = MultiThreadedEventLoopGroup(numberOfThreads: System.coreCount)
        let loop = group.next()
        self.loop = loop
        let executor = LoopExecutor(loop: loop)
        self.executor = executor
        var executors = [ObjectIdentifier(loop): executor]
        for loop in group.makeIterator() {
            // As the log thread does, with which the first exchanges work, and the others with that.
            loop.execute { preferPromptness() }
            if executors[ObjectIdentifier(loop)] == nil {
                executors[ObjectIdentifier(loop)] = LoopExecutor(loop: loop)
            }
        }
        self.executors = executors
        pool = NIOThreadPool(numberOfThreads: 1)
        pool.start()
        readPool = NIOThreadPool(numberOfThreads: 4)
        readPool.start()
        logPool = NIOThreadPool(numberOfThreads: 1)
        logPool.start()
        host = NodeHost(
            loop: loop, executor: executor, pool: pool, readPool: readPool, logPool: logPool,
            logger: configuration.logger, numbers: numbers)
        port = HostPort(host: host, numbers: numbers, readers: readers)
        clients = ClientService(host: host, port: port, memory: memory)
    }

    private var logger: Logger { configuration.logger }

    var address: String? { listening.withLock { $0 } }

    /// What runs tasks on one of the group's loops.
    func executor(of loop: any EventLoop) -> LoopExecutor {
        executors[ObjectIdentifier(loop)] ?? executor
    }

    func backend(_ keyspace: Keyspace) -> KernelBackend {
        KernelBackend(port: port, keyspace: keyspace, memory: memory)
    }

    func uniqueNumber() -> UInt64 { numbers.uniqueNumber() }

    // MARK: Start

    private func begin() async throws(SteleError) {
        if let listen = configuration.listen {
            var random = SystemRandomNumberGenerator()
            let transport = Transport(
                loop: loop, random: SeededRandom(seed: random.next()),
                logger: configuration.logger, delegate: self
            ) { [unowned self] in introduction() }
            self.transport = transport
            let address = try await transport.listen(on: try NetworkAddress(parsing: listen))
            listening.withLock { $0 = address.description }
        }
        try foundAlone()
        if identity.membership != nil { try await serve() }
    }

    /// A node that is to join nobody is a cluster by itself, at whatever address it listens now.
    private func foundAlone() throws(SteleError) {
        let alone = ClusterMembership.alone(identity.directoryID, address: address ?? "")
        if let membership = identity.membership {
            guard membership.cluster == alone.cluster, membership.nodes.count == 1,
                membership.nodes != alone.nodes
            else { return }
            identity.membership?.nodes = alone.nodes
        } else {
            guard configuration.join.isEmpty else { return }
            identity.membership = alone
        }
        try identity.store(in: configuration.directory)
    }

    /// Opens log and store and begins to take turns, as a member of the cluster.
    private func serve() async throws(SteleError) {
        guard let membership = identity.membership, identity.node != .none else {
            throw SteleError(
                .configuration,
                "\(configuration.directory) belongs to no node of the cluster it names")
        }
        numbers.join()
        let began = SystemClocks.monotonic()
        do {
            let tablets = try membership.checkedTablets()
            let hasServed = identity.hasServed
            let opened = try await pool.runIfActive { [configuration, weak host] in
                try Storage.open(
                    configuration, mustExist: hasServed,
                    observer: { [weak host] event in host?.observe(event) },
                    onLogFailure: { [weak host] error in host?.logFailed(error) })
            }
            try await loop.flatSubmit {
                do {
                    return try self.serve(membership, tablets, opened)
                } catch {
                    return self.loop.makeFailedFuture(error)
                }
            }.get()
            let entries = opened.recovered.replicas.reduce(0) {
                $0 + $1.lastIndex - $1.compacted.index
            }
            logger.notice(
                hasServed ? "the node serves again" : "the node serves",
                metadata: [
                    "node": "\(identity.node.rawValue)", "cluster": "\(membership.cluster)",
                    "nodes": "\(membership.nodes.count)", "directory": "\(configuration.directory)",
                    "address": "\(address ?? "none")", "entries_read": "\(entries)",
                    "ms": "\((SystemClocks.monotonic() - began) / 1_000)",
                ])
        } catch let error as SteleError {
            throw error
        } catch let error as LogError {
            throw SteleError(error)
        } catch let error as EngineError {
            throw SteleError(error)
        } catch {
            throw SteleError(.storage, "\(configuration.directory): \(error)")
        }
    }

    private func serve(
        _ membership: ClusterMembership, _ tablets: [TabletDescriptor], _ opened: Storage
    ) throws -> EventLoopFuture<Void> {
        log = opened.log
        engine = opened.engine
        if !identity.hasServed {
            // Before anything is promised that only the log remembers.
            identity.hasServed = true
            try identity.store(in: configuration.directory)
        }
        try SystemClocks.checkWall()
        var random = SystemRandomNumberGenerator()
        var settings = NodeCoreConfiguration(
            node: identity.node, tablets: tablets, members: membership.nodes.map(\.node),
            seed: random.next())
        settings.tabletLogBytes = configuration.tabletLogBytes
        settings.nodeLogBytes = configuration.nodeLogBytes
        settings.retention = configuration.retention.microseconds
        let core = try NodeCore(
            configuration: settings,
            engine: opened.engine, recovered: opened.recovered,
            monotonic: SystemClocks.monotonic(), wall: SystemClocks.wall(),
            stopwatch: SystemClocks.stopwatch)
        core.oldestReader = { [readers] limit in readers.oldest(notBelow: limit) }
        numbers.start(node: identity.node, at: core.firstTransaction)
        let isDurable = host.start(
            core: core, log: opened.log, engine: opened.engine, transport: transport
        ) { [weak self] error in self?.end(error) }
        transport?.setPeers(membership.nodes.map { ($0.node, $0.address) })
        for member in membership.nodes where member.node != identity.node {
            tell(membership, to: member)
        }
        return isDurable
    }

    /// Lets another member know that it is one, until it does; it may have been down when the
    /// cluster was formed, or this node's start may have been cut short.
    private func tell(_ membership: ClusterMembership, to member: ClusterMembership.Member) {
        guard let transport, !ending.withLock(\.isOver) else { return }
        Task(executorPreference: executor) {
            let answer = try? await transport.call(member.address, .bootstrap(membership))
            if case .done = answer?.reply { return }
            self.loop.scheduleTask(in: .seconds(1)) { self.tell(membership, to: member) }
        }
    }

    // MARK: The cluster

    func initializeCluster() async throws(SteleError) {
        guard let transport, let own = address else {
            throw SteleError(.configuration, "the node does not listen, so it can join nobody")
        }
        guard await isUninitialized() else {
            throw SteleError(.configuration, "the node belongs to a cluster already")
        }
        var addresses = configuration.join
        var members: [ClusterMembership.Member] = []
        if !addresses.contains(own) { addresses.append(own) }
        for address in addresses {
            let (peer, _) = try await transport.call(address, .status)
            guard peer.cluster == .none else {
                throw SteleError(
                    .configuration, "the node at \(address) belongs to a cluster already")
            }
            if members.contains(where: { $0.instance == peer.instance }) { continue }
            members.append(
                ClusterMembership.Member(
                    node: NodeID(UInt64(members.count + 1)), instance: peer.instance,
                    address: address))
        }
        var random = SystemRandomNumberGenerator()
        let membership = ClusterMembership.fresh(UniqueID(from: &random), members)
        // Should two nodes be told at once, the one with the lowest id decides who was first.
        if let arbiter = members.min(by: { $0.instance.precedes($1.instance) }),
            arbiter.instance != (try await instance())
        {
            let (_, reply) = try await transport.call(arbiter.address, .bootstrap(membership))
            if case .failed(let error) = reply { throw error }
        }
        try await become(membership)
    }

    private func instance() async throws(SteleError) -> UniqueID {
        do {
            return try await loop.submit { self.identity.directoryID }.get()
        } catch { throw SteleError(.stopped, "the node was stopped") }
    }

    private func isUninitialized() async -> Bool {
        (try? await loop.submit { self.identity.membership == nil }.get()) ?? false
    }

    /// Takes the membership on, durably, and begins to serve; does nothing if it is known already.
    private func become(_ membership: ClusterMembership) async throws(SteleError) {
        _ = try membership.checkedTablets()
        let directory = configuration.directory
        do {
            let isNew = try await loop.submit {
                if let known = self.identity.membership {
                    guard known.cluster == membership.cluster else {
                        throw SteleError(
                            .configuration, "the node belongs to cluster \(known.cluster) already")
                    }
                    return false
                }
                var identity = self.identity
                identity.membership = membership
                guard identity.node != .none else {
                    throw SteleError(.configuration, "the membership does not name this node")
                }
                try identity.store(in: directory)
                self.identity = identity
                return true
            }.get()
            if isNew { try await serve() }
        } catch let error as SteleError {
            throw error
        } catch {
            throw SteleError(.configuration, "\(error)")
        }
    }

    func status() async -> StatusReport {
        let disk = try? await loop.flatSubmit { self.disk() }.get()
        return (try? await loop.submit { self.report(disk) }.get())
            ?? StatusReport(cluster: .none, nodes: [], tablets: [])
    }

    /// What there is on the disk, or nil if it does not answer soon: then most of all somebody wants to
    /// see the rest. On the loop.
    private func disk() -> EventLoopFuture<StatusReport.Storage?> {
        let result = loop.makePromise(of: StatusReport.Storage?.self)
        // With a disk that hangs one question waits, whoever asks, and not ever more of them.
        guard let log, let engine, !isDiskAsked else {
            result.succeed(nil)
            return result.futureResult
        }
        isDiskAsked = true
        // Kept by whatever comes first.
        loop.scheduleTask(in: .milliseconds(200)) { result.succeed(nil) }
        readPool.submit { [directory = configuration.directory] state in
            guard state == .active else { return result.succeed(nil) }
            let found = StatusReport.Storage(directory, log, engine)
            self.loop.execute {
                self.isDiskAsked = false
                result.succeed(found)
            }
        }
        return result.futureResult
    }

    /// How many committed entries each replica lacks, as far as this node knows as the leader.
    private static func lag(of group: RaftGroup, in descriptor: TabletDescriptor) -> [UInt64?] {
        guard group.isLeader else { return [] }
        return descriptor.replicas.map { replica in
            guard let progress = group.progress(of: replica.id), progress.match > 0 else {
                return nil
            }
            return group.committed - min(progress.match, group.committed)
        }
    }

    private func report(_ disk: StatusReport.Storage?) -> StatusReport {
        guard let membership = identity.membership else {
            return StatusReport(cluster: .none, nodes: [], tablets: [])
        }
        infos[identity.node] = introduction().info
        return host.withCore { core in
            let clocks = core.clockReport
            return StatusReport(
                cluster: membership.cluster,
                nodes: membership.nodes.map { member in
                    let info = infos[member.node]
                    return StatusReport.Node(
                        id: member.node, address: member.address, postgres: info?.postgres ?? "",
                        pid: info?.pid ?? 0, version: info?.version ?? "",
                        uptime: core.isLive(member.node)
                            ? info.flatMap { Self.uptime(since: $0.bootTime) } : nil,
                        isLive: core.isLive(member.node),
                        locality: info?.locality ?? "", clock: clocks.status(of: member.node),
                        isOutdated: core.isRefused(member.node))
                },
                tablets: core.configuration.tablets.map { descriptor in
                    let group = core.tablets.first { $0.descriptor.id == descriptor.id }?.group
                    return StatusReport.Tablet(
                        id: descriptor.id,
                        start: descriptor.range.start,
                        end: descriptor.range.end,
                        leader: core.leader(of: descriptor.id),
                        replicas: descriptor.replicas.map(\.node),
                        outrun: core.outrunReplicas(of: descriptor.id),
                        committed: group?.committed ?? 0, applied: group?.applied ?? 0,
                        lag: group.map { Self.lag(of: $0, in: descriptor) } ?? [])
                },
                storage: disk, turns: host.turns)
        } ?? StatusReport(cluster: membership.cluster, nodes: [], tablets: [])
    }

    private static func uptime(since start: UInt64) -> UInt64? {
        let now = SystemClocks.wall()
        return start > 0 && now >= start ? (now - start) / 1_000_000 : nil
    }

    private func introduction() -> Introduction {
        Introduction(
            cluster: identity.membership?.cluster ?? .none, node: identity.node,
            instance: identity.directoryID,
            info: NodeInfo(
                address: address ?? "", postgres: configuration.postgresAddress ?? "",
                pid: UInt32(getpid()), bootTime: bootTime, locality: configuration.locality,
                version: steleVersion))
    }

    // MARK: The end

    /// Ends ``ended()``, with what made the node fail or with nothing.
    func end(_ failure: SteleError?) {
        let waiters = ending.withLock { ending in
            if !ending.isOver {
                ending.isOver = true
                ending.failure = failure
            }
            defer { ending.waiters = [] }
            return ending.waiters.map { ($0, ending.failure) }
        }
        for (waiter, failure) in waiters { waiter.resume(returning: failure) }
    }

    /// Returns once the node has failed or is to be stopped.
    func ended() async -> SteleError? {
        await withCheckedContinuation { continuation in
            let over: SteleError?? = ending.withLock { ending in
                if ending.isOver { return .some(ending.failure) }
                ending.waiters.append(continuation)
                return nil
            }
            if let over { continuation.resume(returning: over) }
        }
    }

    func handOver() async { try? await loop.flatSubmit { self.host.handOver() }.get() }

    func stop() async {
        let isFirst = ending.withLock { ending in
            ending.isOver = true
            defer { ending.isStopping = true }
            return !ending.isStopping
        }
        guard isFirst else { return await stopped() }
        await handOver()
        await transport?.shutdown()
        try? await loop.flatSubmit { self.host.stop() }.get()
        // Its threads use both, also after a failure, when nothing is waited for above.
        try? await pool.shutdownGracefully()
        try? await readPool.shutdownGracefully()
        try? await logPool.shutdownGracefully()
        await host.endReads()
        log?.close()
        engine?.close()
        try? await group.shutdownGracefully()
        if identity.membership != nil {
            logger.notice("the node has stopped", metadata: ["node": "\(identity.node.rawValue)"])
        }
        let waiters = ending.withLock { ending in
            ending.isStopped = true
            defer { ending.stopped = [] }
            return ending.stopped
        }
        for waiter in waiters { waiter.resume() }
    }

    private func stopped() async {
        await withCheckedContinuation { continuation in
            let isStopped = ending.withLock { ending in
                if !ending.isStopped { ending.stopped.append(continuation) }
                return ending.isStopped
            }
            if isStopped { continuation.resume() }
        }
    }
}

extension NodeAssembly: TransportDelegate {
    func received(_ messages: [PeerMessage], from node: NodeID) {
        host.post(.messages(messages, node))
    }

    func connected(to node: NodeID) { host.post(.connected(node)) }

    func disconnected(from node: NodeID) { host.post(.disconnected(node)) }

    func peerInfo(_ info: NodeInfo, of node: NodeID) { infos[node] = info }

    func refusal(of hello: Hello) -> Refusal? {
        guard hello.role == .peer else { return nil }
        let isMember = identity.membership?.nodes.contains {
            $0.node == hello.sender.node && $0.instance == hello.sender.instance
        }
        return isMember == true
            ? nil
            : Refusal(
                .notMember,
                "node \(hello.sender.node) with the directory \(hello.sender.instance) is no "
                    + "member of this cluster")
    }

    func request(_ request: ClientRequest, from connection: ClientConnection) {
        let id = request.id
        let answer: ClientService.Answer = { connection.send(ClientReply(id: id, body: $0)) }
        switch request.body {
        case .status: Task(executorPreference: executor) { answer(.status(await self.status())) }
        case .initialize: perform(answer) { try await self.initializeCluster() }
        case .bootstrap(let membership): perform(answer) { try await self.become(membership) }
        case .database(let keyspace, let verb):
            guard identity.membership != nil else {
                return answer(
                    .failed(
                        SteleError(
                            .notInitialized, "the node does not belong to a cluster yet")))
            }
            clients.handle(verb, in: keyspace, of: ObjectIdentifier(connection), answer: answer)
        }
    }

    func closed(_ connection: ClientConnection) { clients.closed(ObjectIdentifier(connection)) }

    private func perform(
        _ answer: @escaping ClientService.Answer, _ body: @escaping @Sendable () async throws -> Void
    ) {
        Task(executorPreference: executor) {
            do {
                try await body()
                answer(.done)
            } catch let error as SteleError {
                answer(.failed(error))
            } catch {
                answer(.failed(SteleError(.configuration, "\(error)")))
            }
        }
    }
}
