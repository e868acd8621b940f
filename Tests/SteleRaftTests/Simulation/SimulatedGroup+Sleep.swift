import SteleBase

@testable import SteleRaft

/// Groups that fall asleep: what their owners have to know, and what must come of it.
extension SimulatedGroup {
    /// Ticks without a sign of a node after which it counts as gone.
    private static let silence = 3

    /// One member's node hears of the others, by signs of life that get lost like all messages, and
    /// wakes its replica where somebody may be gone on whom its sleep depends.
    func watchNodes(_ slot: Int) {
        let own = members[slot]
        let group = own.group
        let needed = group.map { $0.isLeader ? $0.progress.map(\.id) : [$0.lead] } ?? []
        for (other, member) in members.enumerated() where member !== own {
            let isHeard =
                member.group != nil && member.pausedUntil <= now
                && cut[other] & (1 << UInt64(slot)) == 0 && !(isFaulty && happens(swarm.loss))
            var isDoubtful = false
            if isHeard {
                // A member that restarted knows of no leader, and a learner would never ask.
                isDoubtful = own.lives[other] != member.life
                own.heard[other] = now
                own.lives[other] = member.life
            }
            if now - own.heard[other] > SimulatedGroup.silence * Swarm.tick { isDoubtful = true }
            if isDoubtful, needed.contains(member.id) { group?.wake() }
        }
    }

    /// All that others hold is what a leader that falls asleep holds.
    func checkSleep(_ slot: Int) throws {
        guard let group = members[slot].group, group.isHibernated != members[slot].seenAsleep
        else { return }
        members[slot].seenAsleep = group.isHibernated
        note(group.isHibernated ? 0x51EE9 : 0xA3AE)
        guard group.isHibernated, group.isLeader, leaders.keys.max() == group.term else { return }
        sleeps += 1
        for progress in group.progress {
            let storage = members[Int(progress.id.rawValue) - 1].storage
            try verify(
                storage.lastIndex == group.lastIndex
                    && (try? storage.term(at: storage.lastIndex)) == group.lastPosition.term,
                "\(group.id) sleeps at \(group.lastPosition), \(progress.id) ends elsewhere")
        }
    }

    /// After everything: without clients all members fall asleep and stay so; when one restarts, the
    /// group takes it in and falls asleep again; when the leader dies, the others replace it.
    func rest() throws {
        guard swarm.hibernationTicks > 0 else { return }
        clientsRestUntil = .max
        try waitForSleep("an idle group")
        let sent = transmissions
        let quiet = now + 20 * Swarm.tick
        while now < quiet {
            try step()
            shutDownFormerMembers()
        }
        try verify(transmissions == sent, "a sleeping group sends messages:\n\(describeMembers())")

        guard let leader = members.firstIndex(where: { $0.group?.isLeader == true }),
            let group = members[leader].group, survivesAnyone(group.membership.voters)
        else { return }
        let others = members.indices.filter { $0 != leader && isMember($0, of: group) }
        restart(others[Int(random.below(UInt64(others.count)))])
        try waitForSleep("a group with a member that restarted")

        guard let last = members.firstIndex(where: { $0.group?.isLeader == true }) else { return }
        let term = members[last].group?.term ?? 0
        members[last].crash()
        try wait("a sleeping group whose leader died finds no other") {
            members.contains { $0.group?.isLeader == true && ($0.group?.term ?? 0) > term }
        }
    }

    /// Whether a quorum is left when any one voter dies.
    private func survivesAnyone(_ voters: JointQuorum) -> Bool {
        voters.incoming.voters.count > 2
            && (!voters.isJoint || voters.outgoing.voters.count > 2)
    }

    private func knowsWhoRestarted(_ member: SimulatedMember) -> Bool {
        members.indices.allSatisfy {
            members[$0] === member || members[$0].group == nil
                || member.lives[$0] == members[$0].life
        }
    }

    private func isMember(_ slot: Int, of group: RaftGroup) -> Bool {
        group.progress(of: members[slot].id) != nil
    }

    private func restart(_ slot: Int) {
        members[slot].crash()
        start(slot)
    }

    private func waitForSleep(_ who: String) throws {
        try wait("\(who) does not fall asleep") {
            shutDownFormerMembers()
            replaceFormerLeader()
            guard let leader = members.compactMap(\.group).first(where: \.isLeader) else {
                return false
            }
            // What is still under way would wake whom it reaches.
            guard packets.count == freePackets.count,
                members.allSatisfy({ $0.openReady == nil && $0.appendWork.isEmpty }),
                members.allSatisfy(knowsWhoRestarted)
            else { return false }
            return members.allSatisfy {
                !leader.membership.confState.contains($0.id) || $0.group?.isHibernated == true
            } && leader.isHibernated
        }
    }

    private func wait(_ failure: String, until isDone: () throws -> Bool) throws {
        let timeout = 2 * swarm.electionTicks * Swarm.tick
        let end = now + SimulatedGroup.recoveryBound * timeout
        while now < end {
            try step()
            if try isDone() { return }
        }
        throw Violation(description: "\(failure):\n\(describeMembers())")
    }
}
