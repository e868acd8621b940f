import SteleBase
import SteleCluster
import SteleRaft
import SteleTablet
import SteleWire
import Testing

@testable import SteleTransport

/// How the messages of a turn are put into frames.
struct PeerMessageFramesTests {
    private func held(_ index: LogIndex) -> PeerMessage {
        .truncation(TabletID(1), LogPosition(index: index, term: 1))
    }

    private func request(bytes: Int) -> PeerMessage {
        let part = 1 << 20
        let writes = stride(from: 0, to: bytes, by: part).enumerated().map { key, start in
            TabletRequest.CommitRequest.Write(
                key: [UInt8(key)],
                value: [UInt8](repeating: 7, count: min(part, bytes - start)))
        }
        return .request(
            RequestHeader(RequestAttempt(id: 3, number: 1), term: 1),
            TabletRequest(transaction: TransactionID(9), body: .commit(.init(writes: writes))))
    }

    /// The kinds of the messages in each wire message.
    private func kinds(_ messages: [PeerMessage]) throws -> [[String]] {
        var rest = messages[...]
        var decoder = FrameDecoder()
        decoder.raiseLimits(messages: Limits.messageBytes)
        var kinds: [[String]] = []
        while !rest.isEmpty {
            PeerMessage.nextFrames(&rest).withUnsafeBytes { decoder.feed($0) }
            let message = try #require(try decoder.next())
            kinds.append(
                try PeerMessage.decodeAll(message.payload).map {
                    switch $0 {
                    case .truncation(_, let position): "held \(position.index)"
                    case .request(_, let request): "request \(request.sizeHint >> 20)"
                    default: "other"
                    }
                })
        }
        return kinds
    }

    @Test func whatIsShortTravelsTogether() throws {
        #expect(
            try kinds([held(1), request(bytes: 10), held(2)])
                == [["held 1", "request 0", "held 2"]])
    }

    @Test func nothingWaitsForALongMessageThatItPrecedes() throws {
        #expect(
            try kinds([held(1), request(bytes: 3 << 20), held(2), held(3)])
                == [["held 1"], ["request 3"], ["held 2", "held 3"]])
    }

    @Test func aMessageOfManyFramesComesWhole() throws {
        #expect(try kinds([request(bytes: 40 << 20)]) == [["request 40"]])
    }
}
