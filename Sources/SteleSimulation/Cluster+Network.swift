import SteleBase
import SteleCluster

/// The connection between two nodes: both directions of it stand and fall together.
///
/// While it stands, frames of one direction arrive in order and none is lost. A blocked direction
/// delays them, as lost packets do that are sent again, until it is open or the connection is given
/// up. Each end learns at a time of its own that a connection was made or lost.
struct NetworkLink {
    let low: Int
    let high: Int
    /// Counts connections; the present one if `isUp`, else the last one.
    var session: UInt64 = 0
    var isUp = false
    var delay: UInt64
    /// From low to high, and back.
    var isBlocked = [false, false]
    /// When the last frame arrives.
    var lastArrival: [UInt64] = [0, 0]
    /// Frames that a blocked direction holds back.
    var held: [[[UInt8]]] = [[], []]

    func direction(from: Int) -> Int { from == low ? 0 : 1 }

    var isOpen: Bool { !isBlocked[0] && !isBlocked[1] }
}

extension SimulatedCluster {
    func makeLinks() {
        for low in 0..<scenario.nodes {
            for high in low + 1..<max(scenario.nodes, low + 1) {
                links.append(
                    NetworkLink(
                        low: low, high: high,
                        delay: networkRandom.uniform(network.minimumDelay...network.maximumDelay)))
            }
        }
        for link in links.indices { tryToConnect(link) }
    }

    func link(_ one: Int, _ other: Int) -> Int {
        links.firstIndex { $0.low == min(one, other) && $0.high == max(one, other) } ?? 0
    }

    // MARK: Frames

    /// Sends what a turn has for one peer, in one frame.
    func send(_ outbox: PeerOutbox, from node: SimulatedNode) {
        let peer = Int(outbox.node.rawValue) - 1
        var writer = ByteWriter()
        for message in outbox.messages {
            checks.sent(message, by: node, self)
            message.encode(into: &writer)
        }
        trace.note(
            .message, at: now, UInt64(node.place), UInt64(peer),
            "\(node.id) → n\(peer + 1): "
                + outbox.messages.map(\.summary).joined(separator: ", "))
        trace.fold(writer.bytes)
        let session = node.sessions[peer]
        let link = self.link(node.place, peer)
        guard session != 0, session == links[link].session else { return }
        guard network.isConnectionless else {
            return sendInOrder(writer.bytes, link, from: node.place, to: peer)
        }
        // Requests of clients keep to the connection: their repetition relies on its end.
        for isOfClient in [true, false] {
            var part = ByteWriter()
            for message in outbox.messages where message.isOfClient == isOfClient {
                message.encode(into: &part)
            }
            if part.bytes.isEmpty { continue }
            if isOfClient {
                sendInOrder(part.bytes, link, from: node.place, to: peer)
            } else {
                sendLoosely(part.bytes, link, from: node.place, to: peer)
            }
        }
    }

    private func sendInOrder(_ bytes: [UInt8], _ link: Int, from: Int, to: Int) {
        let direction = links[link].direction(from: from)
        if links[link].isBlocked[direction] {
            links[link].held[direction].append(bytes)
            return
        }
        let arrival = max(links[link].lastArrival[direction], now + flightTime(link))
        links[link].lastArrival[direction] = arrival
        deliver(bytes, session: links[link].session, from: from, to: to, in: arrival - now)
    }

    /// Every frame for itself: some are lost, some come twice, some late.
    private func sendLoosely(_ bytes: [UInt8], _ link: Int, from: Int, to: Int) {
        if links[link].isBlocked[links[link].direction(from: from)]
            || networkRandom.below(1_000) < network.lossPerMille
        {
            result.counts.lostFrames += 1
            return
        }
        let copies = networkRandom.below(1_000) < network.duplicatePerMille ? 2 : 1
        for copy in 0..<copies {
            var delay = flightTime(link)
            if copy > 0 || networkRandom.below(1_000) < network.reorderPerMille {
                delay += networkRandom.below(networkRandom.oneIn(10) ? 600_000 : 20_000)
            }
            deliver(bytes, session: links[link].session, from: from, to: to, in: delay)
        }
    }

    private func flightTime(_ link: Int) -> UInt64 {
        links[link].delay / 2 + networkRandom.below(links[link].delay + 1)
    }

    private func deliver(
        _ bytes: [UInt8], session: UInt64, from: Int, to: Int, in delay: UInt64
    ) {
        let receiver = nodes[to]
        after(delay, on: receiver) { [self] in
            guard receiver.closedSessions[from] < session else { return }
            give(.frame(from: from, bytes: bytes), to: receiver)
        }
    }

    // MARK: Connections

