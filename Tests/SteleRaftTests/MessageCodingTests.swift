import SteleBase
import Testing

@testable import SteleRaft

/// The wire format of messages.
@Suite
struct MessageCodingTests {
    private static func message(_ random: inout SeededRandom) -> Message {
        func bytes() -> ArraySlice<UInt8> {
            (0..<random.below(20)).map { _ in UInt8(random.below(256)) }[...]
        }
        func number() -> UInt64 { random.next() >> random.below(64) }
        let types = MessageType.allCases.filter { !$0.isLocal }
        var message = Message(type: types[Int(random.below(UInt64(types.count)))])
        message.from = ReplicaID(random.below(1 << 40))
        message.to = ReplicaID(random.below(1 << 40))
        message.term = number()
        message.commit = number()
        if random.oneIn(2) { (message.logTerm, message.index) = (number(), number()) }
        for _ in 0..<random.below(4) {
            let type = EntryType(rawValue: UInt8(random.below(3))) ?? .normal
            message.entries.append(
                Entry(term: number(), index: number(), type: type, payload: bytes()))
        }
        if random.oneIn(3) {
            let state = ConfState(
                voters: [ReplicaID(1), ReplicaID(number() >> 2 + 2)],
                votersOutgoing: [ReplicaID(3)], learners: [], learnersNext: [], autoLeave: true)
            message.snapshot = Snapshot(
                index: number(), term: number(), confState: state, data: bytes())
        }
        message.reject = random.oneIn(2)
        if message.reject { message.rejectHint = number() }
        message.context = bytes()
        message.bound = random.oneIn(2) ? number() : 0
        return message
    }

    @Test
    func everyMessageComesBackAndNoPrefixOfItDoes() throws {
        var random = SeededRandom(seed: 1)
        for _ in 0..<300 {
            let message = MessageCodingTests.message(&random)
            var writer = ByteWriter()
            message.encode(into: &writer)
            var reader = ByteReader(writer.bytes)
            #expect(try Message(from: &reader) == message)
            #expect(reader.isAtEnd)
            let readable = (0..<writer.bytes.count).filter { length in
                var short = ByteReader(writer.bytes[..<length])
                return (try? Message(from: &short)) != nil
            }
            #expect(readable.isEmpty)
        }
    }

    @Test
    func garbageIsRefusedOrRead() {
        var random = SeededRandom(seed: 2)
        for _ in 0..<5_000 {
            var writer = ByteWriter()
            MessageCodingTests.message(&random).encode(into: &writer)
            for _ in 0..<random.uniform(1...4) {
                let position = Int(random.below(UInt64(writer.bytes.count)))
                writer.bytes[position] = UInt8(random.below(256))
            }
            var reader = ByteReader(writer.bytes)
            guard let message = try? Message(from: &reader) else { continue }
            if message.type.isLocal || message.from.isLocalTarget {
                Issue.record("\(message) came from outside")
            }
        }
    }

    @Test(arguments: MessageType.allCases.filter(\.isLocal))
    func localTypesCannotComeFromOutside(type: MessageType) {
        var writer = ByteWriter()
        Message(type: .heartbeat, from: ReplicaID(1), to: ReplicaID(2), term: 1)
            .encode(into: &writer)
        writer.bytes[1] = type.rawValue
        var reader = ByteReader(writer.bytes)
        #expect(throws: DecodingError.self) { try Message(from: &reader) }
    }

    @Test
    func confChangesComeBack() throws {
        let change = ConfChange(
            [MemberChange(.addVoter, ReplicaID(300)), MemberChange(.remove, ReplicaID(2))],
            transition: .jointExplicit, context: [1, 2, 3])
        #expect(try ConfChange(decoding: change.entry()) == change)
        let single = ConfChange([MemberChange(.addLearner, ReplicaID(9))])
        #expect(try ConfChange(decoding: single.entry(v1: true)) == single)
        #expect(ConfChange().entry().payload.isEmpty)
        #expect(try ConfChange(decoding: ConfChange().entry()).leavesJoint)
        var broken = change.entry()
        broken.payload = broken.payload.dropLast()
        #expect(throws: DecodingError.self) { try ConfChange(decoding: broken) }
        broken = Entry(type: .confChange)
        #expect(throws: DecodingError.self) { try ConfChange(decoding: broken) }
    }
}
