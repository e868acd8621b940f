import SteleBase
import SteleClock
import SteleCluster
import SteleEngine
import SteleRaft
import SteleTablet

/// What must hold at every moment of a run, whatever goes wrong.
///
/// - In true time, a tablet is served by one replica at most: nobody serves in a term once somebody
///   has served in a later one, and a term has one leader.
/// - A replica gives one vote a term, also across a restart.
/// - All replicas apply the same entries at the same indices, each transaction once, at ascending
///   timestamps, and the applied index of a running replica never falls.
/// - Whoever serves has a clock that a majority of all clocks is close to.
/// - Everything that was read is what the final history holds at that timestamp.
struct ClusterChecks {
    /// An entry that some replica has applied.
    struct Applied {
        var term: Term
        var digest: UInt64
        var transaction = TransactionID.none
        var timestamp = Timestamp.zero
        var command: TabletCommand?
    }

    struct TabletHistory {
        let descriptor: TabletDescriptor
        var id: TabletID { descriptor.id }
        /// The highest watermark of the log so far.
        var watermark = Timestamp.zero
        /// By index, from 1 on.
        var applied: [Applied] = []
        var lastTimestamp = Timestamp.zero
        /// Parts of the command to come.
        var parts: [ArraySlice<UInt8>] = []
        /// Who leads, by term.
        var leaders: [Term: ReplicaID] = [:]
        /// The latest term in which the tablet was served.
        var servedTerm: Term = 0
    }

    private struct Vote: Hashable {
        var tablet: TabletID
        var replica: ReplicaID
        var term: Term
    }

    struct ServedRead {
        var key: KeyBytes
        var timestamp: Timestamp
        var value: [UInt8]?
    }

    struct ServedScan {
        /// What the page covers.
        var range: KeyRange
        var timestamp: Timestamp
        var reverse: Bool
        /// A digest of its rows, in their order.
        var digest: UInt64
    }

    private(set) var tablets: [TabletHistory]
    private var votes: [Vote: ReplicaID] = [:]
    /// The applied index of each replica when it was last looked at, by tablet and by node.
    private var seen: [[LogIndex]]
    private var commitIndex: [TransactionID: (tablet: TabletID, timestamp: Timestamp)] = [:]
    private var reads: [ServedRead] = []
    private var scans: [ServedScan] = []

    init(tablets: [TabletDescriptor], nodes: Int) {
        self.tablets = tablets.map { TabletHistory(descriptor: $0) }
        seen = tablets.map { _ in [LogIndex](repeating: 0, count: nodes) }
    }

    /// A node took up a replica, with what its store holds.
    mutating func started(_ node: SimulatedNode, _ tablet: Tablet) {
        guard let place = place(of: tablet) else { return }
        seen[place][node.place] = tablet.applied.index
    }

    private func place(of tablet: Tablet) -> Int? {
        let id = tablet.descriptor.id
        for place in tablets.indices where tablets[place].id == id { return place }
        return nil
    }

    /// Notes a read that a client was answered.
    mutating func served(_ keys: [KeyBytes], _ values: [[UInt8]?], at timestamp: Timestamp) {
        for (key, value) in zip(keys, values) {
            reads.append(ServedRead(key: key, timestamp: timestamp, value: value))
        }
    }

    /// Notes a page that a client was answered.
    mutating func served(
        _ range: KeyRange, _ page: ScanPage, reverse: Bool, at timestamp: Timestamp
    ) {
        var covered = range
        if let resumeKey = page.resumeKey {
            if reverse { covered.start = resumeKey + [0] } else { covered.end = resumeKey }
        }
        guard !covered.isEmpty else { return }
        scans.append(
            ServedScan(
                range: covered, timestamp: timestamp, reverse: reverse,
                digest: Self.digest(of: page)))
    }

    private static func digest(of page: ScanPage) -> UInt64 {
        var trace = Trace(observer: nil)
        page.forEachRow { row in
            trace.fold(row.key)
            trace.fold(row.value)
        }
        return trace.hash
    }

    /// A message is about to leave.
    mutating func sent(
        _ message: PeerMessage, by node: SimulatedNode, _ cluster: SimulatedCluster
    ) {
        // Who was given an old disk votes again; it is checked that this does not count.
        guard case .raft(let tablet, let raft, _) = message, raft.type == .voteResponse,
            !raft.reject, node.properDisk == nil
        else { return }
        let vote = Vote(tablet: tablet, replica: raft.from, term: raft.term)
        if let known = votes[vote], known != raft.to {
            cluster.fail("\(raft.from) votes for \(known) and \(raft.to) in term \(raft.term)")
        }
        votes[vote] = raft.to
    }

