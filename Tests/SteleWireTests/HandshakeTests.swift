import SteleBase
import SteleWire
import Testing
import WireSamples

@Suite struct HandshakeTests {
    private let cluster = UniqueID(high: 1, low: 1)

    private func node(_ id: UInt64, cluster: UniqueID? = nil, instance: UInt64 = 0) -> Introduction
    {
        Introduction(
            cluster: cluster ?? self.cluster, node: NodeID(id),
            instance: UniqueID(high: instance, low: id), info: NodeInfo(address: "host:\(id)"))
    }

    @Test func `hello, welcome and refusal read back`() throws {
        let hello = Hello(role: .peer, receiver: NodeID(9), sender: Samples.introduction)
        #expect(try Hello(decoding: payload(of: hello.frame())) == hello)
        let client = Hello(role: .client, sender: .client())
        #expect(try Hello(decoding: payload(of: client.frame())) == client)
        let welcome = Welcome(sender: Samples.introduction)
        #expect(try Welcome(decoding: payload(of: welcome.frame())) == welcome)
        let refusal = Refusal(.notMember, "who are you?")
        #expect(try Refusal(decoding: payload(of: refusal.frame())) == refusal)
    }

    @Test func `damaged ones are refused`() throws {
        let hello = Hello(role: .peer, receiver: NodeID(9), sender: Samples.introduction)
        #expect(torment(try payload(of: hello.frame())) { _ = try Hello(decoding: $0) })
        let welcome = Welcome(sender: Samples.introduction)
        #expect(torment(try payload(of: welcome.frame())) { _ = try Welcome(decoding: $0) })
        let refusal = Refusal(.version, "old")
        #expect(torment(try payload(of: refusal.frame())) { _ = try Refusal(decoding: $0) })
    }

    @Test func `another version is named in the refusal`() throws {
        var bytes = Array(
            try payload(of: Hello(role: .client, sender: .client()).frame()))
        bytes[8] = 77
        do {
            _ = try Hello(decoding: bytes[...])
            Issue.record("version 77 was accepted")
        } catch {
            #expect(error.reason == .version)
            #expect(error.message == "version 77 of the protocol was called, this node speaks 2")
        }
        bytes[0] = 0
        #expect(throws: Refusal.self) { try Hello(decoding: bytes[...]) }
    }

    @Test func `members of one cluster accept each other`() {
        let hello = Hello(role: .peer, receiver: NodeID(2), sender: node(1))
        #expect(hello.refusal(by: node(2)) == nil)
        #expect(Welcome(sender: node(2)).refusal(by: hello) == nil)
    }

    @Test func `strangers are refused, each for its reason`() {
        func reason(_ hello: Hello, by receiver: Introduction) -> Refusal.Reason? {
            hello.refusal(by: receiver)?.reason
        }
        let other = UniqueID(high: 2, low: 2)
        let hello = Hello(role: .peer, receiver: NodeID(2), sender: node(1))
        #expect(reason(hello, by: node(2, cluster: other)) == .otherCluster)
        #expect(reason(hello, by: node(3)) == .otherNode)
        #expect(reason(hello, by: node(0, cluster: UniqueID.none)) == .notInitialized)
        let nobody = Hello(role: .peer, sender: node(0, cluster: UniqueID.none))
        #expect(reason(nobody, by: node(2)) == .notMember)
        let itself = Hello(role: .peer, sender: node(2))
        #expect(reason(itself, by: node(2)) == .otherNode)
        let twin = Hello(role: .peer, sender: node(2, instance: 5))
        #expect(reason(twin, by: node(2)) == .notMember)
        #expect(Welcome(sender: node(3)).refusal(by: hello)?.reason == .otherNode)
        #expect(
            Welcome(sender: node(2, cluster: other)).refusal(by: hello)?.reason == .otherCluster)
    }

    @Test func `clients reach any node, also one without a cluster, but no other cluster`() {
        let client = Hello(role: .client, sender: .client())
        #expect(client.refusal(by: node(1)) == nil)
        #expect(client.refusal(by: node(0, cluster: UniqueID.none)) == nil)
        let loyal = Hello(role: .client, sender: .client(of: cluster))
        #expect(loyal.refusal(by: node(1)) == nil)
        let other = node(1, cluster: UniqueID(high: 2, low: 2))
        #expect(loyal.refusal(by: other)?.reason == .otherCluster)
    }
}
