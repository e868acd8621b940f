import Foundation
import Logging
import ServiceLifecycle
import Stele
import SteleAPI
import Synchronization
import Testing

/// Whole nodes in this process, on real disks and sockets.
@Suite struct NodeTests {
    /// A directory of its own for a test, removed at the end.
    private final class Scratch {
        let path = FileManager.default.temporaryDirectory
            .appendingPathComponent("stele-node-\(UUID().uuidString)").path

        deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    private let scratch = Scratch()

    private func configuration(
        _ name: String, listen: String? = nil, join: [String] = []
    ) -> NodeConfiguration {
        var logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        logger.logLevel = .critical
        return NodeConfiguration(
            directory: scratch.path + "/" + name, listen: listen, join: join,
            cacheBytes: 8 << 20, logger: logger)
    }

    @Test func `a node alone keeps what it acknowledged across a restart`() async throws {
        for round in 0..<3 {
            let node = try await Node.start(configuration("alone"))
            #expect(try await node.database.get("round", as: Int.self) == (round == 0 ? nil : round - 1))
            try await node.database.write { transaction in
                try await transaction.put("round", round)
                try await transaction.put(Key("history", round), round * 10)
            }
            let sum = try await node.database.read { transaction in
                var sum = 0
                for try await entry in transaction.scan(prefix: Key("history")) {
                    sum += try entry.value(as: Int.self)
                }
                return sum
            }
            #expect(sum == (0...round).reduce(0) { $0 + $1 * 10 })
            try await node.stop()
            try await node.stop()
        }
    }

    @Test func `a directory in use is refused by name, and its owner is unharmed`() async throws {
        let node = try await Node.start(configuration("busy"))
        let error = await #expect(throws: SteleError.self) {
            try await Node.start(configuration("busy"))
        }
        #expect(error?.code == .configuration)
        #expect(error?.message.contains("busy") == true)
        try await node.database.put("still", "here")
        #expect(try await node.database.get("still", as: String.self) == "here")
        try await node.stop()
        await #expect(throws: SteleError.self) { try await node.database.put("more", 1) }
    }

