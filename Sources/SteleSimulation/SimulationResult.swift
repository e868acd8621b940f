import SteleVerify

/// What came of one simulated run.
public struct SimulationResult: Sendable {
    public var seed: UInt64
    public var scenario: Scenario
    /// The same seed and scenario give the same hash, as long as the code is the same.
    public var traceHash: UInt64 = 0
    /// The first thing that went wrong; nil in a good run.
    public var failure: String?
    /// What the clients did and saw of single keys.
    public var history = History()
    /// What the clients appended to lists and read of them, for each isolation level.
    public var lists: [AppendChecker.Level: History] = [:]
    /// True time that passed in the run, in microseconds.
    public var virtualTime: UInt64 = 0
    public var counts = SimulationCounts()
    /// The longest time that a node of a healthy majority could not write, in microseconds.
    public var longestStall: UInt64 = 0

    public var isGood: Bool { failure == nil }
}

/// How much happened in a run.
public struct SimulationCounts: Hashable, Sendable {
    public var reads = 0
    /// Commits that were acknowledged.
    public var commits = 0
    /// Operations that certainly failed.
    public var failed = 0
    /// Operations whose outcome was never told.
    public var unknown = 0
    /// Consistent reads of all accounts.
    public var snapshots = 0
    /// Transactions on lists that were acknowledged.
    public var lists = 0
    /// Consistent scans of rows.
    public var scans = 0
    /// Commits that came again long after they were answered.
    public var oldRequests = 0
    public var crashes = 0
    public var partitions = 0
    public var resets = 0
    /// Connections whose loss their receiver never noticed.
    public var replacedConnections = 0
    public var pauses = 0
    public var stalls = 0
    public var wrongClocks = 0
    public var lostFrames = 0
    /// Old copies of disks that were put back, and those whose nodes found out and stopped.
    public var images = 0
    public var refusedImages = 0
    public var turns = 0
    /// Frames that nodes sent to each other, and their bytes.
    public var frames = 0
    public var frameBytes = 0
    /// Records that were written to logs, each of which is synced, and what entries they hold.
    public var logRecords = 0
    public var loggedBytes = 0
    /// The most that a turn did, in nanoseconds as it is estimated.
    public var longestTurn = 0
    public var flushes = 0
    public var fetches = 0
    public var diskReads = 0
    /// Log records that gave up entries.
    public var truncations = 0
    /// Terms in which a tablet was served.
    public var leaderships = 0
    /// Reads of snapshots that were older than the history that is kept.
    public var refusedReads = 0
    /// Looks at the end at replicas that lack what the logs no longer hold, and say so.
    public var outrun = 0

    public init() {}

    /// Faults of all kinds.
    public var faults: Int {
        crashes + partitions + resets + pauses + stalls + wrongClocks + lostFrames + images
    }
}