    /// Looks at a replica after a turn. Returns true when it serves in a term that is new.
    mutating func look(at tablet: Tablet, of node: SimulatedNode) -> (isNew: Bool, failure: String?)
    {
        guard let place = place(of: tablet) else { return (false, nil) }
        if let failure = lookAtApplied(tablet, of: node, place) { return (false, failure) }
        let term = tablet.group.term
        if tablet.group.isLeader {
            let known = tablets[place].leaders[term] ?? tablet.replica
            if known != tablet.replica {
                return (false, "\(known) and \(tablet.replica) both lead in term \(term)")
            }
            tablets[place].leaders[term] = known
        }
        guard tablet.isServing else { return (false, nil) }
        if term < tablets[place].servedTerm {
            return (
                false,
                "\(node.id) serves \(tablet.descriptor.id) in term \(term), after term "
                    + "\(tablets[place].servedTerm) was served"
            )
        }
        guard tablet.floor >= tablet.watermark else {
            return (false, "\(node.id) may write to \(tablet.descriptor.id) below its watermark")
        }
        let isNew = term > tablets[place].servedTerm
        tablets[place].servedTerm = term
        return (isNew, nil)
    }

    private mutating func lookAtApplied(
        _ tablet: Tablet, of node: SimulatedNode, _ place: Int
    ) -> String? {
        let id = tablet.descriptor.id
        if node.properDisk != nil { return nil }
        let last = seen[place][node.place]
        guard tablet.applied.index >= last else {
            return "\(node.id): applied index of \(id) fell from \(last) to \(tablet.applied.index)"
        }
        guard tablet.applied.index > last else { return nil }
        let log = node.log.written.replica(of: id)
        for index in last + 1...tablet.applied.index {
            guard let entry = log?.entry(at: index) else {
                return "\(node.id) applied entry \(index) of \(id), which its log does not hold"
            }
            if let failure = applied(entry, by: node, place) { return failure }
        }
        seen[place][node.place] = tablet.applied.index
        return nil
    }

    private mutating func applied(
        _ entry: Entry, by node: SimulatedNode, _ place: Int
    ) -> String? {
        let id = tablets[place].id
        let count = LogIndex(tablets[place].applied.count)
        let digest = Trace.digest(entry.payload)
        if entry.index <= count {
            let known = tablets[place].applied[Int(entry.index) - 1]
            return known.term == entry.term && known.digest == digest
                ? nil
                : "\(node.id) applied another entry at \(entry.index) of \(id): term "
                    + "\(entry.term) instead of \(known.term)"
        }
        guard entry.index == count + 1 else {
            return "\(node.id) applied entry \(entry.index) of \(id) before \(count + 1)"
        }
        var new = Applied(term: entry.term, digest: digest)
        defer { tablets[place].applied.append(new) }
        guard !entry.payload.isEmpty else { return nil }
        guard var command = try? TabletCommand(payload: entry.payload) else {
            return "entry \(entry.index) of \(id) cannot be read"
        }
        switch command.kind {
        case .firstPart:
            tablets[place].parts = [command.mutations]
            return nil
        case .part:
            tablets[place].parts.append(command.mutations)
            return nil
        case .assemble:
            guard let whole = try? Tablet.assembled(command, parts: tablets[place].parts) else {
                return "entry \(entry.index) of \(id) has parts that cannot be read"
            }
            command = whole
        case .dropParts: return nil
        case .write, .watermark, .collect: break
        }
        new.transaction = command.transaction
        new.timestamp = command.timestamp
        new.command = command
        guard command.kind == .write else { return look(at: command, place) }
        guard command.timestamp > tablets[place].watermark else {
            return "entry \(entry.index) of \(id) writes at or below the watermark"
        }
        guard command.timestamp > tablets[place].lastTimestamp else {
            return "entry \(entry.index) of \(id) is not later than the one before"
        }
        tablets[place].lastTimestamp = command.timestamp
        guard commitIndex[command.transaction] == nil else {
            return "\(command.transaction) was applied twice"
        }
        commitIndex[command.transaction] = (id, command.timestamp)
        return nil
    }

    /// Nothing goes that could be read at or above a watermark of an earlier entry.
    private mutating func look(at command: TabletCommand, _ place: Int) -> String? {
        let id = tablets[place].id
        switch command.kind {
        case .watermark where command.timestamp <= tablets[place].watermark:
            return "a watermark of \(id) sinks"
        case .watermark: tablets[place].watermark = command.timestamp
        case .collect where command.timestamp > tablets[place].watermark:
            return "\(id) drops versions above its watermark"
        default: break
        }
        return nil
    }
}