    /// Connects two nodes as soon as both are up, reach each other, and have noticed the loss of
    /// the connection before.
    func tryToConnect(_ link: Int) {
        let ends = [nodes[safe: links[link].low], nodes[safe: links[link].high]]
        let session = links[link].session
        let areReady = ends.allSatisfy { node in
            guard let node, node.isUp else { return false }
            let other = links[link].low == node.place ? links[link].high : links[link].low
            return node.closedSessions[other] == session && node.pausedUntil <= now
        }
        guard areReady, links[link].isOpen, !links[link].isUp else {
            return after(networkRandom.uniform(5_000...60_000)) { [self] in
                if !links[link].isUp { tryToConnect(link) }
            }
        }
        links[link].session += 1
        links[link].isUp = true
        let new = links[link].session
        for node in ends.compactMap({ $0 }) {
            let other = links[link].low == node.place ? links[link].high : links[link].low
            after(networkRandom.below(3_000), on: node) { [self] in
                guard node.closedSessions[other] < new else { return }
                node.sessions[other] = new
                give(.connected(other), to: node)
            }
        }
    }

    /// Breaks a connection; each end that is up notices within `delay`.
    func disconnect(_ link: Int, noticedWithin delay: UInt64) {
        guard links[link].isUp else { return }
        links[link].isUp = false
        links[link].held = [[], []]
        let session = links[link].session
        for (place, other) in [
            (links[link].low, links[link].high), (links[link].high, links[link].low),
        ] where nodes[place].isUp {
            after(networkRandom.below(delay + 1), on: nodes[place]) { [self] in
                close(session, at: nodes[place], other)
            }
        }
        after(delay) { [self] in tryToConnect(link) }
    }

    private func close(_ session: UInt64, at node: SimulatedNode, _ other: Int) {
        guard node.closedSessions[other] < session else { return }
        node.closedSessions[other] = session
        let wasConnected = node.sessions[other] == session
        node.sessions[other] = 0
        if wasConnected { give(.disconnected(other), to: node) }
    }

    /// A node died: its peers see their connections to it close, unless nothing gets through.
    func closeLinks(of node: SimulatedNode) {
        for link in links.indices {
            guard links[link].low == node.place || links[link].high == node.place else { continue }
            let other = links[link].low == node.place ? links[link].high : links[link].low
            node.sessions[other] = 0
            node.closedSessions[other] = links[link].session
            let isReachable = !links[link].isBlocked[links[link].direction(from: node.place)]
            disconnect(link, noticedWithin: isReachable ? 2_000 : 1_000_000)
        }
    }

    /// Blocks or opens one direction; a connection that is blocked for long is given up.
    func setBlocked(_ isBlocked: Bool, from: Int, to: Int) {
        let link = self.link(from, to)
        let direction = links[link].direction(from: from)
        guard links[link].isBlocked[direction] != isBlocked else { return }
        links[link].isBlocked[direction] = isBlocked
        if isBlocked {
            let session = links[link].session
            let patience: ClosedRange<UInt64> =
                networkRandom.oneIn(2) ? 10_000...300_000 : 300_000...3_000_000
            after(networkRandom.uniform(patience)) { [self] in
                if links[link].isBlocked[direction], links[link].session == session {
                    disconnect(link, noticedWithin: 100_000)
                }
            }
        } else {
            let frames = links[link].held[direction]
            links[link].held[direction] = []
            for bytes in frames { sendInOrder(bytes, link, from: from, to: to) }
        }
    }
}

extension Array {
    fileprivate subscript(safe index: Int) -> Element? {
        indices.contains(index) ? self[index] : nil
    }
}

extension PeerMessage {
    /// Whether the message is a client's request or the answer to one.
    fileprivate var isOfClient: Bool {
        switch self {
        case .request, .reply: true
        case .heartbeat, .heartbeatReply, .raft, .truncation, .outrun, .standing, .notLeading: false
        }
    }

    /// A form for people.
    var summary: String {
        switch self {
        case .heartbeat(let heartbeat): "heartbeat \(heartbeat.sentAt)"
        case .heartbeatReply(let reply):
            "grant \(reply.epoch.boot).\(reply.epoch.counter) of \(reply.sentAt)"
        case .raft(let tablet, let message, let epoch):
            "\(tablet) \(message.type) term \(message.term) index \(message.index)"
                + " entries \(message.entries.count) commit \(message.commit)"
                + (message.reject ? " reject" : "")
                + (epoch.map { " under \($0.boot).\($0.counter)" } ?? "")
        case .truncation(let tablet, let position): "\(tablet) kept for nobody to \(position.index)"
        case .outrun(let tablet, let nodes): "\(tablet) outruns \(nodes)"
        case .standing(let tablet, let term): "\(tablet) standing in term \(term)"
        case .notLeading(let tablet, let term): "\(tablet) not leading in term \(term)"
        case .request(let id, let request): "request \(id) of \(request.transaction)"
        case .reply(let id, _): "reply \(id)"
        }
    }
}
