/// The connection that one node dialled to another, and on which it alone sends.
///
/// Two nodes have one in each direction, as with the real transport, and each of the two stalls,
/// breaks and comes back for itself. While one stands, its frames arrive in order and none is lost.
/// Either end may notice a loss that the other does not: the one that sends, since nothing is
/// acknowledged, or the one that receives, since its kernel was told. What is sent into a connection
/// that the receiver has given up is lost, and tells the sender so.
struct NetworkChannel {
    /// What the network does with packets between the two.
    enum Condition {
        /// They arrive.
        case open
        /// They vanish: TCP sends them again until it gives up, and no connection is made.
        case hanging
        /// They are answered with a reset.
        case refusing
    }

    let from: Int
    let to: Int
    var delay: UInt64
    var condition = Condition.open
    /// Counts the connections that the receiver accepted.
    var session: UInt64 = 0
    /// When the last frame arrives.
    var lastArrival: UInt64 = 0
    /// Frames that a hanging channel holds back.
    var held: [[UInt8]] = []
    /// Whether an attempt to connect is under way.
    var isDialling = false
    /// When the channel was last anything but open, or lost its connection; see `ClusterHealth`.
    var lastFault: UInt64 = 0
}

extension SimulatedCluster {
    /// Makes the channels between all nodes, both of a pair with the same delay.
    func makeChannels() {
        let count = scenario.nodes
        var delays = [UInt64](repeating: 0, count: count * count)
        for low in 0..<count {
            for high in low + 1..<max(count, low + 1) {
                let delay = networkRandom.uniform(network.minimumDelay...network.maximumDelay)
                delays[low * count + high] = delay
                delays[high * count + low] = delay
            }
        }
        for from in 0..<count {
            for to in 0..<count where to != from {
                channels.append(
                    NetworkChannel(from: from, to: to, delay: delays[from * count + to]))
            }
        }
        for channel in channels.indices { dial(channel) }
    }

    func channel(from: Int, to: Int) -> Int {
        from * (scenario.nodes - 1) + (to > from ? to - 1 : to)
    }

    // MARK: Connecting

    /// Tries to connect, and tries again until it has succeeded; as the sender's transport does.
    func dial(_ index: Int) {
        let (from, to) = (channels[index].from, channels[index].to)
        guard !channels[index].isDialling, nodes[from].outbound[to] == 0 else { return }
        channels[index].isDialling = true
        after(networkRandom.uniform(5_000...60_000)) { [self] in
            channels[index].isDialling = false
            let (sender, receiver) = (nodes[from], nodes[to])
            guard sender.isUp, sender.outbound[to] == 0 else { return }
            guard receiver.isUp, channels[index].condition == .open, sender.pausedUntil <= now,
                receiver.pausedUntil <= now
            else { return dial(index) }
            greet(index)
        }
    }

    /// The hello arrives, the receiver accepts, and its welcome comes back, which may take long if
    /// a packet was lost on the way.
    private func greet(_ index: Int) {
        let (from, to) = (channels[index].from, channels[index].to)
        let (sender, receiver) = (nodes[from], nodes[to])
        let life = sender.life
        channels[index].isDialling = true
        after(flightTime(index)) { [self] in
            channels[index].isDialling = false
            guard receiver.isUp, sender.life == life, channels[index].condition == .open else {
                return dial(index)
            }
            channels[index].session += 1
            channels[index].held = []
            let session = channels[index].session
            accept(session, at: receiver, from: from, life: life)
            let back = networkRandom.oneIn(20) ? networkRandom.uniform(1_000...300_000) : 0
            channels[index].isDialling = true
            after(back + flightTime(channel(from: to, to: from))) { [self] in
                channels[index].isDialling = false
                guard sender.life == life, sender.isUp, sender.outbound[to] == 0,
                    channels[index].session == session, channels[index].condition == .open
                else { return dial(index) }
                sender.outbound[to] = session
                tellConnection(sender, to)
            }
        }
    }

