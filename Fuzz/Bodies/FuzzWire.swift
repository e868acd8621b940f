import SteleBase
import SteleCluster
import SteleWire

/// The input is a handshake's or a peer's message. What can be read must be written as what reads
/// the same.
package func fuzzPeer(_ bytes: UnsafeRawBufferPointer) {
    guard let kind = bytes.first else { return }
    let payload = Array(bytes.dropFirst())[...]
    switch kind % 4 {
    case 0: if let hello = try? Hello(decoding: payload) { _ = hello.frame() }
    case 1: if let welcome = try? Welcome(decoding: payload) { _ = welcome.frame() }
    case 2: if let refusal = try? Refusal(decoding: payload) { _ = refusal.frame() }
    default:
        var reader = ByteReader(Array(payload))
        while !reader.isAtEnd, let message = try? PeerMessage(from: &reader) {
            var writer = ByteWriter()
            message.encode(into: &writer)
            var again = ByteReader(writer.bytes)
            guard let second = try? PeerMessage(from: &again), again.isAtEnd else {
                invariantFailed("\(message) cannot be read from what it was written as")
            }
            var rewritten = ByteWriter()
            second.encode(into: &rewritten)
            invariant(rewritten.bytes == writer.bytes, "\(message) changes on its way")
        }
    }
}

/// The input is what a client sends, cut into frames, or the answer that it gets.
package func fuzzClient(_ bytes: UnsafeRawBufferPointer) {
    guard let kind = bytes.first else { return }
    let payload = Array(bytes.dropFirst())[...]
    switch kind % 3 {
    case 0:
        guard let request = try? ClientRequest(decoding: payload) else { return }
        let frame = request.frame()
        invariant(frames(of: frame, step: 1) == frames(of: frame, step: frame.count), "cut frames")
    case 1: if let reply = try? ClientReply(decoding: payload) { _ = reply.frame() }
    default:
        let step = Int(payload.first ?? 0) % 9 + 1
        let stream = Array(payload.dropFirst())
        invariant(
            frames(of: stream, step: step) == frames(of: stream, step: max(1, stream.count)),
            "the messages of a stream depend on where it is cut")
    }
}

/// The messages of a stream that comes in pieces, and the error that ends it.
private func frames(of stream: [UInt8], step: Int) -> [String] {
    var decoder = FrameDecoder()
    var messages: [String] = []
    var rest = stream[...]
    while true {
        do {
            while let message = try decoder.next() { messages.append("\(message)") }
        } catch {
            messages.append("\(error)")
            return messages
        }
        guard !rest.isEmpty else { return messages }
        decoder.feed(rest.prefix(step))
        rest = rest.dropFirst(step)
    }
}
