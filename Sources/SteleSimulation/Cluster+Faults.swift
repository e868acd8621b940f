import SteleBase
import SteleTablet

/// What goes wrong, and when: every kind of fault comes at random times about its mean interval.
extension SimulatedCluster {
    func startFaults() {
        repeatFault(scenario.crashInterval) { [self] in crashAndRestart(victim()) }
        repeatFault(scenario.crashAllInterval) { [self] in
            for node in nodes { crashAndRestart(node) }
        }
        repeatFault(scenario.partitionInterval) { [self] in partition() }
        repeatFault(scenario.resetInterval) { [self] in
            result.counts.resets += 1
            let index = Int(faultRandom.below(UInt64(max(channels.count, 1))))
            guard channels.indices.contains(index) else { return }
            let ends: NoticedBy = [.both, .sender, .receiver][Int(faultRandom.below(3))]
            trace.note(
                .fault, at: now, UInt64(index), 0,
                "\(channels[index].from + 1)→\(channels[index].to + 1) is reset, noticed by \(ends)")
            breakConnection(index, noticedBy: ends, within: faultRandom.oneIn(3) ? 100_000 : 1_000)
        }
        repeatFault(scenario.pauseInterval) { [self] in pause() }
        repeatFault(scenario.wrongClockInterval) { [self] in spoilClock() }
        repeatFault(scenario.imageInterval) { [self] in putImageBack() }
        repeatFault(scenario.clockJumpInterval) { [self] in jumpClock() }
        if scenario.absentAt > 0 { after(scenario.absentAt) { [self] in goAway() } }
    }

    /// The first of its kind comes early enough for the run to see it.
    private func repeatFault(
        _ interval: UInt64, isFirst: Bool = true, _ fault: @escaping () -> Void
    ) {
        guard interval > 0 else { return }
        var delay = faultRandom.uniform(interval / 4...interval * 7 / 4)
        if isFirst { delay = min(delay, scenario.duration * 3 / 4) }
        after(delay) { [self] in
            guard !isHealed else { return }
            fault()
            repeatFault(interval, isFirst: false, fault)
        }
    }

    func anyNode() -> SimulatedNode {
        nodes[Int(faultRandom.below(UInt64(nodes.count)))]
    }

    /// Mostly a leader, since that is where it hurts.
    private func victim() -> SimulatedNode {
        let leaders = nodes.filter { node in
            node.core?.tablets.contains { $0.isServing } ?? false
        }
        guard !leaders.isEmpty, !faultRandom.oneIn(3) else { return anyNode() }
        return leaders[Int(faultRandom.below(UInt64(leaders.count)))]
    }

    private func crashAndRestart(_ node: SimulatedNode) {
        guard node.isUp else { return }
        crash(node)
        let delay =
            switch faultRandom.below(6) {
            case 0...2: faultRandom.uniform(1_000...50_000)
            case 3...4: faultRandom.uniform(50_000...2_500_000)
            // It does not come back before everything is mended.
            default: scenario.duration
            }
        after(delay) { [self] in start(node) }
    }

    /// One node goes away, and comes back long after or never.
    private func goAway() {
        let node = victim()
        guard !nodes.contains(where: \.isAbsent) else { return }
        crash(node)
        node.isAbsent = true
        guard scenario.absence > 0 else { return }
        after(scenario.absence) { [self] in
            node.isAbsent = false
            start(node)
        }
    }

    private func pause() {
        let node = victim()
        guard node.isUp, node.pausedUntil <= now else { return }
        result.counts.pauses += 1
        let length = faultRandom.uniform(
            20_000...(faultRandom.oneIn(4) ? 30_000_000 : 2_000_000))
        node.pausedUntil = now + length
        trace.note(.fault, at: now, UInt64(node.place), length, "\(node.id) is paused")
        after(length, on: node) { [self] in scheduleTurn(node, in: 0) }
    }

