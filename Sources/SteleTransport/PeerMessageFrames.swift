import SteleBase
import SteleCluster
import SteleWire

// All messages of a turn travel as one wire message; only a long one travels alone, because what
// travels with it or waits behind it waits long.

extension PeerMessage {
    /// The frames of the first of `rest`, which are removed from it.
    static func nextFrames(_ rest: inout ArraySlice<PeerMessage>) -> [UInt8] {
        var count = 0
        var hint = 0
        for message in rest {
            guard count == 0 || hint + message.sizeHint < preferredBytes else { break }
            hint += message.sizeHint
            count += 1
        }
        return Frame.encode(.peerMessages, reserving: hint) { writer in
            for message in rest.prefix(count) { message.encode(into: &writer) }
            rest.removeFirst(count)
        }
    }

    /// Log entries come out as slices and are kept, so they get bytes of their own: slices of the
    /// network's buffer would hold on to all of it.
    static func decodeAll(
        _ payload: ArraySlice<UInt8>
    ) throws(ConnectionFailure) -> [PeerMessage] {
        var reader = ByteReader(Array(payload))
        var messages: [PeerMessage] = []
        do {
            while !reader.isAtEnd { messages.append(try PeerMessage(from: &reader)) }
        } catch {
            throw ConnectionFailure("a message of a peer cannot be read: \(error)")
        }
        return messages
    }

    /// About how many bytes the coding takes.
    private var sizeHint: Int {
        switch self {
        case .raft(_, let message, _):
            message.entries.reduce(128) { $0 + 16 + $1.payload.count }
        case .request(_, let request), .requestPart(_, _, let request): request.sizeHint
        default: 128
        }
    }

    private static let preferredBytes = 1 << 20
}
