import SteleBase

/// Which faults a run meets, and how often: everything about a run besides its seed.
///
/// All times are in microseconds of true time; an interval of 0 means never.
public struct Scenario: Hashable, Sendable {
    public var name: String
    public var nodes = 3
    /// How many of them hold a replica of each tablet; the first ones hold none.
    public var replicas = 5
    /// Processes that work at the same time.
    public var clients = 6
    /// How long faults and load go on before the cluster is healed.
    public var duration: UInt64 = 6_000_000
    /// The mean pause of a client between two operations.
    public var thinkTime: UInt64 = 15_000
    /// One client in so many stops for up to 1.5 s while it holds locks.
    public var hesitationOdds: UInt64 = 4
    public var network = NetworkProfile()
    public var clocks = ClockLimits(driftPerMillion: 0, offset: 0)
    public var disk = DiskProfile()

    /// Mean intervals between faults of each kind.
    public var crashInterval: UInt64 = 0
    public var crashAllInterval: UInt64 = 0
    public var partitionInterval: UInt64 = 0
    /// The longest that some nodes are cut off from others; most cuts are shorter.
    public var longestCut: UInt64 = 8_000_000
    public var resetInterval: UInt64 = 0
    public var pauseInterval: UInt64 = 0
    /// Of wall clocks that are set wrong at a restart or run away, of a minority at a time.
    public var wrongClockInterval: UInt64 = 0
    /// How fast physical clocks follow; far more than nodes allow for makes clocks that run away.
    public var clockSlewPerMillion: UInt64 = 1_000
    /// Of wall clocks that jump, freeze or are set right while their nodes run, of any of them.
    public var clockJumpInterval: UInt64 = 0
    /// How long it may take until clocks are right that were wrong when their machines booted; 0 if
    /// all were right.
    public var wrongStart: UInt64 = 0
    /// Of disks that are replaced by older copies of themselves, until their nodes find out.
    public var imageInterval: UInt64 = 0
    /// When one of the nodes goes away, after the load has begun, and for how long; a length of 0 is
    /// for ever.
    public var absentAt: UInt64 = 0
    public var absence: UInt64 = 0
    /// For how long old versions are kept.
    public var retention: UInt64 = 3_600_000_000
    /// The longest that input waits for a turn, as with a loop that is more or less busy: what comes
    /// in meanwhile is handled in the same turn.
    public var turnDelay: UInt64 = 40
    /// One turn in so many stops in the middle for up to a second; 0 is none.
    public var turnStallOdds: UInt64 = 0

    public init(name: String) { self.name = name }

    /// Whether anything is certain to go wrong.
    public var hasFaults: Bool {
        crashInterval + crashAllInterval + partitionInterval + resetInterval + pauseInterval
            + wrongClockInterval + clockJumpInterval + imageInterval
            + absentAt > 0
    }

    /// Whether clocks are all that goes wrong, so that they alone say when there must be service.
    var demandsServiceByClocks: Bool {
        clockJumpInterval + wrongStart > 0
            && crashInterval + crashAllInterval + partitionInterval + resetInterval + pauseInterval
                + wrongClockInterval + absentAt + turnStallOdds + disk.stallOdds == 0
            && !network.isConnectionless
    }
}

/// How messages travel.
public struct NetworkProfile: Hashable, Sendable {
    public var minimumDelay: UInt64 = 50
    public var maximumDelay: UInt64 = 400
    /// Frames lost, doubled or overtaken, of a thousand each. Connections keep their order and lose
    /// nothing unless they break; with any of these set, frames travel one by one instead.
    public var lossPerMille: UInt64 = 0
    public var duplicatePerMille: UInt64 = 0
    public var reorderPerMille: UInt64 = 0

    public init() {}

    var isConnectionless: Bool { lossPerMille + duplicatePerMille + reorderPerMille > 0 }
}

/// How the disk behaves.
public struct DiskProfile: Hashable, Sendable {
    public var minimumSync: UInt64 = 50
    public var maximumSync: UInt64 = 1_500
    /// One sync in so many takes up to two seconds; 0 is none.
    public var stallOdds: UInt64 = 0
    /// One read in so many finds something not in memory; 0 is none.
    public var missOdds: UInt64 = 0
    /// How long such a sync may take, in microseconds.
    public var longestStall: UInt64 = 30_000_000
    /// Bytes applied that call for a flush of the store.
    public var flushThreshold = 32 << 10
    /// Entries that a log gives up at once, at least.
    public var minimumTruncation: UInt64 = 1_024
    /// Entries of each replica that a restarting node finds in memory.
    public var recoveredTail = 1_000
    /// What all logs of a node may keep in memory together.
    public var logCacheBytes = 64 << 20
    /// What the log of a tablet is kept to for nodes that are down, and all logs of a node together.
    public var tabletLogBytes = 64 << 20
    public var nodeLogBytes = 1 << 30

    public init() {}
}

extension Scenario {
    /// The names that ``named(_:seed:)`` knows.
    public static let names = [
        "calm", "crash", "partition", "pause", "reset", "lossy", "clocks", "jumps", "images", "disk",
        "absent", "history",
        "swarm",
    ]

