import SteleBase
import SteleClock
import SteleRaft
import SteleTablet

/// How a node core talks with its peers: heartbeats and grants, Raft messages, forwarded requests.
extension NodeCore {
    /// Takes in what one frame of a peer held.
    package func receive(_ messages: [PeerMessage], from node: NodeID) {
        guard let peer = outgoing.firstIndex(where: { $0.node == node }) else { return }
        if case .run(let run, let own, let firstTransaction)? = messages.first {
            guard mayTakeIn(run, knowing: own, from: peer) else { return }
            noteFirstTransaction(firstTransaction, of: peer)
        }
        outgoing[peer].lastHeard = clock.monotonic
        let beginning = work.begins()
        for message in messages { receive(message, from: node, peer) }
        work.note(.receive, of: nil, since: beginning)
    }

    private func receive(_ message: PeerMessage, from node: NodeID, _ peer: Int) {
        switch message {
        case .heartbeat(let heartbeat):
            noteBoot(heartbeat.boot, of: peer)
            noteReached(heartbeat.heard, by: peer)
            outgoing[peer].heard = heartbeat.sentAt
            outgoing[peer].clock = heartbeat.clock
            if outgoing[peer].syncs != heartbeat.syncs {
                outgoing[peer].syncs = heartbeat.syncs
                outgoing[peer].syncedAt = clock.monotonic
            }
            guard isClockUsable else { return }
            guard reaches(peer) else {
                return mark("cluster: no grant to a node that cannot be reached")
            }
            let reference = timeToLend(for: heartbeat)
            lentPhysical = max(lentPhysical, reference)
            let grant = leases.grant(to: node, clock: clock, physical: reference)
            heartbeatReplies.append(
                (
                    peer,
                    .init(
                        sentAt: heartbeat.sentAt, epoch: grant.epoch,
                        bound: reference > 0 ? grant.bound : .zero,
                        boot: boot, physical: 0)
                ))
        case .heartbeatReply(var reply):
            noteBoot(reply.boot, of: peer)
            reply.sentAt &-= echoMark
            guard reply.sentAt >= startedAt, reply.sentAt <= clock.monotonic else {
                return mark("cluster: a grant to an earlier run is void")
            }
            leases.receive(reply, from: node)
            if reply.physical > 0 { clockReadings.append((node, reply.sentAt, reply.physical)) }
        case .raft(let id, let message, let epoch):
            guard let index = tablets.firstIndex(where: { $0.descriptor.id == id }),
                tablets[index].descriptor.node(of: message.from) == node,
                message.to == tablets[index].replica, tablets[index].canApply(message.entries)
            else { return }
            step(message, of: index, from: node, acknowledgedUnder: epoch)
        case .truncation(let id, let position):
            guard let index = tablets.firstIndex(where: { $0.descriptor.id == id }) else { return }
            notKept(upTo: position, of: index)
        case .outrun(let id, let nodes): noteOutrun(nodes, of: id, from: node)
        case .readers(let oldest): peerReaders[node] = oldest
        case .standing(let id, let term):
            guard let index = tablets.firstIndex(where: { $0.descriptor.id == id }) else { return }
            let group = tablets[index].group
            if group.term >= term, !(group.isLeader && group.term == term) {
                outgoing[peer].messages.append(.notLeading(id, term))
            }
        case .notLeading(let id, let term):
            guard let index = tablets.firstIndex(where: { $0.descriptor.id == id }) else { return }
            leadershipEnded(index, of: node, in: term)
        case .request(let header, let request):
            guard let request = assembled(request, header, from: peer) else { return }
            takeIn(request, header, from: peer)
        case .requestPart(let attempt, let number, let request):
            takePart(request, number, of: attempt, from: peer)
        case .holding(let transaction, let key): releaseIfOver(transaction, near: key)
        case .partsTaken(let attempt, let count): partsTaken(count, of: attempt, by: peer)
        case .reply(let attempt, let reply): complete(attempt, reply, from: node)
        case .run: break
        }
    }

