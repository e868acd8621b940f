import SteleBase
import Testing

@testable import SteleRaft

/// A process that runs one replica, with a disk that loses what was not synced.
final class SimulatedMember {
    let id: ReplicaID
    /// What the disk holds.
    let storage = MemoryStorage()
    /// Nil while the process is down.
    var group: RaftGroup?
    var appendWork: [(due: Int, message: Message)] = []
    var applyWork: [(due: Int, message: Message)] = []
    /// A disk that is slow for a while.
    var isSlow = false

    /// The state machine at some index, in short.
    struct State {
        var index: LogIndex
        var term: Term
        var hash: UInt64
        var confState: ConfState
    }

    var state: State
    /// What of the state machine survives a crash.
    var durableState: State

    init(id: ReplicaID, snapshot: Snapshot?) {
        self.id = id
        state = State(index: 0, term: 0, hash: 0, confState: ConfState())
        if let snapshot {
            storage.restore(snapshot)
            storage.set(HardState(term: snapshot.term, commit: snapshot.index))
            state.index = snapshot.index
            state.term = snapshot.term
            state.confState = snapshot.confState
        }
        durableState = state
    }

    func start(seed: UInt64, guarded: Bool) {
        var configuration = RaftConfiguration(id: id)
        var random = SeededRandom(seed: seed)
        configuration.heartbeatTicks = 2
        configuration.applied = durableState.index
        configuration.asyncStorageWrites = true
        configuration.checkQuorum = guarded
        configuration.preVote = guarded
        configuration.maxInflightMessages = Int(random.uniform(1...8))
        configuration.maxBytesPerMessage = Int(random.uniform(1...400))
        // Else a small window would pile up proposals faster than it drains them.
        configuration.maxUncommittedBytes = 600
        configuration.maxCommittedBytesPerReady = Int(random.uniform(1...200))
        configuration.stepDownOnRemoval = random.oneIn(2)
        configuration.seed = random.next()
        state = durableState
        storage.set(state.confState)
        storage.unavailableThrough = 0
        group = RaftGroup(configuration, storage: storage)
    }

    func crash() {
        group = nil
        appendWork = []
        applyWork = []
    }
}

/// Members of one group on virtual time, over a network that loses, delays, duplicates and reorders.
///
/// Checks, at every step: at most one leader per term; logs that agree at a position are equal up
/// to it; all members apply the same entry at an index; a leader holds all that was ever committed;
/// a read is answered with an index that covers everything committed when it was asked for.
final class SimulatedGroup {
    private var random: SeededRandom
    private let members: [SimulatedMember]
    private var now = 0
    private var network: [(due: Int, order: UInt64, bytes: [UInt8])] = []
    private var isFaulty = true
    /// Whether pre-vote and the quorum check are on; without them leaders change more often.
    private let isGuarded: Bool
    private var isolated: [ReplicaID] = []
    private var proposals: UInt64 = 0

    private var leaders: [Term: ReplicaID] = [:]
    private var payloads: [LogPosition: ArraySlice<UInt8>] = [:]
    /// What was applied at each index, by whoever was first.
    private var applied: [LogIndex: (term: Term, hash: UInt64)] = [:]
    private var highestCommit = LogPosition(index: 10, term: 5)
    private var reads: [UInt64: LogIndex] = [:]
    private var answeredReads = 0

    init(seed: UInt64) {
        random = SeededRandom(seed: seed)
        isGuarded = random.oneIn(2)
        let voters = (1...3).map { ReplicaID($0) }
        let snapshot = Snapshot(index: 10, term: 5, confState: ConfState(voters: voters))
        members = (1...5).map { number in
            SimulatedMember(
                id: ReplicaID(number), snapshot: number <= 3 ? snapshot : nil)
        }
        for member in members { member.start(seed: random.next(), guarded: isGuarded) }
    }

    var committedEntries: Int { applied.count }
    /// How many terms had a leader.
    var terms: Int { leaders.count }

    // MARK: Time

    func run(steps: Int) throws {
        for _ in 0..<steps { try step() }
    }

    /// Ends all faults, and expects that whatever is proposed then is applied by every member, and
    /// that a read is answered.
    func heal() throws {
        isFaulty = false
        let readsBefore = answeredReads
        isolated = []
        for member in members {
            if member.group == nil { member.start(seed: random.next(), guarded: isGuarded) }
            member.group?.votesAllowedFor = .anyone
            member.storage.unavailableThrough = 0
            member.group?.entriesAvailable()
        }
        let target = proposals + 5
        for _ in 0..<6_000 {
            try step()
            if proposals < target || now % 50 == 0 { propose() }
            // A removed leader may not have heard that it was succeeded.
            let leaders = members.compactMap(\.group).filter(\.isLeader)
            guard let leader = leaders.max(by: { $0.term < $1.term }) else { continue }
            let part = members.filter { leader.progress(of: $0.id) != nil }
            let isEven = part.allSatisfy { $0.state.index == leader.lastIndex }
            if isEven {
                verify(
                    part.allSatisfy { $0.group?.membership == leader.membership },
                    "members that applied the same entries disagree on who is a member")
            }
            let isDone = isEven && leader.hasCommittedInTerm && proposals >= target
            if isDone, answeredReads > readsBefore { return }
        }
        let states = members.map { member -> String in
            guard let group = member.group else { return "\(member.id) is down" }
            return "\(member.id) \(group.role) term \(group.term) log \(group.lastIndex)"
                + " commit \(group.committed) applied \(member.state.index)"
                + " \(group.membership) \(group.progress.map(\.description))"
        }
        Issue.record("no progress after healing: \(states.joined(separator: "\n"))")
    }