    /// A connection from `from` takes the place of an earlier one, whose loss nobody had noticed.
    private func accept(_ session: UInt64, at node: SimulatedNode, from: Int, life: Int) {
        if node.inbound[from] != 0 {
            node.inbound[from] = 0
            result.counts.replacedConnections += 1
            // Another run of the peer: what is sent to the earlier one goes nowhere.
            if node.inboundLives[from] != life { loseOutbound(node, to: from) }
            tellConnection(node, from)
        }
        node.inbound[from] = session
        node.inboundLives[from] = life
        tellConnection(node, from)
    }

    /// Tells a node whether connections with a peer stand in both directions, if that has changed.
    private func tellConnection(_ node: SimulatedNode, _ peer: Int) {
        let stands = node.inbound[peer] != 0 && node.outbound[peer] != 0
        guard stands != node.isConnected[peer] else { return }
        node.isConnected[peer] = stands
        give(stands ? .connected(peer) : .disconnected(peer), to: node)
    }

    // MARK: Losing

    /// Which ends notice that a connection was lost.
    enum NoticedBy {
        case both, sender, receiver
    }

    /// Breaks the connection of a channel; whoever notices does within `delay`.
    func breakConnection(_ index: Int, noticedBy ends: NoticedBy = .both, within delay: UInt64) {
        let (from, to) = (channels[index].from, channels[index].to)
        let session = channels[index].session
        channels[index].lastFault = now
        channels[index].held = []
        if ends != .receiver {
            after(networkRandom.below(delay + 1), on: nodes[from]) { [self] in
                if nodes[from].outbound[to] == session { loseOutbound(nodes[from], to: to) }
            }
        }
        if ends != .sender {
            after(networkRandom.below(delay + 1), on: nodes[to]) { [self] in
                if nodes[to].inbound[from] == session {
                    nodes[to].inbound[from] = 0
                    tellConnection(nodes[to], from)
                }
            }
        }
    }

    func loseOutbound(_ node: SimulatedNode, to peer: Int) {
        guard node.outbound[peer] != 0 else { return }
        node.outbound[peer] = 0
        tellConnection(node, peer)
        dial(channel(from: node.place, to: peer))
    }

    /// A node died: its peers see their connections with it close, unless nothing gets through.
    func loseConnections(of node: SimulatedNode) {
        for peer in nodes.indices where peer != node.place {
            node.outbound[peer] = 0
            node.inbound[peer] = 0
            node.isConnected[peer] = false
            let out = channel(from: node.place, to: peer)
            let back = channel(from: peer, to: node.place)
            for index in [out, back] {
                let isReachable = channels[index].condition != .hanging
                // The end of a connection that is only received on may stay unnoticed.
                if isReachable || index == back {
                    breakConnection(index, within: isReachable ? 2_000 : 1_000_000)
                }
            }
        }
    }

    // MARK: Faults

    /// Lets a channel hang, refuse, or work again.
    func setCondition(_ condition: NetworkChannel.Condition, of index: Int) {
        guard channels[index].condition != condition else { return }
        channels[index].lastFault = now
        channels[index].condition = condition
        switch condition {
        case .refusing: breakConnection(index, within: 5_000)
        case .hanging:
            // The sender gives up when nothing was acknowledged for long; the receiver cannot know.
            let session = channels[index].session
            let patience: ClosedRange<UInt64> =
                networkRandom.oneIn(2) ? 100_000...1_000_000 : 1_000_000...5_000_000
            after(networkRandom.uniform(patience)) { [self] in
                if channels[index].condition == .hanging, channels[index].session == session {
                    breakConnection(index, noticedBy: .sender, within: 1_000)
                }
            }
        case .open:
            let frames = channels[index].held
            channels[index].held = []
            for bytes in frames { sendInOrder(bytes, index) }
        }
    }
}