    private func step(
        _ message: Message, of index: Int, from node: NodeID, acknowledgedUnder epoch: GrantEpoch?
    ) {
        let group = tablets[index].group
        switch message.type {
        // Nobody votes or stands for election on account of these.
        case .append, .appendResponse, .heartbeat, .heartbeatResponse: break
        default: setVotePermission(index)
        }
        try? group.step(message)
        if group.lead == message.from { states[index].leaderHeardAt = clock.monotonic }
        if message.type == .voteResponse, message.reject { retryElection(index) }
        if let epoch, group.isLeader, message.term == group.term {
            states[index].acknowledge(node, term: message.term, epoch: epoch)
        }
    }

    /// Sends a Raft message; an acknowledgement names the grant by which this node stands behind it.
    ///
    /// Whether it does is judged at this moment, not when the message was made: it follows the
    /// receiver in the message's term, so from now on it votes for nobody else while the grant lasts.
    func send(_ message: Message, of index: Int) {
        if message.type == .append {
            states[index].commitNotices.removeAll { $0.to == message.to }
            if isCommitNotice(message, of: tablets[index]) {
                mark("cluster: a commit notice is held back")
                return states[index].commitNotices.append(message)
            }
        }
        queue(message, of: index)
    }

    private func queue(_ message: Message, of index: Int) {
        let tablet = tablets[index]
        guard let node = tablet.descriptor.node(of: message.to),
            let peer = outgoing.firstIndex(where: { $0.node == node })
        else { return }
        var epoch: GrantEpoch?
        if message.type == .appendResponse || message.type == .heartbeatResponse,
            tablet.group.lead == message.to, tablet.group.term == message.term
        {
            epoch = leases.standingEpoch(for: node, at: clock.monotonic)
            if let epoch { states[index].standsBy = (node, message.term, epoch) }
        }
        outgoing[peer].messages.append(
            .raft(tablet.descriptor.id, message, acknowledgedUnder: epoch))
    }

    /// Whether a message says no more than how far the log is committed. Followers need that only to
    /// apply, and by it nobody is kept waiting; it rides along with the next entries, or leaves with the
    /// next tick. Sent at once it would cost as many frames and turns as the entries did.
    private func isCommitNotice(_ message: Message, of tablet: Tablet) -> Bool {
        message.entries.isEmpty && message.term == tablet.group.term
            && tablet.group.progress(of: message.to)?.state == .replicate
    }

    /// Sends what was held back and has not been overtaken.
    func sendCommitNotices(of index: Int) {
        guard !states[index].commitNotices.isEmpty else { return }
        let group = tablets[index].group
        let notices = exchange(&states[index].commitNotices, with: [])
        for notice in notices where group.isLeader && notice.term == group.term {
            queue(notice, of: index)
        }
    }

    func heartbeat() {
        guard isNumbered else { return }
        var heartbeat = PeerMessage.Heartbeat(
            sentAt: clock.monotonic &+ echoMark, boot: boot, physical: clock.physical, heard: 0,
            clock: clockStanding, syncs: lastAppend - UInt64(appends.count))
        for peer in outgoing.indices {
            heartbeat.heard = outgoing[peer].heard
            outgoing[peer].messages.append(.heartbeat(heartbeat))
        }
    }

    /// Takes in which heartbeat of this node a peer has got; one of an earlier run says nothing.
    private func noteReached(_ heard: UInt64, by peer: Int) {
        let sentAt = heard &- echoMark
        guard sentAt >= startedAt, sentAt <= clock.monotonic else { return }
        outgoing[peer].reachedAt = max(outgoing[peer].reachedAt, sentAt)
    }

    /// Whether a peer gets what this node sends, as far as is known: connections stand in both
    /// directions, and it told lately of having heard this node.
    ///
    /// A node that can send but cannot be reached is granted nothing: the grant would be of no use
    /// to it, and its giver, who must not vote for anybody else meanwhile, would keep a healthy
    /// majority from electing a leader for as long as the fault lasts.
    func reaches(_ peer: Int) -> Bool {
        outgoing[peer].isConnected && clock.monotonic < outgoing[peer].reachedAt + electionTimeout
    }

    /// Microseconds without a sign of life after which a leader is replaced.
    var electionTimeout: UInt64 {
        UInt64(configuration.electionTicks) * configuration.tickInterval
    }