    private func step() throws {
        now += 1
        if isFaulty { injectFaults() }
        try deliver()
        for member in members {
            guard let group = member.group else { continue }
            if now % 3 == 0 { group.tick() }
            workOnDisk(member)
            handleReady(member)
            check(member)
        }
        if random.oneIn(4), isFaulty { propose() }
        if random.oneIn(100), isFaulty { proposeMembership() }
        if random.oneIn(40) { read() }
    }

    private func injectFaults() {
        if random.oneIn(150) { pick().crash() }
        if random.oneIn(200) { members.first { $0.group?.isLeader == true }?.crash() }
        for member in members where random.oneIn(100) { member.isSlow.toggle() }
        for member in members where member.group == nil && random.oneIn(60) {
            member.start(seed: random.next(), guarded: isGuarded)
        }
        if random.oneIn(150) {
            isolated = [pick().id, pick().id]
            if random.oneIn(2), let leader = members.first(where: { $0.group?.isLeader == true }) {
                isolated = [leader.id]
            }
        }
        if random.oneIn(80) { isolated = [] }
        if random.oneIn(150) { pick().group?.votesAllowedFor = .only(pick().id) }
        if random.oneIn(150) { pick().group?.votesAllowedFor = .nobody }
        for member in members where random.oneIn(60) { member.group?.votesAllowedFor = .anyone }
        if random.oneIn(100) { pick().group?.expireElectionTimeout(campaignAfter: 2) }
        if random.oneIn(200) { pick().group?.transferLeader(to: pick().id) }
        if random.oneIn(200) { pick().group?.forgetLeader() }
        if random.oneIn(100) { pick().group?.reportUnreachable(pick().id) }
        if random.oneIn(400) { pick().group?.reportSnapshot(pick().id, ok: random.oneIn(2)) }
        if random.oneIn(60) {
            let member = pick()
            member.durableState = member.state
            if random.oneIn(2) { _ = member.storage.compact(through: member.state.index) }
        }
        let member = pick()
        if random.oneIn(40) {
            member.storage.unavailableThrough = member.storage.lastIndex
        } else if random.oneIn(3), member.storage.unavailableThrough > 0 {
            member.storage.unavailableThrough = 0
            member.group?.entriesAvailable()
        }
    }

    private func pick() -> SimulatedMember { members[Int(random.below(UInt64(members.count)))] }

    private func propose() {
        for member in members where member.group?.isLeader == true || random.oneIn(10) {
            proposals += 1
            var writer = ByteWriter()
            writer.write(proposals)
            writer.bytes += [UInt8](repeating: 7, count: Int(random.below(40)))
            _ = try? member.group?.propose([writer.bytes[...]])
        }
    }

    private func proposeMembership() {
        let types: [ConfChangeType] = [.addVoter, .addVoter, .addLearner, .remove]
        var changes: [MemberChange] = []
        for _ in 0..<random.below(3) {
            changes.append(MemberChange(types[Int(random.below(4))], pick().id))
        }
        let transitions: [ConfChangeTransition] = [.auto, .jointImplicit, .jointExplicit]
        let transition = transitions[Int(random.below(3))]
        for group in members.compactMap(\.group) where group.isLeader {
            // One of two voters that removes itself may take entries along which make it refuse the
            // other its vote, while it cannot campaign any more. Such a leader has to hand over.
            let isOneOfTwo = group.membership.voters.incoming.voters.count <= 2
            let allowed = changes.filter { !isOneOfTwo || $0.replica != group.id }
            _ = try? group.proposeConfChange(ConfChange(allowed, transition: transition))
        }
    }

    private func read() {
        let key = random.next()
        guard let group = pick().group else { return }
        reads[key] = highestCommit.index
        var writer = ByteWriter()
        writer.write(key)
        group.readIndex(context: writer.bytes[...])
    }

    // MARK: Network and disk

    private func transmit(_ message: Message) {
        if isFaulty {
            let isCut = isolated.contains(message.from) != isolated.contains(message.to)
            if isCut || random.oneIn(15) {
                reportSnapshot(message, ok: false)
                return
            }
        }
        var writer = ByteWriter()
        message.encode(into: &writer)
        for _ in 0..<(isFaulty && random.oneIn(15) ? 2 : 1) {
            let isSlow = isFaulty && random.oneIn(10)
            let delay = Int(random.uniform(1...(isSlow ? 60 : 4)))
            network.append((now + delay, random.next(), writer.bytes))
        }
    }

