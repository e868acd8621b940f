import SteleBase
import SteleClock
import SteleRaft
import SteleTablet

/// What leases allow: whom a tablet may vote for, whom it stands by, and how far it may serve.
extension NodeCore {
    func refreshLease(_ index: Int) {
        let tablet = tablets[index]
        let term = tablet.group.term
        guard tablet.group.isLeader, isClockUsable, isClockConfirmed,
            states[index].resignedTerm != term
        else {
            tablet.leaseBound = .zero
            return
        }
        tablet.leaseBound = leases.bound(
            votersIncludingSelf: tablet.descriptor.replicas.count, term: term,
            acknowledgements: states[index].acknowledgements, clock: clock)
    }

    /// Forbids votes that would break a lease that this node has granted.
    func setVotePermission(_ index: Int) {
        releaseStand(index)
        let tablet = tablets[index]
        tablet.group.mayLead = isClockConfirmed && isClockUsable && !isDiskWorse && !isStopping
        tablet.group.voteBound = max(leases.highestBound, clock.hybrid.last).rawValue
        if tablet.descriptor.replicas.count == 1 {
            tablet.group.votesAllowedFor = isClockUsable ? .anyone : .nobody
        } else if clock.monotonic < quietUntil || !isClockUsable {
            tablet.group.votesAllowedFor = .nobody
        } else if let leader = states[index].standsBy?.node,
            let replica = tablet.descriptor.replica(on: leader)
        {
            tablet.group.votesAllowedFor = .only(replica)
        } else {
            tablet.group.votesAllowedFor = .anyone
        }
    }

    /// Stops standing by a leader under a grant that has ended, or by that of an earlier term than
    /// the one that is followed now.
    ///
    /// An acknowledgement counts only under the grant that it names; a later grant to the same node
    /// says nothing for this tablet. A later leader was elected by voters of which none stands by
    /// the earlier one any more, and they are a quorum: whatever this node does, the earlier one has
    /// no lease. Without this, nodes that grant each other leases for other tablets could wait for
    /// one another for ever; for what is left of that, see ``askWhetherTheyLead()``.
    func releaseStand(_ index: Int) {
        guard let stand = states[index].standsBy else { return }
        let isSuperseded =
            tablets[index].group.lead != .none && tablets[index].group.term > stand.term
        if isSuperseded || leases.standingEpoch(for: stand.node, at: clock.monotonic) != stand.epoch {
            states[index].standsBy = nil
        }
    }

    /// Takes notice of who leads. Returns whether this node's own leadership began or ended.
    func noteLeadership(_ index: Int) -> Bool {
        let tablet = tablets[index]
        let led = tablet.leadingTerm
        tablet.noteLeadership()
        if led != 0, tablet.leadingTerm != led { endedLeaderships.append((index, led)) }
        if tablet.group.role == .candidate, states[index].candidacy != tablet.group.term {
            states[index].candidacy = tablet.group.term
            effects.notices.append(.campaigns(tablet.descriptor.id, term: tablet.group.term))
        }
        let replica = tablet.group.lead
        if replica != states[index].leadingReplica {
            states[index].leadingReplica = replica
            note(leader: tablet.descriptor.node(of: replica) ?? .none, of: index)
        }
        return tablet.leadingTerm != led
    }

    private func note(leader: NodeID, of index: Int) {
        let tablet = tablets[index]
        guard leader != states[index].leader else { return }
        states[index].leader = leader
        effects.notices.append(
            .leaderChanged(tablet.descriptor.id, leader, term: tablet.group.term))
        if leader != .none { states[index].campaignAt = nil }
        // A new leader needs grants whose bounds reach above its floor; it does not wait for them.
        if leader == configuration.node { heartbeat() }
        if leader != .none { redirectRequests(of: tablet.descriptor.id, to: leader) }
    }

    /// Frees those who stand by this node as a leader that it no longer is, without being asked:
    /// their question might not get through. After all that it still said as one.
    func tellEndedLeaderships() {
        for (index, term) in endedLeaderships {
            let descriptor = tablets[index].descriptor
            for peer in outgoing.indices
            where descriptor.replicas.contains(where: { $0.node == outgoing[peer].node }) {
                outgoing[peer].messages.append(.notLeading(descriptor.id, term))
            }
        }
        endedLeaderships.removeAll(keepingCapacity: true)
    }
}
