import SteleBase
import SteleClock
import SteleEngine
import SteleRaft
import SteleTablet
import Testing
import WireSamples

@testable import SteleCluster

/// What a peer sends that no sound node would.
@Suite struct PeerMessageTests {
    private static let physical: UInt64 = 1_700_000_000_000_000

    private func decoded(_ message: PeerMessage) throws -> PeerMessage {
        var writer = ByteWriter()
        message.encode(into: &writer)
        var reader = ByteReader(writer.bytes)
        return try PeerMessage(from: &reader)
    }

    @Test(arguments: PeerSamples.messages.indices)
    func `messages read back as they were written, and a cut one is an error`(index: Int) throws {
        var writer = ByteWriter()
        PeerSamples.messages[index].encode(into: &writer)
        var reader = ByteReader(writer.bytes)
        let message = try PeerMessage(from: &reader)
        try reader.expectEnd()
        var again = ByteWriter()
        message.encode(into: &again)
        #expect(again.bytes == writer.bytes)
        for count in 0..<writer.bytes.count {
            var cut = ByteReader(writer.bytes[..<count])
            #expect(throws: DecodingError.self) { try PeerMessage(from: &cut) }
        }
    }

    private func raft(_ type: MessageType, bound: UInt64 = 0) -> PeerMessage {
        .raft(
            .firstData,
            Message(type: type, from: ReplicaID(2), to: ReplicaID(1), term: 5, bound: bound),
            acknowledgedUnder: nil)
    }

    private func grant(bound: Timestamp) -> PeerMessage {
        .heartbeatReply(
            .init(
                sentAt: 1, epoch: GrantEpoch(boot: 1, counter: 1), bound: bound, boot: 1,
                physical: Self.physical))
    }

    @Test(arguments: [UInt64.max, UInt64.max - 1, Timestamp.latest.rawValue + 1])
    func `bounds that leave the clock no time are refused`(bound: UInt64) throws {
        #expect(throws: DecodingError.self) { try decoded(raft(.voteResponse, bound: bound)) }
        #expect(throws: DecodingError.self) {
            try decoded(grant(bound: Timestamp(rawValue: bound)))
        }
    }

    @Test func `bounds that a clock may have shown are believed`() throws {
        _ = try decoded(raft(.voteResponse, bound: Timestamp.latest.rawValue))
        _ = try decoded(grant(bound: .latest))
        // All that follows from such a bound exists.
        var clock = HybridClock(startingAbove: .zero)
        clock.advance(to: .latest)
        clock.raiseBound(to: clock.last.advanced(byMicroseconds: 1_000_000))
        #expect(clock.now(physical: Self.physical) == Timestamp.latest.next)
    }

    @Test func `Raft messages that nodes do not send are refused`() throws {
        for type in MessageType.allCases where !type.isLocal {
            let travels = [
                MessageType.append, .appendResponse, .vote, .voteResponse, .preVote,
                .preVoteResponse, .heartbeat, .heartbeatResponse, .timeoutNow,
            ].contains(type)
            if travels {
                _ = try decoded(raft(type))
            } else {
                #expect(throws: DecodingError.self, "\(type)") { try decoded(raft(type)) }
            }
        }
    }

    /// Node 1 of three, in its first turn.
    private func follower() throws -> NodeCore {
        let core = try NodeCore.firstOfThree(monotonic: 1_000_000, wall: Self.physical)
        core.beginTurn(monotonic: 1_000_000, wall: Self.physical)
        return core
    }

    private func append(_ entry: Entry) -> PeerMessage {
        .raft(
            .firstData,
            Message(
                type: .append, from: ReplicaID(2), to: ReplicaID(1), term: 5, entries: [entry],
                commit: 1),
            acknowledgedUnder: nil)
    }

    private func command(generation: UInt64) -> ArraySlice<UInt8> {
        TabletCommand(
            generation: generation, transaction: TransactionID(1),
            timestamp: Timestamp(microseconds: Self.physical),
            mutations: MutationList().bytes[...]
        ).payload
    }

    @Test func `entries that could never be applied do not come into the log`() throws {
        let broken = [
            Entry(term: 5, index: 1, payload: command(generation: 2)),
            Entry(term: 5, index: 1, payload: [9, 9, 9]),
            Entry(term: 5, index: 1, type: .confChangeV2),
            Entry(term: 5, index: 1, type: .confChange, payload: command(generation: 1)),
        ]
        for entry in broken {
            let core = try follower()
            core.receive([append(entry)], from: NodeID(2))
            #expect(core.tablets[0].group.lastIndex == 0, "\(entry)")
        }
        let core = try follower()
        core.receive(
            [append(Entry(term: 5, index: 1, payload: command(generation: 1)))], from: NodeID(2))
        #expect(core.tablets[0].group.lastIndex == 1)
    }

    @Test func `nobody says for this node what its own log holds`() throws {
        let core = try follower()
        core.receive(
            [
                append(Entry(term: 5, index: 1)),
                .truncation(.firstData, LogPosition(index: .max, term: 5)),
            ], from: NodeID(2))
        let effects = core.endTurn(monotonic: 1_000_100)
        core.beginTurn(monotonic: 1_000_200, wall: Self.physical + 200)
        core.logSynced(try #require(effects.log?.token))
        core.receive(
            [.truncation(.firstData, LogPosition(index: 1, term: 4))], from: NodeID(2))
        #expect(core.states[0].notKept == 0)
        core.receive(
            [.truncation(.firstData, LogPosition(index: 1, term: 5))], from: NodeID(2))
        #expect(core.states[0].notKept == 1)
    }
}
