import Logging
import NIOCore
import NIOPosix
import SteleAPI
import SteleBase
import SteleCluster
import SteleRaft
import SteleTransport
import SteleWire
import Synchronization
import Testing

/// A node that only notes what its transport tells it.
final class TestNode: Sendable {
    let transport: Transport
    let id: NodeID
    private let recorder: Recorder
    private let group: MultiThreadedEventLoopGroup

    static let cluster = UniqueID(high: 1, low: 1)

    init(
        _ id: UInt64, cluster: UniqueID = TestNode.cluster, instance: UInt64 = 1,
        settings: Transport.Settings = Transport.Settings(),
        refusal: @escaping @Sendable (Hello) -> Refusal? = { _ in nil },
        answer: @escaping @Sendable (ClientRequest, ClientConnection) -> Void = { _, _ in }
    ) {
        self.id = NodeID(id)
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        recorder = Recorder(refusal: refusal, answer: answer)
        let introduction = Introduction(
            cluster: cluster, node: NodeID(id), instance: UniqueID(high: instance, low: id),
            info: NodeInfo(address: "test:\(id)", pid: UInt32(id), bootTime: instance))
        transport = Transport(
            loop: group.next(), random: SeededRandom(seed: id),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            delegate: recorder,
            settings: settings
        ) { introduction }
    }

    func listen(_ port: Int = 0) async throws -> NetworkAddress {
        try await transport.listen(on: NetworkAddress(host: "127.0.0.1", port: port))
    }

    func setPeers(_ peers: [(UInt64, NetworkAddress)]) async throws {
        try await transport.loop.submit {
            self.transport.setPeers(peers.map { (NodeID($0.0), "\($0.1)") })
        }.get()
    }

    func send(_ messages: [PeerMessage], to node: UInt64) async throws {
        try await transport.loop.submit { self.transport.send(messages, to: NodeID(node)) }.get()
    }

    func stop() async throws {
        await transport.shutdown()
        try await group.shutdownGracefully()
    }

    /// What has happened so far, in order.
    var events: [Event] { recorder.events.withLock { $0 } }

    func count(of event: Event) -> Int { events.count { $0 == event } }

    /// The indices of all truncations that were received.
    var numbers: [UInt64] {
        events.compactMap { if case .message(_, let number) = $0 { number } else { nil } }
    }

    enum Event: Hashable, Sendable {
        case connected(UInt64)
        case disconnected(UInt64)
        case info(UInt64, String)
        /// A truncation with this index, or a Raft message with so many bytes of entries.
        case message(UInt64, UInt64)
        case request(UInt64)
        case closed(UInt64)
    }

    private final class Recorder: TransportDelegate, Sendable {
        let events = Mutex<[Event]>([])
        private let refusal: @Sendable (Hello) -> Refusal?
        private let answer: @Sendable (ClientRequest, ClientConnection) -> Void

        init(
            refusal: @escaping @Sendable (Hello) -> Refusal?,
            answer: @escaping @Sendable (ClientRequest, ClientConnection) -> Void
        ) {
            self.refusal = refusal
            self.answer = answer
        }

        private func note(_ event: Event) { events.withLock { $0.append(event) } }

        func received(_ messages: [PeerMessage], from node: NodeID) {
            for message in messages {
                switch message {
                case .truncation(_, let position):
                    note(.message(node.rawValue, position.index))
                case .raft(_, let message, _):
                    let bytes = message.entries.reduce(0) { $0 + $1.payload.count }
                    note(.message(node.rawValue, UInt64(bytes)))
                default: break
                }
            }
        }

        func connected(to node: NodeID) { note(.connected(node.rawValue)) }

        func disconnected(from node: NodeID) { note(.disconnected(node.rawValue)) }

        func peerInfo(_ info: NodeInfo, of node: NodeID) {
            note(.info(node.rawValue, info.address))
        }

        func refusal(of hello: Hello) -> Refusal? { refusal(hello) }

        func request(_ request: ClientRequest, from connection: ClientConnection) {
            note(.request(request.id))
            answer(request, connection)
        }

        func closed(_ connection: ClientConnection) { note(.closed(connection.id)) }
    }
}

extension PeerMessage {
    /// A message that is recognised by `number`.
    static func numbered(_ number: UInt64) -> PeerMessage {
        .truncation(TabletID(1), LogPosition(index: number, term: 1))
    }

    static func append(bytes: Int) -> PeerMessage {
        let entry = Entry(
            term: 1, index: 1, payload: [UInt8](repeating: 7, count: bytes)[...])
        return .raft(
            TabletID(1),
            Message(type: .append, from: ReplicaID(1), to: ReplicaID(2), entries: [entry]),
            acknowledgedUnder: nil)
    }
}

/// Waits until `condition` holds, for as long as a loaded machine may need.
func eventually(
    _ what: Comment, sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () -> Bool
) async throws {
    for _ in 0..<2_000 {
        if condition() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record(what, sourceLocation: sourceLocation)
}
