import SteleBase
import SteleClock
import SteleEngine
import SteleRaft
import Testing

@testable import SteleCluster
@testable import SteleTablet

/// A lock may be granted when its transaction is over, by an attempt that was late; and the answer,
/// from which its node would learn so, be lost with a connection.
@Suite struct LostAnswerTests {
    private struct Node {
        let core: NodeCore
        var time: UInt64 = 10_000_000

        /// Has its log written to disk as often as it takes, and returns what was sent.
        @discardableResult
        mutating func turn(_ body: (NodeCore) -> Void = { _ in }) -> [(NodeID, PeerMessage)] {
            core.turns(at: &time, every: 10_000, body).flatMap(\.messages).flatMap { outbox in
                outbox.messages.map { (outbox.node, $0) }
            }
        }
    }

    private static func lock(_ transaction: TransactionID) -> TabletRequest {
        .lock([[0x6B]], for: transaction)
    }

    fileprivate static func heartbeat(_ core: NodeCore) -> PeerMessage {
        .heartbeat(
            .init(
                sentAt: 1, boot: 1, physical: core.clock.physical,
                heard: core.clock.monotonic &+ core.echoMark))
    }

    /// Node 1, connected to the two others, of which node 2 leads in term 5.
    private struct Follower {
        var node: Node
        let leader = NodeID(2)
        let transaction: TransactionID

        init() throws {
            node = Node(
                core: try .firstOfThree(monotonic: 10_000_000, wall: 1_700_000_000_000_000))
            for peer in node.core.peers { node.core.peerConnected(peer) }
            for _ in 0..<10 { node.turn() }
            transaction = TransactionID(node: NodeID(1), sequence: node.core.firstTransaction)
            turn()
        }

        /// A turn in which both peers are heard of; returns the requests that were sent.
        @discardableResult
        mutating func turn(
            _ body: (NodeCore) -> Void = { _ in }
        ) -> [(node: NodeID, header: RequestHeader, request: TabletRequest)] {
            let leader = leader
            let sent = node.turn { core in
                let heartbeat = Message(
                    type: .heartbeat, from: ReplicaID(2), to: ReplicaID(1), term: 5)
                core.receive(
                    [
                        LostAnswerTests.heartbeat(core),
                        .raft(.firstData, heartbeat, acknowledgedUnder: nil),
                    ], from: leader)
                core.receive([LostAnswerTests.heartbeat(core)], from: NodeID(3))
                body(core)
            }
            return sent.compactMap { node, message in
                if case .request(let header, let request) = message {
                    (node, header, request)
                } else {
                    nil
                }
            }
        }

        /// Has the leader answer that the lock was granted.
        @discardableResult
        mutating func grant(
            _ attempt: RequestAttempt
        ) -> [(node: NodeID, header: RequestHeader, request: TabletRequest)] {
            let leader = leader
            return turn { core in
                let reply = TabletReply.locked(
                    [.init(isLocked: true, value: nil)], grant: LockGrant(term: 5, arrival: 1),
                    clock: Timestamp(microseconds: core.clock.physical))
                core.receive([.reply(attempt, reply)], from: leader)
            }
        }

        /// Ends the transaction, in good order.
        mutating func release() throws {
            let (leader, transaction) = (leader, transaction)
            let sent = turn {
                $0.submit(
                    TabletRequest(transaction: transaction, body: .release(near: [0x6B])),
                    token: 2, timeoutMicroseconds: 1_000_000)
            }
            let attempt = try #require(sent.first { $0.request.isRelease }).header.attempt
            turn { $0.receive([.reply(attempt, .released)], from: leader) }
        }

        func isRelease(_ sent: [(node: NodeID, header: RequestHeader, request: TabletRequest)]) -> Bool {
            sent.contains { $0.request.isRelease && $0.request.transaction == transaction }
        }
    }

    @Test func `a lock whose answer was lost with a connection is given up`() throws {
        var follower = try Follower()
        let leader = follower.leader
        let lock = Self.lock(follower.transaction)
        var asked = follower.turn { $0.submit(lock, token: 1, timeoutMicroseconds: 60_000_000) }
        #expect(asked.map(\.node) == [leader])
        // No answer comes; it is asked again, and that attempt is answered.
        for _ in 0..<200 where asked.count < 2 { asked += follower.turn() }
        let attempt = try #require(asked.last).header.attempt
        #expect(attempt.number == 2)
        follower.grant(attempt)
        try follower.release()
        // The first attempt may be carried out now, and its answer be lost.
        follower.node.turn { $0.peerDisconnected(leader) }
        var sent = follower.turn { $0.peerConnected(leader) }
        for _ in 0..<20 where sent.isEmpty { sent += follower.turn() }
        #expect(follower.isRelease(sent))
    }

    @Test func `a lock that was asked for over a connection that is gone is given up`() throws {
        var follower = try Follower()
        let leader = follower.leader
        let lock = Self.lock(follower.transaction)
        let asked = follower.turn { $0.submit(lock, token: 1, timeoutMicroseconds: 60_000_000) }
        let attempt = try #require(asked.first).header.attempt
        follower.node.turn { $0.peerDisconnected(leader) }
        // Whoever asked has enough of it, and the transaction ends before the request arrives.
        follower.node.turn { $0.cancel(token: 1) }
        follower.turn { $0.peerConnected(leader) }
        try follower.release()
        #expect(follower.isRelease(follower.grant(attempt)))
    }

