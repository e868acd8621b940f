import SteleBase
import SteleCluster
import SteleWire

// All messages of a turn travel as one wire message; only where that would grow very long they are
// spread over several, because what waits behind a long message waits long.

extension PeerMessage {
    /// The frames that carry `messages`, of which each fits ``Limits/messageBytes``.
    static func frames(of messages: [PeerMessage]) -> [UInt8] {
        var rest = messages[...]
        var bytes = nextFrames(&rest)
        while !rest.isEmpty { bytes += nextFrames(&rest) }
        return bytes
    }

    private static func nextFrames(_ rest: inout ArraySlice<PeerMessage>) -> [UInt8] {
        Frame.encode(.peerMessages, reserving: rest.reduce(0) { $0 + $1.sizeHint }) { writer in
            while let message = rest.first, writer.bytes.count < preferredBytes {
                rest.removeFirst()
                message.encode(into: &writer)
            }
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
        guard case .raft(_, let message, _) = self else { return 128 }
        return message.entries.reduce(128) { $0 + 16 + $1.payload.count }
    }

    private static let preferredBytes = 8 << 20
}
