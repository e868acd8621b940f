import CAllocationHooks
import SteleBase
import SteleRaft

/// Consensus alone: three members in memory without network and disk, and idle groups.
///
/// Figures of other cores belong beside these only with their source; no published one of etcd's
/// core alone, without network and disk, is known here, so there is none.
func raftSuite() -> [Row] {
    [idleGroups(asleep: true), idleGroups(asleep: false)] + [1, 16, 256].map(commits)
        + [idleTick(asleep: true), idleTick(asleep: false), heartbeat()]
        + [Row("the same of etcd's raft core", "no published figure known")]
}

/// One round: the leader takes a batch, both followers get and acknowledge it, everybody applies it.
private func commits(batch: Int) -> Row {
    let trio = Trio()
    let payload = ArraySlice([UInt8](repeating: 7, count: 128))
    let payloads = Array(repeating: payload, count: batch)
    let cost = measure(count: max(40, 20_000 / batch)) { _ in trio.commit(payloads) }
    let entries = Double(batch)
    let each = cost.nanoseconds / entries
    let allocations = (cost.allocations ?? 0) / entries
    return Row(
        "commit entries of 128 bytes in batches of \(batch)",
        "\(short(each)) ns, \(allocations == 0 ? "0" : short(allocations)) allocations an entry",
        other: "\(short(1e9 / each)) entries/s")
}

private let groupCount = 10_000

/// Followers of an idle leader. The log is their owner's, so they share one.
private func makeGroups(asleep: Bool = false) -> [RaftGroup] {
    let storage = BenchmarkStorage()
    return (0..<groupCount).map { number in
        let group = RaftGroup(
            RaftConfiguration(
                id: ReplicaID(2), electionTicks: 10, applied: 10, asyncStorageWrites: true,
                checkQuorum: true, preVote: true, hibernationTicks: 3, seed: UInt64(number)),
            storage: storage)
        // One that names the end of the log lets followers sleep.
        let heartbeat = Message(
            type: .heartbeat, from: ReplicaID(1), to: ReplicaID(2), term: 6,
            logTerm: asleep ? 5 : 0, index: asleep ? 10 : 0, commit: 10)
        try? group.step(heartbeat)
        var ready = Ready()
        group.ready(into: &ready)
        for _ in 0..<2 { group.tick() }
        invariant(group.isHibernated == asleep, "hibernation is not as it should be")
        return group
    }
}

/// What a group takes that has nothing to do, without the log.
private func idleGroups(asleep: Bool) -> Row {
    let before = stele_heap_bytes_in_use()
    let groups = makeGroups(asleep: asleep)
    let bytes = Double(stele_heap_bytes_in_use() - before) / Double(groupCount)
    keep(groups)
    return Row(
        "memory of one of \(groupCount) \(asleep ? "hibernated" : "idle") groups",
        "\(short(bytes)) bytes",
        ratio: (1_024 / bytes, 1))
}

/// A node that keeps a list of its awake groups does not even call the others.
private func idleTick(asleep: Bool) -> Row {
    let groups = makeGroups(asleep: asleep)
    let cost = measure(count: groupCount, rounds: asleep ? 20 : 4) { groups[$0].tick() }
    return Row("tick of \(asleep ? "a hibernated" : "an idle") follower", cost.description)
}

private func heartbeat() -> Row {
    let groups = makeGroups()
    let heartbeat = Message(
        type: .heartbeat, from: ReplicaID(1), to: ReplicaID(2), term: 6, commit: 10)
    var ready = Ready()
    let cost = measure(count: groupCount) { index in
        try? groups[index].step(heartbeat)
        groups[index].ready(into: &ready)
    }
    return Row("heartbeat taken and answered", cost.description)
}

/// Three members that hand each other their messages directly.
private final class Trio {
    private let groups: [RaftGroup]
    private let storages: [BenchmarkStorage]
    private var readies: [Ready]
    private var answers: [Message] = []

    init() {
        let storages = (0..<3).map { _ in BenchmarkStorage() }
        groups = storages.enumerated().map { number, storage in
            RaftGroup(
                RaftConfiguration(
                    id: ReplicaID(UInt64(number + 1)), applied: 10, asyncStorageWrites: true,
                    checkQuorum: true, preVote: true, seed: UInt64(number)),
                storage: storage)
        }
        self.storages = storages
        readies = Array(repeating: Ready(), count: 3)
        groups[0].campaign()
        settle()
        invariant(groups[0].isLeader, "nobody leads")
    }

    func commit(_ payloads: [ArraySlice<UInt8>]) {
        _ = try? groups[0].propose(payloads)
        settle()
        invariant(groups[2].applied == groups[0].lastIndex, "not everything was committed")
    }

    private func settle() {
        var isBusy = true
        while isBusy {
            isBusy = false
            for member in groups.indices where groups[member].hasReady {
                isBusy = true
                groups[member].ready(into: &readies[member])
                for index in readies[member].messages.indices {
                    carryOut(readies[member].messages[index], at: member)
                }
            }
        }
    }

    private func carryOut(_ message: Message, at member: Int) {
        switch message.to {
        case .appendThread: storages[member].append(message.entries)
        case .applyThread: break
        default: return deliver(message)
        }
        for response in message.responses { deliver(response) }
        storages[member].compact(behind: groups[member].applied)
    }

    private func deliver(_ message: Message) {
        try? groups[Int(message.to.rawValue) - 1].step(message)
    }
}

/// A log in memory from index 10, term 5 on, of which it keeps the last thousand entries or so.
private final class BenchmarkStorage: RaftStorage {
    private var start = LogPosition(index: 10, term: 5)
    private var log: [Entry] = []

    var firstIndex: LogIndex { start.index + 1 }
    var lastIndex: LogIndex { start.index + UInt64(log.count) }

    func initialState() -> (HardState, ConfState) {
        let voters = (1...3).map { ReplicaID($0) }
        return (HardState(term: 5, commit: 10), ConfState(voters: voters))
    }

    func entries(
        from: LogIndex, upTo: LogIndex, maxBytes: Int, into buffer: inout [Entry]
    ) throws(RaftStorageError) {
        if from < firstIndex { throw .compacted }
        buffer += log[Int(from - firstIndex)..<Int(upTo - firstIndex)]
    }

    func term(at index: LogIndex) throws(RaftStorageError) -> Term {
        if index == start.index { return start.term }
        if index < firstIndex { throw .compacted }
        if index > lastIndex { throw .unavailable }
        return log[Int(index - firstIndex)].term
    }

    func snapshot() throws(RaftStorageError) -> Snapshot { throw .snapshotTemporarilyUnavailable }

    func append(_ added: [Entry]) {
        guard let first = added.first else { return }
        log.removeLast(Int(lastIndex + 1 - first.index))
        log.append(contentsOf: added)
    }

    func compact(behind applied: LogIndex) {
        guard log.count > 2_048, applied > firstIndex + 1_024 else { return }
        let count = Int(applied - firstIndex) - 512
        start = log[count - 1].position
        log.removeFirst(count)
    }
}
