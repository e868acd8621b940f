import SteleBase
import SteleEngine
import SteleRaft
import SteleTablet
import Testing

@testable import SteleCluster

/// How much a node answers, and sends on, at a time.
@Suite struct AnswerTests {
    private static let physical: UInt64 = 1_700_000_000_000_000

    /// Node 1 of two, which holds the only replica of a tablet, and knows of another one on node 2.
    private final class Node {
        let core: NodeCore
        private var time: UInt64 = 1_000_000

        init() throws {
            func tablet(_ id: UInt64, _ range: KeyRange, on node: UInt64) -> TabletDescriptor {
                TabletDescriptor(
                    id: TabletID(id), range: range, generation: 1,
                    replicas: [.init(node: NodeID(node), id: ReplicaID(1))])
            }
            core = try NodeCore(
                configuration: NodeCoreConfiguration(
                    node: NodeID(1),
                    tablets: [
                        tablet(2, KeyRange(start: [], end: [9]), on: 1),
                        tablet(3, KeyRange(start: [9], end: []), on: 2),
                    ], members: [NodeID(1), NodeID(2)], seed: 1),
                engine: MemoryEngine(), recovered: RecoveredLog(), monotonic: time,
                wall: AnswerTests.physical)
            core.peerConnected(NodeID(2))
            for _ in 0..<20 { turn(after: 50_000) }
            #expect(core.tablets[0].isServing)
        }

        /// A turn in which the peer confirms this node's clock; the log is durable at once.
        @discardableResult
        func turn(
            after elapsed: UInt64 = 1_000, _ body: (NodeCore) -> Void = { _ in }
        ) -> NodeEffects {
            time += elapsed
            core.beginTurn(monotonic: time, wall: AnswerTests.physical + time)
            let echo = core.clock.monotonic &+ core.echoMark
            core.receive(
                [
                    .heartbeatReply(
                        .init(
                            sentAt: echo, epoch: GrantEpoch(boot: 1, counter: 1),
                            bound: .init(microseconds: AnswerTests.physical + time), boot: 1,
                            physical: AnswerTests.physical + time))
                ], from: NodeID(2))
            body(core)
            let effects = core.endTurn(monotonic: time)
            if let (token, _) = effects.log { core.logSynced(token) }
            return effects
        }

        /// Puts a large value, and turns until that is done.
        func put() {
            let write = TabletRequest.CommitRequest.Write(
                key: [1], value: [UInt8](repeating: 1, count: Limits.valueBytes))
            var isDone = false
            turn {
                $0.submit(
                    TabletRequest(
                        transaction: TransactionID(node: NodeID(1), sequence: 1),
                        body: .commit(.init(writes: [write]))),
                    token: 1, timeoutMicroseconds: 10_000_000)
            }
            for _ in 0..<20 where !isDone { isDone = !turn().replies.isEmpty }
            #expect(isDone)
        }
    }

    private let read = TabletRequest(transaction: .none, body: .read(keys: [[1]], at: nil))
    private let scan = TabletRequest(
        transaction: .none,
        body: .scan(
            .init(
                range: KeyRange(start: [1], end: [2]), timestamp: nil, limits: ScanLimits(),
                reverse: false)))

    @Test func `a turn answers no more than fits, and the next ones the rest`() throws {
        let node = try Node()
        node.put()
        for request in [read, scan] {
            var effects = node.turn {
                for token in 0..<50 as Range<UInt64> {
                    $0.submit(request, token: token, timeoutMicroseconds: 10_000_000)
                }
            }
            var answered = 0
            for _ in 0..<50 {
                #expect(effects.replies.count <= 2)
                answered += effects.replies.count
                guard effects.needsAnotherTurn else { break }
                effects = node.turn()
            }
            #expect(answered == 50)
        }
    }

    /// The replies to reads that a turn sends to node 2.
    private func replies(_ effects: NodeEffects) -> Int {
        effects.messages.flatMap(\.messages).count {
            if case .reply(_, .values) = $0 { true } else { false }
        }
    }

