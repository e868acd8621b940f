import SteleBase
import SteleCluster
import SteleTablet

/// What goes wrong with wall clocks: machines that boot with any time and are set right later, jumps
/// to either side, and clocks that stand still, on any number of nodes at once.
///
/// And what is demanded meanwhile: whenever a majority of nodes has had wall clocks that agree for a
/// while, every tablet is served, whatever these clocks showed before.
extension SimulatedCluster {
    /// Boots the machines with clocks that are wrong until NTP has been heard of.
    func spoilStartClocks() {
        guard scenario.wrongStart > 0 else { return }
        let alike = faultRandom.oneIn(4) ? wrongTime() : nil
        for node in nodes where alike != nil || !faultRandom.oneIn(3) {
            result.counts.wrongClocks += 1
            set(node, wrongBy: alike ?? wrongTime())
            after(faultRandom.uniform(scenario.wrongStart / 2...scenario.wrongStart)) { [self] in
                setRight(node)
            }
        }
    }

    /// Lets the wall clock of a node jump, or stand still, or be set right.
    func jumpClock() {
        let node = anyNode()
        result.counts.wrongClocks += 1
        switch faultRandom.below(6) {
        case 0, 1: set(node, wrongBy: wrongTime())
        case 2:
            trace.note(.fault, at: now, UInt64(node.place), 1, "the clock of \(node.id) freezes")
            node.clock.freeze(at: now)
            node.clockChangedAt = now
        default: setRight(node)
        }
    }

    func set(_ node: SimulatedNode, wrongBy error: Int64) {
        trace.note(
            .fault, at: now, UInt64(node.place), UInt64(bitPattern: error),
            "the clock of \(node.id) jumps by \(error) µs")
        node.clock.setWrong(by: error)
        node.clockChangedAt = now
    }

    /// What a node tells its operator.
    func noted(_ notice: NodeNotice, _ node: SimulatedNode) {
        trace.note(.fault, at: now, UInt64(node.place), 2, "\(node.id): \(notice)")
        if node.keepsNotices { node.notices.append(notice) }
    }

    func setRight(_ node: SimulatedNode) {
        trace.note(.fault, at: now, UInt64(node.place), 0, "the clock of \(node.id) is set right")
        node.clock.setRight(at: now)
        node.clockChangedAt = now
    }

    /// A few hundredths of a second to a few seconds, to either side.
    private func wrongTime() -> Int64 {
        let error = Int64(
            faultRandom.uniform(faultRandom.oneIn(3) ? 30_000...400_000 : 400_000...5_000_000))
        return faultRandom.oneIn(2) ? error : -error
    }

    // MARK: What is demanded

    /// How long a majority whose wall clocks agree may take to serve.
    private static let clockPatience: UInt64 = 3_000_000

    /// Watches that tablets are served while enough wall clocks agree; of use where nothing but
    /// clocks goes wrong.
    func watchClocks() {
        guard scenario.demandsServiceByClocks, !isDone else { return }
        for node in nodes {
            // What it promised has to be waited for.
            let promised = node.core?.promised.microseconds ?? 0
            if promised > node.clock.wall(at: now) + 1_000_000 { node.clockChangedAt = now }
        }
        for tablet in descriptors.indices {
            if isServed(tablet) { servedAt[tablet] = now }
        }
        let agreeing = agreeingNodes()
        let isMajority =
            agreeing.count > nodes.count / 2
            && descriptors.allSatisfy { descriptor in
                descriptor.replicas.count { replica in
                    agreeing.contains { $0.id == replica.node }
                } > descriptor.replicas.count / 2
            }
        let unserved = servedAt.contains { $0 + Self.clockPatience < now }
        if isMajority, unserved {
            fail(
                "liveness: the wall clocks of \(agreeing.map(\.id)) have agreed for "
                    + "\(Self.clockPatience / 1_000_000) s, and a tablet is served by nobody")
        }
        after(50_000) { [self] in watchClocks() }
    }

    /// Whether some node leads the tablet and may write, now and not only later.
    func isServed(_ tablet: Int) -> Bool {
        nodes.contains { node in
            guard
                let tablet = node.core?.tablets.first(where: {
                    $0.descriptor.id == descriptors[tablet].id
                })
            else { return false }
            return tablet.isServing && tablet.leaseBound > tablet.floor
        }
    }

    /// The largest set of running nodes whose wall clocks have been close to each other for as long
    /// as one has to be patient, and past all that the nodes promised.
    private func agreeingNodes() -> [SimulatedNode] {
        let steady = nodes.filter {
            $0.isUp && !$0.clock.isFrozen && $0.clockChangedAt + Self.clockPatience < now
        }
        let sets = steady.map { one in
            steady.filter {
                ($0.clock.error(at: now) - one.clock.error(at: now)).magnitude < 70_000
            }
        }
        return sets.max { $0.count < $1.count } ?? []
    }
}
