import SteleBase
import StelePostgres

@testable import SteleSimulation

/// An error that the server reported, by its SQLSTATE.
struct ServerError: Error {
    var state: String
    var message: String
}

/// The connection ended before the answer came.
struct ConnectionLost: Error {}

/// What a statement returned.
struct SQLResult {
    var rows: [[String?]] = []
    /// The command tag of the last statement, such as `COMMIT`.
    var tag = ""
}

/// A client's end of a Postgres connection over the simulated network: bytes out, bytes in, each
/// direction in order and with a delay. It ends when its node crashes.
final class SQLConnection: @unchecked Sendable {
    // Safety: used in the thread that runs the simulation only.
    private let cluster: SimulatedCluster
    let node: SimulatedNode
    private let inbox = PostgresInbox()
    private var received: [UInt8] = []
    private var waiter: UnsafeContinuation<Void, Never>?
    private var lastArrival: [UInt64] = [0, 0]
    private(set) var isLost = false
    /// By which another connection cancels what this one does.
    private(set) var key: [UInt8] = []
    /// `I`, `T` or `E`, as the server said last.
    private(set) var status: Character = "I"

    private init(cluster: SimulatedCluster, node: SimulatedNode) {
        self.cluster = cluster
        self.node = node
    }

    /// Connects to a node and logs in.
    static func open(
        _ front: SQLFront, _ node: SimulatedNode, in cluster: SimulatedCluster
    ) async throws -> SQLConnection {
        let connection = SQLConnection(cluster: cluster, node: node)
        connection.attach(to: front)
        connection.send(
            ClientBytes.packet(
                ClientBytes.int32(3 << 16) + ClientBytes.text("user") + ClientBytes.text("postgres")
                    + [0]))
        _ = try await connection.answer()
        return connection
    }

    /// Asks the server to end what the connection with that key is doing.
    static func cancel(
        _ key: [UInt8], _ front: SQLFront, _ node: SimulatedNode, in cluster: SimulatedCluster
    ) {
        let connection = SQLConnection(cluster: cluster, node: node)
        connection.attach(to: front)
        connection.send(ClientBytes.packet(ClientBytes.int32(80_877_102) + key))
    }

    private func attach(to front: SQLFront) {
        let transport = Transport(self)
        node.atCrash.append { [self] in
            inbox.close()
            cluster.after(cluster.taskRandom.below(5_000)) { [self] in lose() }
        }
        front.serve(inbox, transport)
    }

    // MARK: Statements

    /// Runs a text in the simple protocol.
    func query(_ text: String) async throws -> SQLResult {
        send(ClientBytes.message("Q", ClientBytes.text(text)))
        return try await answer()
    }

    /// Runs one statement in the extended protocol, with its parameters as text.
    func execute(_ text: String, _ parameters: [String]) async throws -> SQLResult {
        let values = parameters.flatMap {
            ClientBytes.int32(Int32($0.utf8.count)) + Array($0.utf8)
        }
        send(
            ClientBytes.message("P", [0] + ClientBytes.text(text) + [0, 0])
                + ClientBytes.message(
                    "B", [0, 0, 0, 0] + ClientBytes.int16(parameters.count) + values + [0, 0])
                + ClientBytes.message("E", [0] + ClientBytes.int32(0))
                + ClientBytes.message("S", []))
        return try await answer()
    }

    /// Goes away, politely or not.
    func close() {
        if cluster.taskRandom.oneIn(2) { send(ClientBytes.message("X", [])) }
        travel(0) { [inbox] in inbox.close() }
    }

    // MARK: Bytes

    private func send(_ bytes: [UInt8]) {
        travel(0) { [inbox] in _ = inbox.receive(bytes) }
    }

    /// Does something at the other end of a direction, after all that was sent that way before.
    private func travel(_ direction: Int, _ action: @escaping () -> Void) {
        let arrival = max(
            lastArrival[direction], cluster.now + cluster.taskRandom.uniform(50...1_500))
        lastArrival[direction] = arrival
        cluster.after(arrival - cluster.now, action)
    }

    private func take(_ bytes: [UInt8]) {
        received += bytes
        wake()
    }

    private func lose() {
        isLost = true
        wake()
    }

    private func wake() {
        let waiting = waiter
        waiter = nil
        waiting?.resume()
    }

    /// Reads up to the next ReadyForQuery.
    private func answer() async throws -> SQLResult {
        var result = SQLResult()
        var failure: ServerError?
        while true {
            while let (kind, body) = nextMessage() {
                switch kind {
                case "D": result.rows.append(ClientBytes.row(body))
                case "C": result.tag = String(decoding: body.dropLast(), as: UTF8.self)
                case "E": failure = ClientBytes.error(body)
                case "K": key = Array(body)
                case "Z":
                    status = body.first.map { Character(UnicodeScalar($0)) } ?? "?"
                    if let failure { throw failure }
                    return result
                default: break
                }
            }
            if isLost {
                // The reason that the server gave for ending the connection, if it did.
                if let failure, failure.state.hasPrefix("57P") || failure.state == "53300" {
                    throw failure
                }
                throw ConnectionLost()
            }
            await withUnsafeContinuation { waiter = $0 }
        }
    }

    private func nextMessage() -> (kind: Character, body: ArraySlice<UInt8>)? {
        guard received.count >= 5 else { return nil }
        let length = Int(ClientBytes.integer(received[1..<5]))
        guard received.count > length else { return nil }
        let message = (Character(UnicodeScalar(received[0])), received[5..<length + 1])
        received.removeFirst(length + 1)
        return message
    }

    /// The server's way out.
    private final class Transport: PostgresTransport, @unchecked Sendable {
        private let connection: SQLConnection

        init(_ connection: SQLConnection) { self.connection = connection }

        func send(_ bytes: [UInt8], now: Bool) {
            connection.travel(1) { [connection] in connection.take(bytes) }
        }

        func resumeReading() {}

        func close() { connection.travel(1) { [connection] in connection.lose() } }
    }
}

/// The bytes of the few messages that these clients know.
enum ClientBytes {
    static func int16(_ value: Int) -> [UInt8] {
        withUnsafeBytes(of: UInt16(value).bigEndian) { Array($0) }
    }

    static func int32(_ value: Int32) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }

    static func text(_ text: String) -> [UInt8] { Array(text.utf8) + [0] }

    static func packet(_ body: [UInt8]) -> [UInt8] { int32(Int32(body.count + 4)) + body }

    static func message(_ kind: Character, _ body: [UInt8]) -> [UInt8] {
        Array(String(kind).utf8) + packet(body)
    }

    static func integer(_ bytes: ArraySlice<UInt8>) -> Int32 {
        bytes.reduce(0) { $0 << 8 | Int32($1) }
    }

    static func row(_ body: ArraySlice<UInt8>) -> [String?] {
        var rest = body.dropFirst(2)
        var values: [String?] = []
        while !rest.isEmpty {
            let length = Int(integer(rest.prefix(4)))
            rest = rest.dropFirst(4)
            values.append(length < 0 ? nil : String(decoding: rest.prefix(length), as: UTF8.self))
            rest = rest.dropFirst(max(length, 0))
        }
        return values
    }

    static func error(_ body: ArraySlice<UInt8>) -> ServerError {
        var error = ServerError(state: "", message: "")
        for field in body.split(separator: 0) {
            let text = String(decoding: field.dropFirst(), as: UTF8.self)
            switch field.first.map({ Character(UnicodeScalar($0)) }) {
            case "C": error.state = text
            case "M": error.message = text
            default: break
            }
        }
        return error
    }
}