    /// Makes the clock of one node wrong, or sets it right again if no further one may be wrong: of
    /// more than a minority of all nodes nobody could say which are, and more than a minority of a
    /// tablet's replicas would not grant its leader what it needs.
    private func spoilClock() {
        let wrong = nodes.filter { $0.clock.isWrong }
        guard wrong.count < (nodes.count - 1) / 2 else {
            let node = wrong[Int(faultRandom.below(UInt64(wrong.count)))]
            trace.note(.fault, at: now, UInt64(node.place), 0, "the clock of \(node.id) is mended")
            crashAndRestart(node)
            node.clock = newClock()
            return
        }
        let node = victim()
        guard node.isUp, !node.clock.isWrong, descriptors.allSatisfy({ mayBeWrong(node, in: $0) })
        else { return }
        result.counts.wrongClocks += 1
        let isAhead = faultRandom.oneIn(2)
        if faultRandom.oneIn(2) {
            let speed = Int64(faultRandom.uniform(100_000...250_000))
            trace.note(
                .fault, at: now, UInt64(node.place), UInt64(speed),
                "the clock of \(node.id) runs away, \(isAhead ? "ahead" : "behind")")
            node.clock.runAway(perMillion: isAhead ? speed : -speed, at: now)
        } else {
            let error = Int64(faultRandom.uniform(500_000...2_000_000))
            trace.note(
                .fault, at: now, UInt64(node.place), UInt64(error),
                "the clock of \(node.id) is set \(isAhead ? "ahead" : "behind")")
            crashAndRestart(node)
            node.clock = newClock()
            node.clock.setWrong(by: isAhead ? error : -error)
        }
    }

    private func mayBeWrong(_ node: SimulatedNode, in descriptor: TabletDescriptor) -> Bool {
        let holders = nodes.filter { descriptor.replica(on: $0.id) != nil }
        let wrong = holders.count { $0.place == node.place || $0.clock.isWrong }
        return descriptor.replica(on: node.id) == nil || wrong <= (holders.count - 1) / 2
    }

    /// Cuts nodes off from each other in one of several ways, for a while.
    private func partition() {
        result.counts.partitions += 1
        let one = victim().place
        let other = (one + 1 + Int(faultRandom.below(UInt64(nodes.count - 1)))) % nodes.count
        let peers = nodes.indices.filter { $0 != one }
        let kind = faultRandom.below(6)
        let cuts: [Int] =
            switch kind {
            // Nobody can reach it, or it can reach nobody, or both.
            case 0, 1: peers.map { channel(from: $0, to: one) }
            case 2: peers.map { channel(from: one, to: $0) }
            case 3:
                peers.flatMap { [channel(from: one, to: $0), channel(from: $0, to: one)] }
            case 4: [channel(from: one, to: other), channel(from: other, to: one)]
            default: [channel(from: one, to: other)]
            }
        let condition: NetworkChannel.Condition = faultRandom.oneIn(3) ? .refusing : .hanging
        let length = faultRandom.uniform(
            100_000...(faultRandom.oneIn(3) ? scenario.longestCut : 2_500_000))
        let names = cuts.map { "\(channels[$0].from + 1)→\(channels[$0].to + 1)" }
        trace.note(.fault, at: now, kind, UInt64(one), "\(condition): \(names)")
        for cut in cuts { setCondition(condition, of: cut) }
        after(length) { [self] in
            trace.note(.fault, at: now, kind, UInt64(one), "open: \(names)")
            for cut in cuts { setCondition(.open, of: cut) }
        }
    }

    /// Ends all faults, for good.
    func heal() {
        isHealed = true
        trace.note(.fault, at: now, 0, 0, "all faults end")
        network.lossPerMille = 0
        network.duplicatePerMille = 0
        network.reorderPerMille = 0
        for index in channels.indices { setCondition(.open, of: index) }
        for node in nodes {
            node.pausedUntil = min(node.pausedUntil, now)
            if node.diskStallsUntil > now { endSync(node) }
            if scenario.clockJumpInterval + scenario.wrongStart > 0 {
                setRight(node)
            } else {
                node.clock.runAway(perMillion: 0, at: now)
            }
            start(node)
            scheduleTurn(node, in: 0)
        }
    }
}
