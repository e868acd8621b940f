import SteleBase
import SteleClock
import SteleEngine
import SteleRaft
import SteleTablet
import Testing

@testable import SteleCluster

/// What commits rely on is validated by the recent writes, and in slices where those do not reach.
@Suite struct ValidationTests {
    /// A leader of one replica, turn by turn; its log is durable at once.
    private final class Leader {
        let core: NodeCore
        private var time: UInt64 = 1_000_000
        private var lastToken: UInt64 = 0
        private(set) var replies: [UInt64: TabletReply] = [:]
        private(set) var longestTurn = 0

        init() throws {
            let descriptor = TabletDescriptor(
                id: .firstData, range: .all, generation: 1,
                replicas: [.init(node: NodeID(1), id: ReplicaID(1))])
            core = try NodeCore(
                configuration: NodeCoreConfiguration(
                    node: NodeID(1), tablets: [descriptor], members: [NodeID(1)], seed: 1),
                engine: MemoryEngine(), recovered: RecoveredLog(), monotonic: time,
                wall: 1_700_000_000_000_000)
            while !core.tablets[0].isServing, time < 10_000_000 { turn(after: 10_000) }
        }

        /// Submits requests in one turn; returns their tokens.
        @discardableResult
        func turn(after elapsed: UInt64 = 100, _ bodies: TabletRequest.Body...) -> [UInt64] {
            time += elapsed
            core.beginTurn(monotonic: time, wall: 1_700_000_000_000_000 + time)
            let tokens = bodies.map { body in
                lastToken += 1
                core.submit(
                    TabletRequest(
                        transaction: TransactionID(node: NodeID(1), sequence: lastToken),
                        body: body), token: lastToken, timeoutMicroseconds: 60_000_000)
                return lastToken
            }
            let effects = core.endTurn(monotonic: time)
            for (token, reply) in effects.replies { replies[token] = reply }
            longestTurn = max(longestTurn, effects.work)
            if let (token, _) = effects.log { core.logSynced(token) }
            return tokens
        }

        /// Turns until a request is answered.
        func reply(to token: UInt64) throws -> TabletReply {
            for _ in 0..<1_000 where replies[token] == nil { turn() }
            return try #require(replies[token])
        }

        @discardableResult
        func commit(_ commit: TabletRequest.CommitRequest) throws -> TabletReply {
            try reply(to: turn(.commit(commit))[0])
        }

        /// Puts `count` keys that begin with `prefix`.
        @discardableResult
        func fill(_ prefix: UInt8, _ count: Int) throws -> Timestamp {
            let reply = try commit(
                .init(writes: (0..<count).map { ValidationTests.put(prefix, $0) }))
            guard case .committed(let timestamp) = reply else {
                Issue.record("\(reply)")
                return .zero
            }
            return timestamp
        }
    }

    private static func put(_ prefix: UInt8, _ number: Int) -> TabletRequest.CommitRequest.Write {
        .init(
            key: [
                prefix, UInt8(number >> 16 & 0xFF), UInt8(number >> 8 & 0xFF), UInt8(number & 0xFF),
            ],
            value: [1])
    }

    private static let all = KeyRange(prefix: [1])

    private func isCommitted(_ reply: TabletReply) -> Bool {
        if case .committed = reply { return true }
        return false
    }

    private func isConflict(_ reply: TabletReply) -> Bool {
        if case .failed(let failure) = reply { return failure.reason == .conflict }
        return false
    }

    /// Whether something is written while the validation is on its way, and where.
    enum Meanwhile: CaseIterable { case nothing, before, behind, elsewhere, much }