    @Test func `a port in use is refused by name`() async throws {
        let node = try await Node.start(configuration("first", listen: "127.0.0.1:0"))
        let address = try #require(node.address)
        let error = await #expect(throws: SteleError.self) {
            try await Node.start(configuration("second", listen: address))
        }
        #expect(error?.code == .configuration)
        #expect(error?.message.contains(address) == true)
        // The directory is as free as before: it can still become a member of a cluster.
        let second = try await Node.start(
            configuration("second", listen: "127.0.0.1:0", join: [address]))
        #expect(await second.status().nodes.isEmpty)
        try await second.stop()
        try await node.stop()
    }

    @Test func `a file that is no identity is not touched`() async throws {
        let path = scratch.path + "/foreign"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try Data("something else".utf8).write(to: URL(fileURLWithPath: path + "/identity"))
        let error = await #expect(throws: SteleError.self) {
            try await Node.start(configuration("foreign"))
        }
        #expect(error?.code == .configuration)
        #expect(
            try Data(contentsOf: URL(fileURLWithPath: path + "/identity"))
                == Data("something else".utf8))
    }

    @Test func `a cancelled node stops, and says that it is stopped`() async throws {
        let node = try await Node.start(configuration("cancelled"))
        try await node.database.put("x", 1)
        let running = Task { try await node.run() }
        running.cancel()
        try await running.value
        let error = await #expect(throws: SteleError.self) {
            try await node.database.get("x", as: Int.self)
        }
        #expect(error?.code == .stopped && error?.isRetryable == false)
    }

    @Test func `calls of a cancelled task send nothing`() async throws {
        let node = try await Node.start(configuration("idle"))
        let database = node.database
        let codes = await Task {
            withUnsafeCurrentTask { $0?.cancel() }
            func code(_ body: () async throws -> Void) async -> SteleError.Code? {
                do {
                    try await body()
                    return nil
                } catch { return (error as? SteleError)?.code }
            }
            return [
                await code { _ = try await database.get("x", as: Int.self) },
                await code { try await database.put("x", 1) },
                await code { try await database.write { try await $0.put("x", 1) } },
            ]
        }.value
        #expect(codes == [.cancelled, .cancelled, .cancelled])
        #expect(try await database.get("x", as: Int.self) == nil)
        try await node.stop()
    }

    @Test func `what a node keeps can be read by its owner alone`() async throws {
        let files = FileManager.default
        func mode(_ name: String) throws -> Int {
            let found = try files.attributesOfItem(atPath: scratch.path + "/" + name)
            return found[.posixPermissions] as? Int ?? 0
        }
        try await Node.start(configuration("private")).stop()
        #expect(try mode("private") == 0o700)
        // A directory that was there is left as it is, as a volume's; not so what comes into it.
        let open = scratch.path + "/open"
        try files.createDirectory(
            atPath: open, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        try await Node.start(configuration("open")).stop()
        for name in try files.contentsOfDirectory(atPath: open) {
            #expect(try mode("open/" + name) & 0o077 == 0, "\(name)")
        }
    }

    /// A service that fails once the node has served.
    private struct FailingService: Service {
        struct Failure: Error {}

        let database: Database

        func run() async throws {
            try await database.put("served", true)
            throw Failure()
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a group ends, and its node with it, when another of its services fails`() async throws {
        let node = try await Node.start(configuration("grouped"))
        let group = ServiceGroup(
            services: [node, FailingService(database: node.database)],
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        await #expect(throws: FailingService.Failure.self) { try await group.run() }
        let again = try await Node.start(configuration("grouped"))
        #expect(try await again.database.get("served", as: Bool.self) == true)
        try await again.stop()
    }

    @Test func `a directory of something else is refused, and left as it is`() async throws {
        let path = scratch.path + "/foreign"
        let files = FileManager.default
        try files.createDirectory(atPath: path + "/bin", withIntermediateDirectories: true)
        let error = await #expect(throws: SteleError.self) {
            try await Node.start(NodeConfiguration(directory: path))
        }
        #expect(error?.code == .configuration && error?.message.contains("bin") == true)
        #expect(try files.contentsOfDirectory(atPath: path) == ["bin"])
    }

    /// Keeps what is logged.
    private struct Recorder: LogHandler {
        let lines: Lines
        var metadata = Logger.Metadata()
        var logLevel = Logger.Level.debug

        final class Lines: Sendable {
            let all = Mutex<[(message: String, metadata: Logger.Metadata)]>([])
        }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let metadata = metadata.merging(event.metadata ?? [:]) { $1 }
            lines.all.withLock { $0.append(("\(event.message)", metadata)) }
        }
    }

    @Test func `start, leadership and end of a node are told in the log`() async throws {
        let lines = Recorder.Lines()
        for _ in 0..<2 {
            var configuration = configuration("told")
            configuration.logger = Logger(label: "test") { _ in Recorder(lines: lines) }
            let node = try await Node.start(configuration)
            try await node.database.put("x", 1)
            try await node.stop()
        }
        let all = lines.all.withLock { $0 }
        #expect(
            all.map(\.message)
                .filter { $0.hasPrefix("the node serves") || $0.hasPrefix("the node has") }
                == [
                    "the node serves", "the node has stopped", "the node serves again",
                    "the node has stopped",
                ])
        let leaders = all.filter { $0.message == "a tablet has a leader" }
        #expect(Set(leaders.map { "\($0.metadata["tablet"] ?? "")" }).count == 2)
        #expect(leaders.allSatisfy { $0.metadata["leader"] == "1" && $0.metadata["node"] == "1" })
    }

    @Test func `a node listens where other machines reach it only if it is told to`()
        async throws
    {
        for listen in ["0.0.0.0:0", "[::]:0", "127.0.0.1.example.org:0", "127.256.0.1:0"] {
            let path = scratch.path + "/exposed"
            let error = await #expect(throws: SteleError.self) {
                try await Node.start(NodeConfiguration(directory: path, listen: listen))
            }
            #expect(error?.code == .configuration && error?.message.contains("loopback") == true)
            #expect(!FileManager.default.fileExists(atPath: path))
        }
        var configuration = NodeConfiguration(
            directory: scratch.path + "/open", listen: "0.0.0.0:0")
        configuration.isInsecure = true
        try await Node.start(configuration).stop()
    }

    @Test func `a start whose address is taken changes nothing`() async throws {
        let holder = try await Node.start(
            NodeConfiguration(directory: scratch.path + "/holder", listen: "127.0.0.1:0"))
        let path = scratch.path + "/new"
        let error = await #expect(throws: SteleError.self) {
            try await Node.start(NodeConfiguration(directory: path, listen: holder.address))
        }
        #expect(error?.code == .configuration && error?.message.contains("in use") == true)
        #expect(!FileManager.default.fileExists(atPath: path))
        try await holder.stop()
    }

    /// Without it the node would forget what it has voted and acknowledged, and would not know.
    @Test func `a node whose log or identity was lost does not start`() async throws {
        let files = FileManager.default
        let path = scratch.path + "/torn"
        func restarted() async throws -> SteleError? {
            let before = try files.contentsOfDirectory(atPath: path)
            let error = await #expect(throws: SteleError.self) {
                try await Node.start(configuration("torn"))
            }
            #expect(try files.contentsOfDirectory(atPath: path) == before)
            return error
        }
        let node = try await Node.start(configuration("torn"))
        try await node.database.put("here", 1)
        try await node.stop()

        // At once after the first start the store holds nothing that would give it away.
        try files.moveItem(atPath: path + "/log", toPath: scratch.path + "/log")
        try files.moveItem(atPath: path + "/store", toPath: scratch.path + "/store")
        let withoutLog = try await restarted()
        #expect(withoutLog?.code == .storage)
        #expect(withoutLog?.message.contains(path + "/log") == true)
        try files.moveItem(atPath: scratch.path + "/log", toPath: path + "/log")
        // A store is made anew from the log, as long as that is complete.
        let rebuilt = try await Node.start(configuration("torn"))
        #expect(try await rebuilt.database.get("here", as: Int.self) == 1)
        try await rebuilt.stop()

        try files.moveItem(atPath: path + "/identity", toPath: scratch.path + "/identity")
        let withoutIdentity = try await restarted()
        #expect(withoutIdentity?.code == .configuration)
        #expect(withoutIdentity?.message.contains("identity") == true)
        try files.moveItem(atPath: scratch.path + "/identity", toPath: path + "/identity")
        let again = try await Node.start(configuration("torn"))
        #expect(try await again.database.get("here", as: Int.self) == 1)
        try await again.stop()
    }

    @Test func `three nodes form a cluster, serve at each, and survive the loss of any`()
        async throws
    {
        let ports = try freePorts(3)
        let addresses = ports.map { "127.0.0.1:\($0)" }
        func start(_ index: Int) async throws -> Node {
            try await Node.start(
                configuration("node\(index)", listen: addresses[index], join: addresses))
        }
        var nodes: [Node] = []
        for index in 0..<3 { nodes.append(try await start(index)) }
        let early = await #expect(throws: SteleError.self) {
            try await nodes[1].database.put("early", 1)
        }
        #expect(early?.code == .notInitialized)
        let earlyRead = await #expect(throws: SteleError.self) {
            try await nodes[1].database.get("early", as: Int.self)
        }
        #expect(earlyRead?.code == .notInitialized)
        try await nodes[0].initializeCluster()
        let again = await #expect(throws: SteleError.self) {
            try await nodes[0].initializeCluster()
        }
        #expect(again?.code == .configuration)
        for (index, node) in nodes.enumerated() {
            try await eventually { try await node.database.put(Key("from", index), index) }
        }
        for lost in 0..<3 {
            try await nodes[lost].stop()
            let other = nodes[(lost + 1) % 3]
            try await other.database.put(Key("without", lost), lost)
            #expect(try await other.database.get(Key("from", lost), as: Int.self) == lost)
            nodes[lost] = try await start(lost)
            try await eventually {
                let found = try await nodes[lost].database.get(Key("without", lost), as: Int.self)
                #expect(found == lost)
            }
        }
        let status = await nodes[0].status()
        #expect(status.nodes.map(\.id.rawValue) == [1, 2, 3])
        #expect(status.tablets.count == 2)
        #expect(status.tablets[0].start.isEmpty && status.tablets[1].end.isEmpty)
        #expect(status.tablets[0].end == status.tablets[1].start)
        for node in nodes { try await node.stop() }
        for (listen, join) in [
            (addresses[1], addresses), (addresses[0], ["127.0.0.1:1", "127.0.0.1:2"]),
        ] {
            let error = await #expect(throws: SteleError.self) {
                try await Node.start(configuration("node0", listen: listen, join: join))
            }
            #expect(error?.code == .configuration)
        }
    }

    /// Repeats what may fail while a cluster is still finding itself.
    private func eventually(_ body: () async throws -> Void) async throws {
        for _ in 0..<100 {
            if (try? await body()) != nil { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        try await body()
    }

    private func freePorts(_ count: Int) throws -> [Int] {
        var sockets: [Int32] = []
        defer { for socket in sockets { close(socket) } }
        return try (0..<count).map { _ in
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            sockets.append(descriptor)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = inet_addr("127.0.0.1")
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let result = withUnsafeMutablePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
                }
            }
            try #require(result == 0)
            return Int(UInt16(bigEndian: address.sin_port))
        }
    }
}