    /// It was sent to the leader itself, which has it in hand but can neither be heard nor hear; what
    /// another way to that leader brought back does not say what becomes of it.
    @Test func `a refusal does not count while an attempt at the same leader is open`() throws {
        var follower = try Follower()
        let (leader, other) = (follower.leader, NodeID(3))
        let commit = TabletRequest(
            transaction: follower.transaction,
            body: .commit(
                .init(
                    expected: [.init(key: [1], value: nil)], writes: [.init(key: [1], value: [1])])))
        let asked = follower.turn { $0.submit(commit, token: 1, timeoutMicroseconds: 60_000_000) }
        let first = try #require(asked.first).header.attempt
        /// A turn without the leader; returns the attempts to either node, and what was answered to
        /// the client.
        func turn(
            _ body: (NodeCore) -> Void = { _ in }
        ) -> (attempts: [(node: NodeID, RequestAttempt)], answers: [TabletReply]) {
            let all = follower.node.core.turns(at: &follower.node.time, every: 10_000) { core in
                core.receive([Self.heartbeat(core)], from: other)
                body(core)
            }
            var attempts: [(NodeID, RequestAttempt)] = []
            for outbox in all.flatMap(\.messages) {
                for case .request(let header, _) in outbox.messages {
                    attempts.append((outbox.node, header.attempt))
                }
            }
            return (attempts, all.flatMap(\.replies).map(\.1))
        }
        let refusal = TabletReply.failed(.changed([1]))
        func refuse() throws -> (node: NodeID, answers: [TabletReply]) {
            var attempts: [(node: NodeID, RequestAttempt)] = []
            for _ in 0..<1_000 where attempts.isEmpty { attempts += turn().attempts }
            let (node, attempt) = try #require(attempts.last)
            return (node, turn { $0.receive([.reply(attempt, refusal)], from: node) }.answers)
        }
        for _ in 0..<2 {
            let (node, answers) = try refuse()
            #expect(node == other && answers.isEmpty)
        }
        // Once it is answered too, nothing is under way.
        #expect(turn { $0.receive([.reply(first, refusal)], from: leader) }.answers.isEmpty)
        #expect(try refuse().answers.count == 1)
    }

    @Test func `a leader asks about owners of locks, and those that are over are released`() throws {
        var follower = try Follower()
        let (leader, transaction) = (follower.leader, follower.transaction)
        let question = PeerMessage.holding(transaction, near: [0x6B])
        let lock = Self.lock(transaction)
        let asked = follower.turn { $0.submit(lock, token: 1, timeoutMicroseconds: 60_000_000) }
        // It is under way, and then it is held.
        var sent = follower.turn { $0.receive([question], from: leader) }
        sent += follower.grant(try #require(asked.first).header.attempt)
        sent += follower.turn { $0.receive([question], from: leader) }
        #expect(!follower.isRelease(sent))
        try follower.release()
        #expect(follower.isRelease(follower.turn { $0.receive([question], from: leader) }))
    }

    @Test func `a request is looked at once it can be answered`() throws {
        let core = try NodeCore.onlyReplica(
            monotonic: 10_000_000, wall: 1_700_000_000_000_000)
        var node = Node(core: core)
        let transaction = TransactionID(node: NodeID(2), sequence: 1)
        let attempt = RequestAttempt(id: 7, number: 1)
        let request = PeerMessage.request(
            RequestHeader(attempt, term: core.tablets[0].group.term, passage: .direct),
            Self.lock(transaction))
        func answered(_ body: (NodeCore) -> Void) -> Int {
            node.turn(body).count { if case .reply = $0.1 { true } else { false } }
        }
        // Connections do not stand in both directions.
        #expect(answered { $0.receive([request], from: NodeID(2)) } == 0)
        // What came over a connection that is gone is not looked at any more.
        #expect(answered { $0.peerDisconnected(NodeID(2)) } == 0)
        #expect(answered { $0.peerConnected(NodeID(2)) } == 0)
        #expect(answered { $0.peerDisconnected(NodeID(2)) } == 0)
        #expect(answered { $0.receive([request], from: NodeID(2)) } == 0)
        #expect(core.tablets[0].locks.isEmpty)
        #expect(answered { $0.peerConnected(NodeID(2)) } == 1)
    }

    @Test func `who has held locks for a while is asked about`() throws {
        var node = Node(
            core: try .onlyReplica(monotonic: 10_000_000, wall: 1_700_000_000_000_000))
        node.turn { $0.peerConnected(NodeID(2)) }
        let tablet = node.core.tablets[0]
        let transactions = (1...3).map { TransactionID(node: NodeID(2), sequence: $0) }
        var questions: [TransactionID] = []
        func turns(_ count: Int) {
            questions = []
            for _ in 0..<count {
                let sent = node.turn { $0.clockConfirmed(by: NodeID(2)) }
                for case .holding(let transaction, _) in sent.map(\.1) {
                    questions.append(transaction)
                }
            }
        }
        while !tablet.group.isLeader, node.time < 20_000_000 { turns(1) }
        turns(110)
        let areLocked = [
            tablet.locks.acquire([1], .exclusive, for: transactions[0]),
            tablet.locks.acquire([2], .shared, for: transactions[1]),
        ]
        #expect(areLocked == [true, true])
        _ = tablet.locks.wait(for: [1], .shared, transaction: transactions[2], ticket: 9)
        turns(90)
        #expect(questions.isEmpty)
        turns(110)
        #expect(questions == transactions)
        _ = tablet.locks.release(transactions[1])
        turns(100)
        #expect(questions == [transactions[0], transactions[2]])
    }
}