    @Test(arguments: Meanwhile.allCases)
    func `a long validation goes on over turns and misses nothing`(meanwhile: Meanwhile) throws {
        let leader = try Leader()
        let count = 20_000
        let snapshot = try leader.fill(1, count)
        // More than is remembered.
        try leader.fill(2, 5_000)
        let token = leader.turn(
            .commit(
                .init(
                    readTimestamp: snapshot, readRanges: [Self.all], writes: [Self.put(3, 1)])))[0]
        #expect(leader.replies[token] == nil && leader.core.tablets[0].hasDeferred)
        let writes: [TabletRequest.CommitRequest.Write]
        switch meanwhile {
        case .nothing, .elsewhere: writes = [Self.put(4, 0)]
        case .before: writes = [Self.put(1, 0)]
        case .behind: writes = [Self.put(1, count)]
        case .much: writes = [Self.put(1, 0)] + (0..<5_000).map { Self.put(4, $0) }
        }
        let other = leader.turn(.commit(.init(writes: meanwhile == .nothing ? [] : writes)))[0]
        #expect(leader.replies[token] == nil)
        let reply = try leader.reply(to: token)
        #expect(leader.longestTurn < 2 * Limits.turnWork)
        guard case .committed(let otherTime) = try leader.reply(to: other) else {
            Issue.record("a blind write failed")
            return
        }
        switch meanwhile {
        case .nothing, .elsewhere: #expect(isCommitted(reply))
        case .before, .behind: #expect(isConflict(reply))
        case .much:
            // It takes some turns itself: whichever comes first, the other one must know.
            guard case .committed(let time) = reply else { return #expect(isConflict(reply)) }
            #expect(time < otherTime)
        }
    }

    /// A command too large to be among the recent writes may be in flight at any moment of a validation,
    /// and a later one among them.
    @Test(arguments: 0..<12)
    func `a validation does not step over a large command`(turns: Int) throws {
        let leader = try Leader()
        let snapshot = try leader.fill(1, 1)
        let large = leader.turn(
            .commit(.init(writes: (0..<5_000).map { Self.put(1, $0) })))[0]
        for _ in 0..<turns { leader.turn() }
        let reader = leader.turn(
            .commit(.init(writes: [Self.put(4, 0)])),
            .commit(
                .init(
                    readTimestamp: snapshot, readKeys: [Self.put(1, 0).key],
                    writes: [Self.put(3, 1)])))[1]
        guard case .committed(let largeTime) = try leader.reply(to: large) else {
            Issue.record("a blind write failed")
            return
        }
        let reply = try leader.reply(to: reader)
        guard case .committed(let time) = reply else { return #expect(isConflict(reply)) }
        #expect(time < largeTime)
    }

    @Test func `a short transaction is validated by recent writes alone, whatever it scanned`()
        throws
    {
        let leader = try Leader()
        let snapshot = try leader.fill(1, 10_000)
        let probes = Probes()
        try probes.observe {
            for number in 0..<10 { try leader.commit(.init(writes: [Self.put(4, number)])) }
            let valid = try leader.commit(
                .init(
                    readTimestamp: snapshot, readKeys: [Self.put(1, 7).key],
                    readRanges: [Self.all], writes: [Self.put(3, 1)]))
            #expect(isCommitted(valid))
            try leader.commit(.init(writes: [Self.put(1, 7)]))
            for isRange in [false, true] {
                let stale = try leader.commit(
                    .init(
                        readTimestamp: snapshot, readKeys: isRange ? [] : [Self.put(1, 7).key],
                        readRanges: isRange ? [Self.all] : [], writes: [Self.put(3, 2)]))
                #expect(isConflict(stale))
            }
        }
        #expect(probes.hits("tablet: a validation asks the engine") == 0)
        #expect(probes.hits("tablet: a commit looks for itself in the engine") == 0)
    }

    @Test func `of many reads any one may have changed`() throws {
        let leader = try Leader()
        let count = 6_000
        let snapshot = try leader.fill(1, count)
        for isRemembered in [true, false] {
            if !isRemembered { try leader.fill(2, 5_000) }
            for number in [0, 2_999, count - 1] {
                func commit(since snapshot: Timestamp) throws -> TabletReply {
                    try leader.commit(
                        .init(
                            readTimestamp: snapshot,
                            readKeys: (0..<count).map { Self.put(1, $0).key },
                            writes: [Self.put(3, number)]))
                }
                guard
                    case .committed(let changed) = try leader.commit(
                        .init(writes: [Self.put(1, number)]))
                else { return }
                #expect(isConflict(try commit(since: changed.previous)))
                #expect(isCommitted(try commit(since: changed)))
                #expect(isConflict(try commit(since: snapshot)))
            }
        }
    }

    @Test func `a large command in flight is waited for by those who read or write its keys alone`()
        throws
    {
        let leader = try Leader()
        let snapshot = try leader.fill(1, 10)
        let even = (0..<1_000).map { Self.put(1, 2 * $0) }
        let tokens = leader.turn(
            .commit(.init(writes: even)),
            // A key between those of the large command, and one of them.
            .commit(
                .init(readTimestamp: snapshot, readKeys: [even[0].key], writes: [Self.put(3, 1)])),
            .commit(.init(writes: [Self.put(1, 3)])), .commit(.init(writes: [Self.put(1, 4)])),
            .commit(
                .init(readTimestamp: snapshot, readRanges: [Self.all], writes: [Self.put(3, 2)])))
        let replies = try tokens.map { try leader.reply(to: $0) }
        #expect(isCommitted(replies[0]) && isConflict(replies[1]) && isCommitted(replies[2]))
        #expect(isCommitted(replies[3]) && isConflict(replies[4]))
    }
}
