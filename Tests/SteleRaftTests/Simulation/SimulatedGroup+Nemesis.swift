import SteleBase

@testable import SteleRaft

/// Clients, operators and everything that goes wrong.
extension SimulatedGroup {
    // MARK: Clients

    func act() {
        for member in members {
            guard let group = member.group, member.pausedUntil <= now else { continue }
            guard group.isLeader || random.oneIn(16) else { continue }
            proposals += 1
            var writer = ByteWriter()
            writer.write(proposals)
            _ = try? group.propose([writer.bytes[...]])
        }
        if random.oneIn(4) || !isFaulty { read() }
        if isFaulty, swarm.churn > 0, random.oneIn(UInt64(max(1, swarm.churn / 275))) {
            proposeMembership()
        }
    }

    private func read() {
        guard let group = members[pick()].group else { return }
        let key = random.next()
        reads[key] = highestCommit.index
        var writer = ByteWriter()
        writer.write(key)
        group.readIndex(context: writer.bytes[...])
    }

    private func proposeMembership() {
        let changes = random.oneIn(2) ? replacement() : someChanges()
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

    private func someChanges() -> [MemberChange] {
        let types: [ConfChangeType] = [.addVoter, .addVoter, .addLearner, .remove]
        var changes: [MemberChange] = []
        for _ in 0..<random.below(4) {
            let type = types[Int(random.below(4))]
            changes.append(MemberChange(type, members[pick()].id))
        }
        return changes
    }

    /// Makes voters of some members, and removes all others.
    private func replacement() -> [MemberChange] {
        let voters = random.uniform(1...(1 << UInt64(members.count)) - 1)
        return members.indices.map { slot in
            let stays = voters & (1 << UInt64(slot)) != 0
            return MemberChange(stays ? .addVoter : .remove, members[slot].id)
        }
    }

    // MARK: Faults at random

    func injectFault() {
        if random.oneIn(3) { clearCuts() }
        if swarm.hibernationTicks > 0, now >= clientsRestUntil, random.oneIn(8) {
            clientsRestUntil = now + Int(random.uniform(5_000...15_000))
        }
        let slot = pick()
        let member = members[slot]
        switch random.below(12) {
        case 0, 1: if swarm.crashes { crash(random.oneIn(2) ? leaderSlot ?? slot : slot) }
        case 2: if swarm.pauses { pause(random.oneIn(2) ? leaderSlot ?? slot : slot) }
        case 3, 4: if swarm.partitions { partition() }
        case 5: if swarm.slowDisks { member.slowDiskUntil = now + Int(random.below(10_000)) }
        case 6, 7: if swarm.compaction { compact(slot) }
        case 8: if swarm.transfers { transfer(from: slot) }
        case 9:
            if swarm.voteLimits {
                member.group?.votesAllowedFor = random.oneIn(2) ? .nobody : .only(members[pick()].id)
            }
        case 10:
            member.group?.votesAllowedFor = .anyone
            if swarm.fetching, member.storage.unavailableThrough == 0 {
                member.storage.unavailableThrough = member.storage.lastIndex
            }
        default: report(slot)
        }
        for other in members where other.storage.unavailableThrough > 0 && random.oneIn(3) {
            other.storage.unavailableThrough = 0
            other.group?.entriesAvailable()
        }
    }

    private var leaderSlot: Int? { members.firstIndex { $0.group?.isLeader == true } }

    private func report(_ slot: Int) {
        let peer = members[pick()].id
        let group = members[slot].group
        switch random.below(5) {
        case 0: group?.reportUnreachable(peer)
        case 1: group?.reportSnapshot(peer, ok: random.oneIn(2))
        case 2: group?.forgetLeader()
        case 3: group?.expireElectionTimeout(campaignAfter: Int(random.below(3)))
        default: group?.campaign()
        }
    }

    private func transfer(from slot: Int) {
        members[leaderSlot ?? slot].group?.transferLeader(to: members[pick()].id)
    }

    func crash(_ slot: Int) {
        guard members[slot].group != nil else { return }
        note(UInt64(slot) << 48 | UInt64(now))
        do {
            try persistSome(of: members[slot])
        } catch {
            invariantFailed("what a process asked its disk for is wrong: \(error)")
        }
        members[slot].crash()
        events.add(.start, at: now + Int(random.uniform(100...8_000)), member: slot)
    }

    private func pause(_ slot: Int) {
        members[slot].pausedUntil = now + Int(random.uniform(500...10_000))
    }

    private func compact(_ slot: Int) {
        let member = members[slot]
        guard member.state.index > 0, let group = member.group,
            !group.core.log.hasSnapshotUnderWay
        else { return }
        member.sendsOldSnapshots = random.oneIn(3)
        member.storage.latestSnapshot = member.currentSnapshot()
        member.durableState = member.state
        _ = member.storage.compact(through: member.state.index)
    }

    // MARK: Partitions

    private func clearCuts() {
        for slot in cut.indices { cut[slot] = 0 }
    }

    /// Two sides, a member alone, or single directions of single links.
    private func partition() {
        switch random.below(3) {
        case 0: separate(random.below(1 << UInt64(members.count)))
        case 1: separate(1 << UInt64(leaderSlot ?? pick()))
        default:
            for _ in 0..<random.uniform(1...6) { cut[pick()] |= 1 << UInt64(pick()) }
        }
    }

    private func separate(_ side: UInt64) {
        for slot in cut.indices {
            let isInside = side & (1 << UInt64(slot)) != 0
            cut[slot] = isInside ? ~side : side
        }
    }

    // MARK: Faults at the worst moment

    /// A new leader reaches only some others for a while, or nobody.
    func leaderElected(_ slot: Int) {
        guard isFaulty, swarm.shortTerms, !random.oneIn(4) else { return }
        let others = random.oneIn(3) ? 0 : random.below(1 << UInt64(members.count))
        separate(others | 1 << UInt64(slot))
    }

    /// A member is the first to know that something is committed, and has told nobody yet.
    func firstCommitted(_ slot: Int) {
        guard isFaulty, let group = members[slot].group else { return }
        let changes =
            group.applied < group.core.pendingConfIndex
            && group.core.pendingConfIndex <= group.committed
        if swarm.splitsJoint, changes, random.oneIn(3) {
            // The voters of now must not decide alone.
            separateFromVoters(slot, of: group.membership.voters.ids)
        } else if swarm.splitsJoint, changes {
            // Some voters will know of the change, and not have applied it for long.
            for member in members where random.oneIn(2) && member.id != group.id {
                member.slowApplyUntil = now + Int(random.uniform(3_000...15_000))
            }
        } else if swarm.shortTerms, random.oneIn(6) {
            if random.oneIn(2) { crash(slot) } else { separate(1 << UInt64(slot)) }
        }
    }

    /// A leader has a new membership, of which others may not know.
    func membershipChanged(_ slot: Int, from before: Membership) {
        guard isFaulty, swarm.splitsJoint, let group = members[slot].group, group.isLeader else {
            return
        }
        if random.oneIn(2) {
            let left = before.voters.ids.filter {
                !group.membership.voters.incoming.contains($0)
            }
            separateFromVoters(slot, of: left)
        }
    }

    private func separateFromVoters(_ slot: Int, of voters: [ReplicaID]) {
        var side: UInt64 = 1 << UInt64(slot)
        for (other, member) in members.enumerated() where !voters.contains(member.id) {
            side |= 1 << UInt64(other)
        }
        separate(side)
    }
}