    /// Whether a peer was heard of within the last second; this node itself always was.
    package func isLive(_ node: NodeID) -> Bool {
        if node == configuration.node { return true }
        guard let peer = outgoing.first(where: { $0.node == node }), let heard = peer.lastHeard
        else { return false }
        return clock.monotonic < heard + 1_000_000
    }

    /// The node that leads a tablet, as far as this one knows.
    package func leader(of id: TabletID) -> NodeID {
        if let index = tablets.firstIndex(where: { $0.descriptor.id == id }) {
            return states[index].leader
        }
        return leaderHints[id]?.node ?? .none
    }

    /// A connection to `node` stands in both directions.
    package func peerConnected(_ node: NodeID) {
        guard let peer = outgoing.firstIndex(where: { $0.node == node }) else { return }
        outgoing[peer].isConnected = true
        // It welcomed this node a moment ago.
        outgoing[peer].reachedAt = max(outgoing[peer].reachedAt, clock.monotonic)
        let requests = unanswerable[peer]
        unanswerable[peer] = []
        for (request, header) in requests { handleForwarded(request, header, from: node) }
    }

    /// What the host has for `node` and the network has not taken yet.
    package func setBacklog(_ bytes: Int, of node: NodeID) {
        guard let peer = outgoing.firstIndex(where: { $0.node == node }) else { return }
        outgoing[peer].backlog = bytes
    }

    func isConnected(_ node: NodeID) -> Bool {
        outgoing.first { $0.node == node }?.isConnected ?? false
    }

    /// A connection to `node` was closed: it counts as an elapsed election timeout there.
    ///
    /// Candidates wait until the grants that they gave to the lost leader have ended.
    package func peerDisconnected(_ node: NodeID) {
        if let peer = outgoing.firstIndex(where: { $0.node == node }) {
            outgoing[peer].isConnected = false
            requestsInParts[peer] = []
            incomingParts[peer] = nil
            unanswerable[peer] = []
        }
        for index in tablets.indices {
            releaseStand(index)
            replaceLeader(index, on: node, notBefore: leases.grantEnd(for: node))
        }
        loseRequests(sentTo: node)
    }

    /// A node told that it leads a tablet no more in a term.
    private func leadershipEnded(_ index: Int, of node: NodeID, in term: Term) {
        if let stand = states[index].standsBy, stand.node == node, stand.term == term {
            mark("cluster: a node stops standing by one that does not lead any more")
            states[index].standsBy = nil
        }
        if tablets[index].group.term == term { replaceLeader(index, on: node, notBefore: 0) }
    }

    /// Campaigns again soon after a vote was refused: with one replica down, two candidates at the
    /// same time each lack the other's vote, and neither hears that it has lost. Staggered by rank,
    /// since timeouts drawn from a few ticks would often be the same again.
    private func retryElection(_ index: Int) {
        let tablet = tablets[index]
        guard tablet.group.role == .candidate, states[index].campaignAt == nil else { return }
        let rank = tablet.descriptor.replicas.count { $0.id < tablet.replica }
        states[index].campaignAt =
            clock.monotonic + Self.campaignStagger * UInt64(rank + 1) + 1_000
    }

    /// How long candidates of successive ranks wait for each other, in microseconds.
    private static let campaignStagger: UInt64 = 40_000

    /// Campaigns soon if `node` led a tablet. Candidates are staggered by their rank among the
    /// replicas that are left.
    private func replaceLeader(_ index: Int, on node: NodeID, notBefore earliest: UInt64) {
        let tablet = tablets[index]
        guard tablet.descriptor.node(of: tablet.group.lead) == node else { return }
        let rank = tablet.descriptor.replicas.count { $0.node != node && $0.id < tablet.replica }
        tablet.group.forgetLeader()
        states[index].campaignAt =
            max(clock.monotonic, earliest) + Self.campaignStagger * UInt64(rank) + 1_000
    }