    private func deliver() throws {
        let due = network.filter { $0.due <= now }
            .sorted { ($0.due, $0.order) < ($1.due, $1.order) }
        network.removeAll { $0.due <= now }
        for packet in due {
            var reader = ByteReader(packet.bytes)
            let message = try Message(from: &reader)
            try reader.expectEnd()
            let receiver = members[Int(message.to.rawValue) - 1].group
            try? receiver?.step(message)
            reportSnapshot(message, ok: receiver != nil)
        }
    }

    /// What became of a snapshot is for the sender's transport to find out.
    private func reportSnapshot(_ message: Message, ok: Bool) {
        guard message.type == .snapshot else { return }
        members[Int(message.from.rawValue) - 1].group?.reportSnapshot(message.to, ok: ok)
    }

    private func handleReady(_ member: SimulatedMember) {
        guard let group = member.group, group.hasReady else { return }
        let ready = group.ready()
        for message in ready.messages {
            switch message.to {
            case .appendThread: member.appendWork.append((now + delay(member), message))
            case .applyThread: member.applyWork.append((now + delay(member), message))
            default: transmit(message)
            }
        }
        for answer in ready.readStates {
            var reader = ByteReader(answer.context)
            guard let key = try? reader.read(UInt64.self), let asked = reads[key] else { continue }
            verify(answer.index >= asked, "a read at \(answer.index) misses commit \(asked)")
            answeredReads += 1
        }
    }

    private func delay(_ member: SimulatedMember) -> Int {
        Int(random.below(isFaulty && member.isSlow ? 60 : 4))
    }

    private func workOnDisk(_ member: SimulatedMember) {
        while let work = member.appendWork.first, work.due <= now {
            member.appendWork.removeFirst()
            append(work.message, at: member)
            respond(work.message, at: member)
        }
        while let work = member.applyWork.first, work.due <= now {
            member.applyWork.removeFirst()
            for entry in work.message.entries { apply(entry, at: member) }
            respond(work.message, at: member)
        }
    }

    private func respond(_ message: Message, at member: SimulatedMember) {
        for response in message.responses {
            if response.to == member.id {
                try? member.group?.step(response)
            } else {
                transmit(response)
            }
        }
    }

    private func append(_ message: Message, at member: SimulatedMember) {
        if message.term > 0 {
            member.storage.set(
                HardState(term: message.term, vote: message.vote, commit: message.commit))
        }
        if let snapshot = message.snapshot {
            member.storage.restore(snapshot)
            var reader = ByteReader(snapshot.data)
            let hash = (try? reader.read(UInt64.self)) ?? 0
            member.state = SimulatedMember.State(
                index: snapshot.index, term: snapshot.term, hash: hash,
                confState: snapshot.confState)
            member.durableState = member.state
            verify(
                applied[snapshot.index].map { $0.hash == hash } ?? true,
                "a snapshot at \(snapshot.index) holds something else than was applied")
        }
        for entry in message.entries {
            let known = payloads[entry.position]
            verify(known == nil || known == entry.payload, "logs differ at \(entry.position)")
            payloads[entry.position] = entry.payload
        }
        member.storage.append(message.entries)
    }

    private func apply(_ entry: Entry, at member: SimulatedMember) {
        // A snapshot may have overtaken entries that were on their way to the state machine.
        guard entry.index > member.state.index else { return }
        verify(entry.index == member.state.index + 1, "an entry was left out")
        member.state.index = entry.index
        member.state.term = entry.term
        for byte in entry.payload {
            member.state.hash = (member.state.hash ^ UInt64(byte)) &* 0x100_0000_01B3
        }
        if entry.type != .normal, let change = try? ConfChange(decoding: entry),
            let group = member.group
        {
            member.state.confState = group.applyConfChange(change, at: entry.index)
        }
        if let first = applied[entry.index] {
            verify(
                first.term == entry.term && first.hash == member.state.hash,
                "different entries were applied at \(entry.index)")
        } else {
            applied[entry.index] = (entry.term, member.state.hash)
        }
        var writer = ByteWriter()
        writer.write(member.state.hash)
        member.storage.latestSnapshot = Snapshot(
            index: member.state.index, term: member.state.term,
            confState: member.state.confState, data: writer.bytes[...])
    }

    // MARK: Checks

    private func verify(_ condition: Bool, _ message: @autoclosure () -> String) {
        if !condition { Issue.record("step \(now): \(message())") }
    }

    private func check(_ member: SimulatedMember) {
        guard let group = member.group else { return }
        if group.isLeader {
            let first = leaders[group.term]
            verify(first == nil || first == group.id, "two leaders in term \(group.term)")
            if first == nil {
                leaders[group.term] = group.id
                let own = group.termOfEntry(at: highestCommit.index)
                verify(
                    own == highestCommit.term || group.firstIndex > highestCommit.index + 1,
                    "the leader of term \(group.term) lacks \(highestCommit)")
            }
        }
        if group.committed > highestCommit.index,
            let term = group.termOfEntry(at: group.committed)
        {
            highestCommit = LogPosition(index: group.committed, term: term)
        }
    }
}
