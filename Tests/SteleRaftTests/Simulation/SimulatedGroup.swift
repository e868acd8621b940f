import SteleBase

@testable import SteleRaft

/// Members of one group on virtual time, over a network that loses, delays, duplicates and reorders,
/// with disks that lose what was not synced, under a nemesis that cuts, pauses and kills.
///
/// Checked at every step: at most one leader a term; logs that agree at a position are equal up to
/// it; all members apply the same entry at an index and then have the same membership; a leader
/// holds all that was ever committed; at most one change of the membership is uncommitted; what is
/// promised to others is durable; term and commit index never fall; a read is answered with an index
/// that covers everything committed when it was asked for. At the end all faults stop, and the group
/// has to commit within a bounded time.
///
/// Everything follows from the seed: the same seed gives the same trace hash.
final class SimulatedGroup {
    struct Violation: Error, CustomStringConvertible {
        let description: String
    }

    var random: SeededRandom
    let swarm: Swarm
    let members: [SimulatedMember]
    var now = 0
    var events = EventQueue()
    /// A hash of everything that happened.
    private(set) var trace: UInt64 = 0xCBF2_9CE4_8422_2325
    var isFaulty = true

    // The network.
    var packets: [Message] = []
    var freePackets: [Int] = []
    /// For each member, a bit for each other one that its messages do not reach.
    var cut: [UInt64]

    // What is known of all members together.
    var leaders: [Term: ReplicaID] = [:]
    var known: [UInt64: KnownEntry] = [:]
    /// What was applied at each index from `base` on, by whoever was first.
    var applied: [AppliedEntry] = []
    var highestCommit: LogPosition
    var reads: [UInt64: LogIndex] = [:]
    var answeredReads = 0
    var proposals: UInt64 = 0
    /// No client asks for anything before that.
    var clientsRestUntil = 0
    /// How often a leader fell asleep.
    var sleeps = 0
    /// Messages that were handed to the network.
    var transmissions = 0
    /// How long the group took to commit after the last fault, in election timeouts.
    private(set) var recoveryTimeouts = 0

    /// The index that all voters start from.
    static let base: LogIndex = 10

    /// What identifies an entry, and the term of the one before it.
    struct KnownEntry {
        var payload: UInt64
        var previousTerm: Term
    }

    struct AppliedEntry {
        var term: Term
        var hash: UInt64
        var confState: ConfState
    }

    init(seed: UInt64) {
        random = SeededRandom(seed: seed)
        swarm = Swarm(&random)
        let voters = (1...UInt64(swarm.voters)).map { ReplicaID($0) }
        let snapshot = Snapshot(
            index: SimulatedGroup.base, term: 5, confState: ConfState(voters: voters))
        let starters = UInt64(swarm.voters)
        members = (1...UInt64(swarm.members)).map { number in
            SimulatedMember(id: ReplicaID(number), snapshot: number <= starters ? snapshot : nil)
        }
        cut = Array(repeating: 0, count: swarm.members)
        for member in members {
            member.heard = Array(repeating: 0, count: swarm.members)
            member.lives = member.heard
        }
        highestCommit = LogPosition(index: SimulatedGroup.base, term: 5)
        for slot in members.indices {
            start(slot)
            events.add(.tick, at: Int(random.below(UInt64(Swarm.tick))), member: slot)
        }
        events.add(.client, at: 0)
        events.add(.nemesis, at: 1_000)
    }

    var committedEntries: Int { applied.count }
    /// How many terms had a leader.
    var terms: Int { leaders.count }

    func note(_ value: UInt64) { trace = (trace ^ value) &* 0x100_0000_01B3 }

    /// Chance: never where `odds` is 0.
    func happens(_ odds: UInt64) -> Bool { odds > 0 && random.oneIn(odds) }

    func pick() -> Int { Int(random.below(UInt64(members.count))) }

    // MARK: Time

    /// Runs with faults, then without them until everybody has caught up.
    func run() throws {
        while now < swarm.duration { try step() }
        isFaulty = false
        cut = Array(repeating: 0, count: members.count)
        for slot in members.indices { heal(slot) }
        clientsRestUntil = 0
        try recover()
        try rest()
    }

    func step() throws {
        guard let event = events.popFirst() else { throw Violation(description: "time stopped") }
        now = event.time
        switch event.kind {
        case .client:
            events.add(.client, at: now + Int(random.uniform(50...500)))
            if now >= clientsRestUntil { act() }
            for slot in members.indices { try settle(slot) }
            return
        case .nemesis:
            events.add(.nemesis, at: now + Int(random.uniform(200...1_500)))
            if isFaulty { injectFault() }
            for slot in members.indices { try settle(slot) }
            return
        default: break
        }
        let member = members[event.member]
        if member.pausedUntil > now, event.kind != .start {
            events.add(
                event.kind, at: member.pausedUntil, member: event.member, detail: event.detail)
            return
        }
        switch event.kind {
        case .tick:
            events.add(.tick, at: now + Swarm.tick, member: event.member)
            member.group?.tick()
            watchNodes(event.member)
        case .packet: deliver(event.detail)
        case .disk: if event.detail == member.life { try workOnDisk(event.member) }
        case .apply: if event.detail == member.life { try workOnStateMachine(event.member) }
        case .start: if member.group == nil { start(event.member) }
        case .client, .nemesis: break
        }
        try settle(event.member)
    }