    /// Ends a tablet's sleep when a grant has lapsed that vouched for those on whom it depends: for a
    /// leader all other replicas, for a follower its leader.
    func wakeIfDoubtful(_ index: Int) {
        let tablet = tablets[index]
        guard tablet.group.isHibernated else { return }
        let isCertain: Bool
        if tablet.group.isLeader {
            let term = tablet.group.term
            isCertain = tablet.descriptor.replicas.allSatisfy { replica in
                replica.node == configuration.node
                    || states[index].acknowledgements.contains {
                        $0.node == replica.node && $0.term == term
                            && leases.isStandingBy($0.node, under: $0.epoch, at: clock.monotonic)
                    }
            }
        } else {
            let leader = tablet.descriptor.node(of: tablet.group.lead) ?? .none
            isCertain = leases.grantEnd(for: leader) > clock.monotonic
        }
        if !isCertain { tablet.group.wake() }
    }

    /// The earliest time at which a lost leader is to be replaced from here.
    func nextCampaign() -> UInt64 {
        var next = UInt64.max
        for index in states.indices { next = min(next, states[index].campaignAt ?? .max) }
        return next
    }

    /// Starts elections in place of leaders whose node is gone, and where there is nobody to ask.
    func campaignWhereDue() {
        for index in tablets.indices {
            if tablets[index].descriptor.replicas.count == 1, tablets[index].group.role == .follower,
                isClockUsable
            {
                setVotePermission(index)
                tablets[index].group.campaign()
            }
            guard let due = states[index].campaignAt, due <= clock.monotonic else { continue }
            states[index].campaignAt = nil
            if tablets[index].group.lead == .none {
                setVotePermission(index)
                tablets[index].group.campaign()
            }
        }
    }

    /// Locks whose coordinator's node has been silent for long are given up; again and again, since
    /// others may pass requests of such a node on.
    func releaseLocksOfDeadNodes() {
        let silence: UInt64 = 3_000_000
        for peer in outgoing.indices {
            let heard = max(outgoing[peer].lastHeard ?? startedAt, outgoing[peer].releasedAt)
            guard clock.monotonic > heard + silence else { continue }
            outgoing[peer].releasedAt = clock.monotonic
            releaseLocks(of: outgoing[peer].node)
        }
    }

    /// Gives up the locks that an earlier run of a peer took.
    private func noteFirstTransaction(_ number: UInt64, of peer: Int) {
        guard outgoing[peer].firstTransaction < number else { return }
        outgoing[peer].firstTransaction = number
        releaseLocks(of: outgoing[peer].node, before: number)
    }

    /// Whether a transaction is one of an earlier run of its node, and so is over.
    ///
    /// The node itself does not send anything of an earlier run, but others may pass it on late.
    func isOfEarlierRun(_ transaction: TransactionID) -> Bool {
        let first =
            transaction.node == configuration.node
            ? firstTransaction
            : outgoing.first { $0.node == transaction.node }?.firstTransaction ?? 0
        return transaction.sequence < first
    }

    /// Asks nodes that this one stands by, and that it has not heard from as leaders for long.
    ///
    /// The leader of a tablet that stepped down, because it heard of a later term or could not reach
    /// a quorum, may go on being granted leases for its other tablets; those that stood by it would
    /// then vote for nobody else for as long as nobody is elected. A node leads in a term once at
    /// most, so once it says that it does not, there is no lease left to break. It says so unasked,
    /// see ``noteLeadership(_:)``; this is for when that was lost.
    func askWhetherTheyLead() {
        for index in tablets.indices {
            guard let stand = states[index].standsBy, !tablets[index].group.isHibernated,
                clock.monotonic > states[index].leaderHeardAt + electionTimeout,
                let peer = outgoing.firstIndex(where: { $0.node == stand.node })
            else { continue }
            outgoing[peer].messages.append(.standing(tablets[index].descriptor.id, stand.term))
        }
    }

    private func releaseLocks(of node: NodeID, before number: UInt64 = .max) {
        // A request of that node's, looked at later, would take locks that nobody gives up.
        while !postponed.isEmpty { evaluatePostponed() }
        for tablet in tablets { tablet.releaseLocks(of: node, before: number) }
    }

    private func noteBoot(_ boot: UInt64, of peer: Int) {
        if outgoing[peer].boot != 0, outgoing[peer].boot != boot {
            let node = outgoing[peer].node
            clockMonitor.forget(node)
            for index in tablets.indices {
                tablets[index].group.wake()
                // The process that relied on this node is gone, and its leases with it.
                if states[index].standsBy?.node == node { states[index].standsBy = nil }
            }
        }
        outgoing[peer].boot = boot
    }
}