    @Test func `a peer that does not take what it was sent is read nothing for`() throws {
        let node = try Node()
        let read = read
        node.core.setBacklog(Limits.peerBacklogBytes + 1, of: NodeID(2))
        let effects = node.turn {
            let term = $0.tablets[0].group.term
            let header = RequestHeader(RequestAttempt(id: 7, number: 1), term: term)
            $0.receive([.request(header, read)], from: NodeID(2))
        }
        #expect(replies(effects) == 0)
        #expect(effects.wakeAt <= node.core.clock.monotonic + 5_000)
        #expect(replies(node.turn()) == 0)
        node.core.setBacklog(0, of: NodeID(2))
        #expect(replies(node.turn()) == 1)
        #expect(replies(node.turn()) == 0)
    }

    @Test func `what is sent on to a peer in one turn has an end`() throws {
        let node = try Node()
        func commit(_ sequence: UInt64, _ bytes: Int) -> TabletRequest {
            TabletRequest(
                transaction: TransactionID(node: NodeID(1), sequence: sequence),
                body: .commit(
                    .init(writes: [.init(key: [9], value: [UInt8](repeating: 1, count: bytes))])))
        }
        func sent(_ effects: NodeEffects) -> Int {
            effects.messages.flatMap(\.messages).count {
                if case .request = $0 { true } else { false }
            }
        }
        let bytes = 100 << 10
        let first = node.turn {
            for sequence in 0..<700 as Range<UInt64> {
                $0.submit(
                    commit(sequence, bytes), token: sequence, timeoutMicroseconds: 10_000_000)
            }
            $0.submit(commit(900, 10), token: 900, timeoutMicroseconds: 10_000_000)
        }
        // What is small gets through.
        #expect(sent(first) == Limits.peerBacklogBytes / bytes + 1)
        #expect(sent(node.turn(after: 30_000)) == 0)
        node.core.setBacklog(0, of: NodeID(2))
        #expect(sent(node.turn(after: 30_000)) == Limits.peerBacklogBytes / bytes)
    }

    @Test func `a large commit is sent on in parts, one a turn, as long as the peer takes them`()
        throws
    {
        let node = try Node()
        let writes = (0..<1_000).map {
            TabletRequest.CommitRequest.Write(
                key: [9, UInt8($0 >> 8), UInt8($0 & 0xFF)],
                value: [UInt8](repeating: 1, count: 1_000))
        }
        var effects = node.turn {
            $0.submit(
                TabletRequest(
                    transaction: TransactionID(node: NodeID(1), sequence: 1),
                    body: .commit(.init(locks: writes.map(\.key), writes: writes))),
                token: 1, timeoutMicroseconds: 10_000_000)
        }
        node.core.setBacklog(Limits.peerBacklogBytes + 1, of: NodeID(2))
        #expect(node.turn().messages.flatMap(\.messages).isEmpty)
        node.core.setBacklog(0, of: NodeID(2))
        var parts: [TabletRequest.CommitRequest] = []
        var last: RequestHeader?
        // Without a word from the peer, so many are sent and no more.
        var unanswered = 0
        var attempt: RequestAttempt?
        var pauses: [Int] = []
        for _ in 0..<60 where last == nil {
            var count = 0
            for message in effects.messages.flatMap(\.messages) {
                switch message {
                case .requestPart(let sent, let number, let request):
                    #expect(number == parts.count)
                    if case .commit(let part) = request.body { parts.append(part) }
                    count += 1
                    attempt = sent
                case .request(let header, _): last = header
                default: break
                }
            }
            #expect(count <= 1)
            node.core.setBacklog(0, of: NodeID(2))
            unanswered = count == 0 ? unanswered + 1 : 0
            let taken = unanswered > 3 && last == nil ? attempt : nil
            if taken != nil { pauses.append(parts.count) }
            effects = node.turn {
                guard let taken else { return }
                $0.receive([.partsTaken(taken, count: parts.count)], from: NodeID(2))
            }
        }
        #expect(pauses == [16])
        #expect(last?.parts == parts.count && parts.count > 10)
        #expect(parts.flatMap(\.writes).map(\.key) == writes.map(\.key))
        #expect(parts.flatMap(\.locks) == writes.map(\.key))
    }
}