extension ClusterChecks {
    /// When a transaction committed, if any replica has applied it.
    func commitTimestamp(of transaction: TransactionID) -> Timestamp? {
        commitIndex[transaction]?.timestamp
    }

    /// How many terms had a leader.
    var leaderships: Int { tablets.reduce(0) { $0 + $1.leaders.count } }

    /// What is wrong at the end, when all replicas have applied everything.
    func finalFailure(_ nodes: [SimulatedNode]) -> String? {
        // All that was ever written, and what the stores hold of it.
        let reference = MemoryEngine()
        let collected = MemoryEngine()
        do {
            for tablet in tablets {
                let commands = tablet.applied.compactMap(\.command)
                try reference.apply(
                    commands.filter { $0.kind == .write }.map(\.mutations), applied: nil)
                let lists = commands.map {
                    Tablet.mutations(
                        of: $0, tablet: tablet.descriptor, replica: ReplicaID(1))
                }
                for list in lists { try collected.apply([list], applied: nil) }
            }
            for read in reads {
                let expected = try reference.newestVersion(of: read.key, at: read.timestamp)
                guard expected?.value == read.value else {
                    return "a read of \(read.key.keyDescription) at \(read.timestamp) gave "
                        + "\(read.value.map { "\($0)" } ?? "nothing"), but it holds "
                        + "\(expected?.value.map { "\($0)" } ?? "nothing") there"
                }
            }
            for scan in scans {
                var page = ScanPage()
                try reference.scan(
                    scan.range, at: scan.timestamp, limits: ScanLimits(bytes: .max),
                    reverse: scan.reverse, into: &page)
                guard Self.digest(of: page) == scan.digest else {
                    return "a scan of \(scan.range) at \(scan.timestamp) gave other rows than "
                        + "it holds there"
                }
            }
            let expected = try content(of: collected)
            for node in nodes where try content(of: node.engine) != expected {
                return "the store of \(node.id) differs from what was applied"
            }
        } catch {
            return "a store failed in the end: \(error)"
        }
        return nil
    }

    /// A digest of all versions of all keys that can be read.
    private func content(of engine: MemoryEngine) throws -> UInt64 {
        var trace = Trace(observer: nil)
        for tablet in tablets {
            var page = ScanPage()
            try engine.scan(
                tablet.descriptor.range, at: .max, limits: ScanLimits(bytes: .max), reverse: false,
                into: &page)
            for row in page.rows {
                let key = Array(row.key)
                trace.fold(key)
                let oldest = try engine.newestVersion(of: key, at: tablet.watermark)
                let above = try engine.versions(of: key, above: tablet.watermark, limit: .max)
                for version in above + (oldest.map { [$0] } ?? []) {
                    trace.fold(version.timestamp.rawValue)
                    trace.fold(version.transaction.rawValue)
                    trace.fold(version.value ?? [])
                }
            }
        }
        return trace.hash
    }
}

extension SimulatedCluster {
    /// Looks at all replicas of a node after one of its turns.
    func checkAfterTurn(_ node: SimulatedNode, _ core: NodeCore) {
        if node.properDisk != nil, core.tablets.contains(where: { $0.isServing }) {
            return fail("\(node.id) serves with an old copy of its disk")
        }
        if isClockWrong(node, core) {
            return fail("\(node.id) serves, but its clock is wrong")
        }
        for tablet in core.tablets {
            let (isNew, failure) = checks.look(at: tablet, of: node)
            if let failure { return fail(failure) }
            guard isNew else { continue }
            result.counts.leaderships += 1
            trace.note(
                .applied, at: now, UInt64(node.place), tablet.group.term,
                "\(node.id) serves \(tablet.descriptor.id) in term \(tablet.group.term)")
            // Whoever else believes in a lease of an earlier term would show it in a turn of now.
            for other in nodes where other.place != node.place { scheduleTurn(other, in: 0) }
        }
    }

    /// Whether a node serves although its clock has been further than the maximum offset from those
    /// of a majority for longer than what peers showed may count, and any lease last.
    private func isClockWrong(_ node: SimulatedNode, _ core: NodeCore) -> Bool {
        let limit = core.configuration.maximumClockOffset
        // Loops, because it is asked at the end of every turn of a debug build.
        var isServing = false
        for tablet in core.tablets where tablet.isServing { isServing = true }
        var agreeing = 0
        for other in nodes
        where (other.physicalError - node.physicalError).magnitude <= limit { agreeing += 1 }
        if !isServing || agreeing > nodes.count / 2 { node.agreedAt = now }
        return now > node.agreedAt + core.configuration.grantDuration + 50_000
    }
}
