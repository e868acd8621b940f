import SteleBase
import SteleCluster

/// How frames travel between nodes.
extension SimulatedCluster {
    /// Sends what a turn has for one peer, in one frame.
    func send(_ outbox: PeerOutbox, from node: SimulatedNode) {
        let peer = Int(outbox.node.rawValue) - 1
        var writer = ByteWriter()
        for message in outbox.messages {
            checks.sent(message, by: node, self)
            remember(message, from: node)
            message.encode(into: &writer)
        }
        trace.note(
            .message, at: now, UInt64(node.place), UInt64(peer),
            "\(node.id) → n\(peer + 1): "
                + outbox.messages.map(\.summary).joined(separator: ", "))
        trace.fold(writer.bytes)
        result.counts.frames += 1
        result.counts.frameBytes += writer.bytes.count
        let index = channel(from: node.place, to: peer)
        guard node.outbound[peer] != 0, node.outbound[peer] == channels[index].session else {
            if node.outbound[peer] == 0 { result.counts.lostFrames += 1 }
            return
        }
        guard network.isConnectionless else { return sendInOrder(writer.bytes, index) }
        // Requests of clients, and answers to them, keep their order: a connection has one. Fewer of
        // them are lost, since they are not sent again as often as Raft's messages.
        for isOfClient in [true, false] {
            var part = ByteWriter()
            guard outbox.messages.dropFirst().contains(where: { $0.isOfClient == isOfClient })
            else { continue }
            outbox.messages.first?.encode(into: &part)
            for message in outbox.messages.dropFirst() where message.isOfClient == isOfClient {
                message.encode(into: &part)
            }
            if !isOfClient {
                sendLoosely(part.bytes, index)
            } else if networkRandom.below(8_000) < network.lossPerMille {
                result.counts.lostFrames += 1
            } else {
                sendInOrder(part.bytes, index)
            }
        }
    }

    func sendInOrder(_ bytes: [UInt8], _ index: Int) {
        switch channels[index].condition {
        case .refusing: return
        case .hanging: return channels[index].held.append(bytes)
        case .open: break
        }
        let arrival = max(channels[index].lastArrival, now + flightTime(index))
        channels[index].lastArrival = arrival
        deliver(bytes, index, in: arrival - now)
    }

    /// Every frame for itself: some are lost, some come twice, some late.
    private func sendLoosely(_ bytes: [UInt8], _ index: Int) {
        if channels[index].condition != .open
            || networkRandom.below(1_000) < network.lossPerMille
        {
            result.counts.lostFrames += 1
            return
        }
        let copies = networkRandom.below(1_000) < network.duplicatePerMille ? 2 : 1
        for copy in 0..<copies {
            var delay = flightTime(index)
            if copy > 0 || networkRandom.below(1_000) < network.reorderPerMille {
                delay += networkRandom.below(networkRandom.oneIn(10) ? 600_000 : 20_000)
            }
            deliver(bytes, index, in: delay)
        }
    }

    func flightTime(_ index: Int) -> UInt64 {
        channels[index].delay / 2 + networkRandom.below(channels[index].delay + 1)
    }

    /// Hands a frame over, unless its receiver has given the connection up: then the sender is told.
    private func deliver(_ bytes: [UInt8], _ index: Int, in delay: UInt64) {
        let (from, to) = (channels[index].from, channels[index].to)
        let session = channels[index].session
        let life = nodes[to].life
        after(delay) { [self] in
            let receiver = nodes[to]
            if receiver.life == life, receiver.inbound[from] == session {
                return give(.frame(from: from, bytes: bytes), to: receiver)
            }
            result.counts.lostFrames += 1
            if channels[index].condition == .open, nodes[from].outbound[to] == session {
                breakConnection(index, noticedBy: .sender, within: 2_000)
            }
        }
    }
}

extension PeerMessage {
    /// Whether the message is a client's request or the answer to one.
    fileprivate var isOfClient: Bool {
        switch self {
        case .request, .requestPart, .partsTaken, .reply: true
        case .heartbeat, .heartbeatReply, .raft, .truncation, .holding, .outrun, .readers, .standing,
            .notLeading, .run:
            false
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
        case .readers(let oldest): "reads from \(oldest) on"
        case .standing(let tablet, let term): "\(tablet) standing in term \(term)"
        case .notLeading(let tablet, let term): "\(tablet) not leading in term \(term)"
        case .run(let run, let yours, _): "run \(run.boot), yours \(yours?.boot ?? 0)"
        case .request(let header, let request):
            "request \(header.attempt.id).\(header.attempt.number) of \(request.transaction)"
                + " for term \(header.term), \(header.passage)"
        case .requestPart(let attempt, let number, let request):
            "part \(number) of request \(attempt.id).\(attempt.number) of \(request.transaction)"
        case .holding(let transaction, let key):
            "\(transaction) holds locks near \(key.keyDescription)"
        case .partsTaken(let attempt, let count):
            "\(count) parts of request \(attempt.id).\(attempt.number) taken"
        case .reply(let attempt, _): "reply \(attempt.id).\(attempt.number)"
        }
    }
}
