import SteleBase
import SteleCluster
import SteleEngine
import SteleRaft
import SteleTablet
import SteleVerify

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// A cluster in one thread on virtual time: nodes, network, disks, clients and faults, all driven
/// by one queue of events and one seed.
///
/// Invariant: nothing here depends on anything but scenario and seed. Each part draws from a random
/// generator of its own, so that a change in one does not reshuffle the others more than it must.
final class SimulatedCluster: @unchecked Sendable {
    // Safety: everything happens in the thread that runs the simulation, tasks included.
    let scenario: Scenario
    let defect: HostDefect
    let descriptors: [TabletDescriptor]
    /// True time in microseconds.
    var now: UInt64 = 0
    var queue = EventQueue()
    var nodes: [SimulatedNode] = []
    /// By sender, then by receiver.
    var channels: [NetworkChannel] = []
    var network: NetworkProfile
    var trace: Trace
    var checks: ClusterChecks
    var health: ClusterHealth
    var result: SimulationResult
    var isHealed = false
    /// When each tablet was last served.
    var servedAt: [UInt64]
    var isDone = false

    /// Requests that clients wait for, by token.
    var outstanding: [UInt64: OutstandingRequest] = [:]
    var lastToken: UInt64 = 0
    var workload = WorkloadState()
    var finalTasks = 0
    /// Workloads besides that of ``WorkloadState``.
    var fronts: [any SimulatedWorkload] = []
    /// The newest commits that nodes have sent each other.
    var oldRequests: [OldRequest] = []

    var nodeRandom: SeededRandom
    var networkRandom: SeededRandom
    var diskRandom: SeededRandom
    var faultRandom: SeededRandom
    var clientRandom: SeededRandom
    var taskRandom: SeededRandom
    /// What runs the tasks of clients that live outside of all nodes; made when it is needed.
    var clientExecutor: SimulatedExecutor?
    private let thread = pthread_self()

    init(
        seed: UInt64, scenario: Scenario, defect: HostDefect, observer: ((String) -> Void)?
    ) {
        self.scenario = scenario
        self.defect = defect
        network = scenario.network
        trace = Trace(observer: observer)
        result = SimulationResult(seed: seed, scenario: scenario)
        var random = SeededRandom(seed: seed)
        nodeRandom = random.split()
        networkRandom = random.split()
        diskRandom = random.split()
        faultRandom = random.split()
        clientRandom = random.split()
        taskRandom = random.split()
        // With more nodes than replicas, the first nodes hold none of the data.
        let first = UInt64(scenario.nodes - min(scenario.replicas, scenario.nodes)) + 1
        let replicas = (first...UInt64(scenario.nodes)).map {
            TabletDescriptor.Replica(node: NodeID($0), id: ReplicaID($0))
        }
        descriptors = [
            TabletDescriptor(
                id: .system, range: KeyRange(start: [0], end: [1]), generation: 1,
                replicas: replicas),
            TabletDescriptor(
                id: .firstData, range: KeyRange(start: [1], end: []), generation: 1,
                replicas: replicas),
        ]
        servedAt = descriptors.map { _ in 0 }
        checks = ClusterChecks(tablets: descriptors, nodes: scenario.nodes)
        health = ClusterHealth(nodes: scenario.nodes, tablets: descriptors.count)
        for place in 0..<scenario.nodes {
            nodes.append(
                SimulatedNode(place: place, nodes: scenario.nodes, clock: newClock()))
        }
        makeChannels()
    }

    func newClock() -> SimulatedClock {
        SimulatedClock(limits: scenario.clocks, startingAt: now, &nodeRandom)
    }

    /// Does `action` in `delay` microseconds.
    func after(_ delay: UInt64, _ action: @escaping () -> Void) {
        checkThread()
        queue.schedule(at: now + delay, action)
    }

    /// Does `action` later, unless the node has crashed or was started anew by then.
    func after(_ delay: UInt64, on node: SimulatedNode, _ action: @escaping () -> Void) {
        let life = node.life
        after(delay) { if node.life == life { action() } }
    }

    /// Ends the run as a bad one; only the first failure counts.
    func fail(_ message: String) {
        if result.failure == nil {
            result.failure = message
            trace.note(.fault, at: now, 0, 0, "FAILURE: \(message)")
        }
    }