    /// A scenario by name; nil if there is none of that name. Details are drawn from the seed.
    public static func named(_ name: String, seed: UInt64) -> Scenario? {
        guard names.contains(name) else { return nil }
        var random = SeededRandom(seed: seed ^ 0x5CE4_A810)
        var scenario = Scenario(name: name)
        scenario.drawEnvironment(&random)
        switch name {
        case "crash": scenario.drawCrashes(&random)
        case "partition": scenario.partitionInterval = random.uniform(600_000...2_000_000)
        case "pause": scenario.drawPauses(&random)
        case "reset": scenario.resetInterval = random.uniform(150_000...800_000)
        case "lossy": scenario.drawLoss(&random)
        case "disk":
            scenario.disk.stallOdds = random.uniform(50...500)
            scenario.disk.missOdds = random.uniform(2...30)
        case "absent": scenario.drawAbsence(&random)
        case "clocks": scenario.wrongClockInterval = random.uniform(400_000...1_500_000)
        case "images":
            scenario.crashInterval = random.uniform(500_000...1_500_000)
            scenario.imageInterval = random.uniform(200_000...600_000)
        case "jumps": scenario.drawJumps(&random)
        // Far above any delay of these runs, so that no reader that is known is refused.
        case "history": scenario.retention = random.uniform(500_000...900_000)
        case "swarm": scenario.drawSwarm(&random)
        default: break
        }
        // A majority has to agree once some clocks are wrong: the others stay within 80 percent of
        // the maximum offset of each other.
        if scenario.wrongClockInterval > 0 { scenario.clockSlewPerMillion = 300_000 }
        if scenario.wrongClockInterval + scenario.clockJumpInterval > 0 {
            scenario.clocks.offset = min(scenario.clocks.offset, 90_000)
        }
        return scenario
    }

    /// Delays, clocks and sizes, which differ from run to run in every scenario.
    private mutating func drawEnvironment(_ random: inout SeededRandom) {
        clients = Int(random.uniform(4...9))
        thinkTime = random.uniform(5_000...30_000)
        network.maximumDelay = [300, 1_000, 5_000, 25_000][Int(random.below(4))]
        clocks.driftPerMillion = [0, 100, 1_000][Int(random.below(3))]
        // With one node away the two others have to agree.
        clocks.offset = [0, 1_000, 50_000, 90_000][Int(random.below(4))]
        disk.maximumSync = [200, 1_500, 10_000, 30_000][Int(random.below(4))]
        disk.flushThreshold = [2_000, 16_000, 1 << 20][Int(random.below(3))]
        disk.minimumTruncation = [1, 50, 1_024][Int(random.below(3))]
        disk.recoveredTail = [0, 3, 1_000][Int(random.below(3))]
        if disk.recoveredTail == 3 { disk.logCacheBytes = 2_000 }
        turnDelay = [20, 200, 1_000][Int(random.below(3))]
    }

    /// At least two families of faults, so that they meet.
    private mutating func drawSwarm(_ random: inout SeededRandom) {
        switch random.below(12) {
        case 0: nodes = 5
        case 1: (nodes, replicas) = (5, 3)
        case 2: (nodes, replicas) = (4, 3)
        default: break
        }
        if random.oneIn(3) { retention = random.uniform(300_000...1_000_000) }
        if random.oneIn(3) { disk.missOdds = random.uniform(2...30) }
        var families = 0
        while families < 2 {
            for family in 0..<9 where random.oneIn(2) {
                families += 1
                switch family {
                case 0: drawCrashes(&random)
                case 1: partitionInterval = random.uniform(600_000...2_500_000)
                case 2: drawPauses(&random)
                case 3: resetInterval = random.uniform(200_000...1_500_000)
                case 4: disk.stallOdds = random.uniform(50...500)
                case 5: wrongClockInterval = random.uniform(600_000...3_000_000)
                case 6: if random.oneIn(2) { drawJumps(&random) }
                case 7:
                    drawCrashes(&random)
                    imageInterval = random.uniform(500_000...1_500_000)
                default: if random.oneIn(3) { drawLoss(&random) }
                }
            }
        }
    }

    private mutating func drawCrashes(_ random: inout SeededRandom) {
        crashInterval = random.uniform(800_000...3_000_000)
        if random.oneIn(3) { crashAllInterval = random.uniform(2_000_000...5_000_000) }
    }

    /// A node that is away for longer than its peers keep their logs for it, mostly for ever, and
    /// crashes of the others.
    private mutating func drawAbsence(_ random: inout SeededRandom) {
        absentAt = random.uniform(100_000...600_000)
        absence = random.oneIn(2) ? 0 : random.uniform(200_000...2_500_000)
        if random.oneIn(2) { crashInterval = random.uniform(600_000...2_000_000) }
        thinkTime = min(thinkTime, 8_000)
        disk.tabletLogBytes = Int(random.uniform(1_500...6_000))
        disk.nodeLogBytes = disk.tabletLogBytes * (random.oneIn(3) ? 1 : 4)
        disk.minimumTruncation = min(disk.minimumTruncation, 10)
        // Nothing but the length of the log calls for a flush, in some runs.
        if random.oneIn(2) { disk.flushThreshold = 1 << 20 }
    }

    private mutating func drawPauses(_ random: inout SeededRandom) {
        pauseInterval = random.uniform(500_000...2_000_000)
        turnStallOdds = random.uniform(250...2_500)
    }

    private mutating func drawJumps(_ random: inout SeededRandom) {
        clockJumpInterval = random.uniform(200_000...2_000_000)
        if random.oneIn(2) { wrongStart = random.uniform(500_000...4_000_000) }
    }

    private mutating func drawLoss(_ random: inout SeededRandom) {
        network.lossPerMille = random.uniform(0...80)
        network.duplicatePerMille = random.uniform(1...100)
        network.reorderPerMille = random.uniform(0...200)
    }
}