    /// Carries out and checks what a member does after something happened to it.
    private func settle(_ slot: Int) throws {
        let member = members[slot]
        while let group = member.group, group.hasReady, member.openReady == nil {
            try check(slot)
            try takeReady(slot)
        }
        if member.openReady != nil { try check(slot) }
        try checkSleep(slot)
    }

    // MARK: The end

    private func heal(_ slot: Int) {
        let member = members[slot]
        member.pausedUntil = 0
        member.slowDiskUntil = 0
        member.slowApplyUntil = 0
        member.sendsOldSnapshots = false
        member.storage.unavailableThrough = 0
        if member.group == nil { start(slot) }
        member.group?.votesAllowedFor = .anyone
        member.group?.entriesAvailable()
    }

    /// At most so many election timeouts, of the longest kind, until everybody has caught up.
    static let recoveryBound = 30

    private func recover() throws {
        let timeout = 2 * swarm.electionTicks * Swarm.tick
        let (start, readsBefore) = (now, answeredReads)
        let target = highestCommit.index + 3
        var nextLook = now
        while now < start + SimulatedGroup.recoveryBound * timeout {
            try step()
            guard now >= nextLook else { continue }
            nextLook = now + 200
            shutDownFormerMembers()
            replaceFormerLeader()
            if now > start + SimulatedGroup.recoveryBound / 2 * timeout { informSuccessors() }
            if try hasRecovered(target: target), answeredReads > readsBefore {
                recoveryTimeouts = (now - start + timeout - 1) / timeout
                return
            }
        }
        throw Violation(description: "no progress after healing:\n\(describeMembers())")
    }

    func describeMembers() -> String {
        let states = members.map { member -> String in
            guard let group = member.group else { return "\(member.id) is down" }
            return "\(member.id) \(group.role)\(group.isHibernated ? ", asleep," : "")"
                + " term \(group.term) log \(group.lastIndex)"
                + " commit \(group.committed) applied \(member.state.index)"
                + " \(group.membership) \(group.progress.map(\.description))"
        }
        return states.joined(separator: "\n")
    }

    private func hasRecovered(target: LogIndex) throws -> Bool {
        // A removed leader may not have heard that it was succeeded.
        let leaders = members.compactMap(\.group).filter(\.isLeader)
        guard let leader = leaders.max(by: { $0.term < $1.term }) else { return false }
        let part = members.filter { leader.progress(of: $0.id) != nil }
        guard part.allSatisfy({ $0.state.index == leader.lastIndex }) else { return false }
        try verify(
            part.allSatisfy { $0.group?.membership == leader.membership },
            "members that applied the same entries disagree on who is a member")
        try verify(leader.core.uncommittedBytes == 0, "bytes stay uncommitted in an idle group")
        // What is left by itself has to be.
        if leader.membership.autoLeave { return false }
        return leader.hasCommittedInTerm && leader.committed >= target
    }

    /// Replicas that are no members any more are removed by their owner, once all members know.
    func shutDownFormerMembers() {
        guard let newest = members.max(by: { $0.state.index < $1.state.index }) else { return }
        let known = members.filter { newest.state.confState.contains($0.id) }
        for slot in members.indices {
            let member = members[slot]
            let isNeeded = known.contains { knower in
                knower.id == member.id || knower.state.confState.contains(member.id)
                    || knower.state.confState.voters.isEmpty
            }
            if isNeeded, member.group == nil { start(slot) }
            if !isNeeded, member.group != nil, member !== newest { member.crash() }
        }
    }

    /// A leader that is no member any more takes no proposals; its owner makes it hand over.
    func replaceFormerLeader() {
        for group in members.compactMap(\.group) where group.isLeader {
            let voters = group.membership.voters
            if !voters.contains(group.id) { group.transferLeader(to: voters.ids[0]) }
        }
    }

    /// A leader that steps down when it is removed may be the last to have told anyone of its
    /// removal, and only others that are removed too. These then refuse their successors the votes
    /// which those still believe to need. It takes an owner to end that: it hands the state of who
    /// knows to those who do not.
    private func informSuccessors() {
        guard swarm.stepDownOnRemoval,
            let newest = members.max(by: { $0.state.index < $1.state.index }),
            let group = newest.group, !group.membership.voters.contains(newest.id)
        else { return }
        let successors = members.filter { group.membership.voters.contains($0.id) }
        guard successors.allSatisfy({ $0.state.index < newest.state.index }) else { return }
        for successor in successors {
            try? successor.group?.step(
                Message(
                    type: .snapshot, from: newest.id, to: successor.id, term: group.term,
                    snapshot: newest.currentSnapshot()))
        }
    }

    func start(_ slot: Int) {
        let member = members[slot]
        member.start(
            swarm.configuration(
                member.id, applied: member.durableState.index, seed: random.next()))
    }
}

extension ConfState {
    func contains(_ id: ReplicaID) -> Bool {
        voters.contains(id) || votersOutgoing.contains(id) || learners.contains(id)
    }
}