    /// Far more than any sound run needs; two nodes that answer each other without a pause reach it.
    private var eventLimit: UInt64 { 400_000 + scenario.duration / 10 }

    /// Lets virtual time pass until the run is over.
    func runToEnd() {
        var events: UInt64 = 0
        while !isDone, result.failure == nil, let (time, action) = queue.next() {
            events += 1
            if events > eventLimit { fail("the nodes talk without an end") }
            now = time
            action()
        }
        result.virtualTime = now
        result.traceHash = trace.hash
        // Scheduled actions refer to the cluster, which refers to them.
        queue = EventQueue()
        outstanding = [:]
        for node in nodes {
            node.port = nil
            node.executor = nil
            node.atCrash = []
        }
        clientExecutor = nil
    }

    /// Ends the process if something is done on a thread that no seed decides about.
    func checkThread() {
        invariant(
            pthread_equal(thread, pthread_self()) != 0, "a task left the simulation's thread")
    }

    // MARK: Life and death of nodes

    /// Starts a node from what is on its disk.
    func start(_ node: SimulatedNode) {
        guard !node.isUp, !node.isAbsent else { return }
        node.life += 1
        var configuration = NodeCoreConfiguration(
            node: node.id, tablets: descriptors, members: nodes.map(\.id),
            seed: nodeRandom.next())
        configuration.flushThreshold = scenario.disk.flushThreshold
        configuration.minimumTruncation = scenario.disk.minimumTruncation
        configuration.retention = scenario.retention
        configuration.logCacheBytes = scenario.disk.logCacheBytes
        configuration.clockSlewPerMillion = scenario.clockSlewPerMillion
        configuration.tabletLogBytes = scenario.disk.tabletLogBytes
        configuration.nodeLogBytes = scenario.disk.nodeLogBytes
        node.engine.setMissing { [weak self] in
            guard let self, scenario.disk.missOdds > 0 else { return false }
            return diskRandom.oneIn(scenario.disk.missOdds)
        }
        var recovered = node.log.recovered(tail: scenario.disk.recoveredTail)
        if defect == .losesNodeRecord { recovered.nodeRecord = nil }
        node.clockChangedAt = now
        do {
            let core = try NodeCore(
                configuration: configuration, engine: node.engine, recovered: recovered,
                monotonic: node.clock.monotonic(at: now), wall: node.clock.wall(at: now))
            node.core = core
            core.oldestReader = { [unowned node] limit in
                node.port?.readers.oldest(notBelow: limit)
            }
            node.nextTransaction = core.firstTransaction
            node.port = nil
            trace.note(.start, at: now, UInt64(node.place), core.boot, "\(node.id) starts")
            for tablet in core.tablets { checks.started(node, tablet) }
        } catch {
            return fail("\(node.id) cannot start: \(error)")
        }
        node.lastFault = now
        for peer in nodes.indices where peer != node.place {
            dial(channel(from: node.place, to: peer))
        }
        scheduleTurn(node, in: 0)
    }

    /// Kills a node: what its disk has not synced is lost, except for a prefix that made it anyway.
    func crash(_ node: SimulatedNode) {
        guard node.isUp else { return }
        trace.note(.crash, at: now, UInt64(node.place), 0, "\(node.id) crashes")
        result.counts.crashes += 1
        node.life += 1
        node.core = nil
        node.inbox = []
        node.turnAt = nil
        node.isTurnOpen = false
        node.pausedUntil = 0
        node.isSyncing = false
        node.diskStallsUntil = 0
        node.lastFault = now
        node.engine.crash()
        let unsynced = UInt64(node.log.unsyncedCount)
        node.log.crash(survivors: diskRandom.oneIn(2) ? 0 : Int(diskRandom.below(unsynced + 1)))
        putProperDiskBack(node)
        loseConnections(of: node)
        loseRequests(of: node)
        let lost = node.atCrash
        node.atCrash = []
        for action in lost { action() }
        // A machine that boots again counts from somewhere else, and its wall clock was set anew.
        if faultRandom.oneIn(2) { node.clock = newClock() }
    }
}
