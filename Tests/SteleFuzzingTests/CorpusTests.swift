import Foundation
import SteleBase
import SteleCluster
import SteleFuzzing
import SteleWire
import Testing
import WireSamples

/// The fuzzers of the protocol begin with one of every message, as the present version writes it.
///
/// After a change of the protocol `STELE_WRITE_CORPUS=1 swift test --filter CorpusTests` writes them
/// anew.
@Suite struct CorpusTests {
    private static func payload(of frame: [UInt8]) throws -> [UInt8] {
        var decoder = FrameDecoder()
        decoder.raiseLimits(messages: 1 << 20)
        decoder.feed(frame)
        return try Array(decoder.next()?.payload ?? [])
    }

    private static func clientCorpus() throws -> [[UInt8]] {
        var inputs: [[UInt8]] = []
        var stream: [UInt8] = []
        for (number, body) in Samples.requests.enumerated() {
            let frame = ClientRequest(id: UInt64(number), body: body).frame()
            inputs.append(try [0] + payload(of: frame))
            stream += frame
        }
        for body in Samples.replies {
            inputs.append(try [1] + payload(of: ClientReply(id: 7, body: body).frame()))
        }
        return inputs + [[2, 3] + stream]
    }

    private static func peerCorpus() throws -> [[UInt8]] {
        let hello = Hello(role: .peer, receiver: NodeID(9), sender: Samples.introduction)
        var inputs = try [
            [0] + payload(of: hello.frame()),
            [0] + payload(of: Hello(role: .client, sender: .client()).frame()),
            [1] + payload(of: Welcome(sender: Samples.introduction).frame()),
            [2] + payload(of: Refusal(.notMember, "who are you?").frame()),
        ]
        for message in PeerSamples.messages {
            var writer = ByteWriter()
            message.encode(into: &writer)
            inputs.append([3] + writer.bytes)
        }
        return inputs
    }

    @Test(arguments: ["FuzzClient", "FuzzPeer"])
    func `every message is in the corpus`(target: String) throws {
        let inputs = try target == "FuzzClient" ? Self.clientCorpus() : Self.peerCorpus()
        let parts = #filePath.split(separator: "/").dropLast(3)
        let folder = "/" + parts.joined(separator: "/") + "/Fuzz/Corpus/\(target)"
        for (number, input) in inputs.enumerated() {
            let path = "\(folder)/message-\(number < 10 ? "0" : "")\(number)"
            if ProcessInfo.processInfo.environment["STELE_WRITE_CORPUS"] != nil {
                try Data(input).write(to: URL(fileURLWithPath: path))
            }
            let found = FileManager.default.contents(atPath: path).map { [UInt8]($0) }
            #expect(found == input, "\(path)")
        }
    }
}
