import SteleBase
import SteleClock
import SteleRaft
import SteleTablet

/// How a node that ought not to lead hands its leaderships on.
///
/// It gives its leases up first, and for good: the others vote for the one that was asked although
/// they stand by this node. Should nobody take a leadership until the reason is gone, the leader
/// steps down, since it can serve again only in another term.
extension NodeCore {
    /// Whether the log has kept something for longer than an election takes. A disk that hangs takes
    /// no heartbeat and no read with it, so nobody else can tell.
    var isDiskSlow: Bool {
        guard let oldest = appends.first else { return false }
        return clock.monotonic > oldest.askedAt + electionTimeout
    }

    /// Whether another node's disk has gone on meanwhile, as every one does several times a second:
    /// records of the clock are made durable even where nobody writes. Where all are slow nobody leads
    /// better than whoever does.
    ///
    /// That others hold more of the log is no sign to go by: a leader that is idle when its disk hangs
    /// cannot promise timestamps any more before it is asked for anything, and sends nothing to write.
    var isDiskWorse: Bool {
        guard isDiskSlow, let oldest = appends.first else { return false }
        // What was durable before is told a little later.
        let since = oldest.askedAt + 3 * configuration.tickInterval
        return outgoing.contains { $0.syncedAt > since && isLive($0.node) }
    }

    /// Hands on all leaderships, since the node is about to stop, and takes none any more.
    package func handOver() {
        isStopping = true
        judgeLeaderships()
    }

    /// Whether nobody has to wait for leases of this node to end once it is gone: it leads nothing, or
    /// only what nobody else could.
    package var hasHandedOver: Bool {
        !tablets.contains { tablet in
            tablet.group.isLeader
                && tablet.descriptor.replicas.contains {
                    $0.node != configuration.node && isLive($0.node)
                }
        }
    }

    /// Lets the verdict on the clock age, and hands on what this node must not lead.
    ///
    /// A leader that has heard of nobody for a while keeps its tablets: it serves nothing, and what
    /// its peers show next decides.
    func judgeLeaderships() {
        clockVerdict = clockMonitor.verdict(at: clock.monotonic)
        noteDoubt()
        noteSlowDisk()
        let isDiskWorse = isDiskWorse
        if isDiskWorse { mark("cluster: a leader resigns because its disk hangs") }
        let isClockBad = isClockDoubtful || clockWait > 0
        let mustResign = isClockBad || isDiskWorse || isStopping
        for index in tablets.indices where tablets[index].group.isLeader {
            let group = tablets[index].group
            let hasResigned = states[index].resignedTerm == group.term
            if mustResign || hasResigned && isDiskSlow {
                resign(index)
            } else if hasResigned, group.leadTransferee == .none {
                mark("cluster: a leader that resigned for nothing steps down")
                group.stepDown()
            }
        }
    }

    /// Tells of a disk that hangs, once until it goes on. How long a write took in the end is told by
    /// whoever writes.
    private func noteSlowDisk() {
        guard isDiskSlow, let oldest = appends.first else { return isDiskTold = false }
        guard !isDiskTold else { return }
        isDiskTold = true
        effects.notices.append(.diskHangs(for: clock.monotonic - oldest.askedAt))
    }

    /// Asks another replica to lead: the one whose log reaches furthest, then the others in turn.
    private func resign(_ index: Int) {
        let tablet = tablets[index]
        guard tablet.group.leadTransferee == .none else { return }
        if states[index].resignedTerm != tablet.group.term { states[index].resignations = 0 }
        func match(_ replica: TabletDescriptor.Replica) -> LogIndex {
            tablet.group.progress(of: replica.id)?.match ?? 0
        }
        let targets = tablet.descriptor.replicas.filter {
            $0.node != configuration.node && isLive($0.node) && !isOutrun($0.node, index)
        }
        .sorted { match($0) > match($1) }
        guard !targets.isEmpty else { return }
        let target = targets[states[index].resignations % targets.count]
        states[index].resignations += 1
        states[index].resignedTerm = tablet.group.term
        tablet.leaseBound = .zero
        mark("cluster: leadership is handed on")
        tablet.group.transferLeader(to: target.id)
    }
}
