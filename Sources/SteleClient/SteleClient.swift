import Logging
import NIOPosix
@_exported import SteleAPI
import SteleBase
import SteleWire

@_exported import struct SteleWire.StatusReport

/// A connection to a Stele cluster, with the same verbs as a node in this process.
///
///     let client = try await SteleClient.connect(to: ["127.0.0.1:7400", "127.0.0.1:7401"])
///     try await client.database.put("greeting", "hello")
///     let count = try await client.increment("visits")
///     await client.close()
///
/// Any node serves any client. When the connection breaks, the client goes on with the next address.
/// Reads are repeated then; a write that had been sent and got no answer throws
/// ``SteleError/Code/commitOutcomeUnknown`` and is never repeated, because it may be in effect.
///
/// All requests share one connection. A transaction belongs to the connection on which it began and
/// ends with it.
public final class SteleClient: Sendable {
    /// The cluster's keys and values.
    public let database: Database

    private let remote: RemoteDatabase

    private init(connector: Connector) {
        remote = RemoteDatabase(connector: connector, keyspace: .user)
        database = Database(backend: remote)
    }

    /// Connects to the first node that answers.
    ///
    /// - Parameters:
    ///   - addresses: `host:port` of some or all nodes, in order of preference.
    ///   - logger: where connection trouble is told, at debug level.
    /// - Throws: ``SteleError/Code/configuration`` if an address cannot be read,
    ///   ``SteleError/Code/unavailable`` if no node answers.
    public static func connect(
        to addresses: [String], logger: Logger = Logger(label: "stele.client")
    ) async throws(SteleError) -> SteleClient {
        var parsed: [NetworkAddress] = []
        for address in addresses { parsed.append(try NetworkAddress(parsing: address)) }
        guard !parsed.isEmpty else {
            throw SteleError(.configuration, "there is no address to connect to")
        }
        let connector = Connector(
            addresses: parsed, loop: MultiThreadedEventLoopGroup.singleton.any(), logger: logger)
        _ = try await connector.link(patience: .zero, by: .never)
        return SteleClient(connector: connector)
    }

    /// The cluster as the connected node sees it. Works before the cluster is initialised, too.
    ///
    /// - Parameter timeout: how long it waits for an answer.
    public func status(timeout: Duration = .seconds(10)) async throws(SteleError) -> StatusReport {
        try await remote.status(by: remote.deadline(after: timeout))
    }

    /// Makes the connected node, and those that were started together with it, a new cluster.
    ///
    /// To be called once in the life of a cluster, on any of its nodes.
    ///
    /// - Parameter timeout: how long it waits for an answer. Whether the cluster has been initialised
    ///   then is not known: look at its status.
    public func initialize(timeout: Duration = .seconds(30)) async throws(SteleError) {
        try await remote.initialize(by: remote.deadline(after: timeout))
    }

    /// Replaces the value of `key` if it is the expected one; nil stands for no value.
    ///
    /// - Parameter timeout: how long it waits for the answer. 10 seconds are the most.
    /// - Returns: whether the value was replaced.
    public func compareAndSet<V: ValueConvertible>(
        _ key: some KeyConvertible, expected: V?, new: V?, timeout: Duration = .seconds(10)
    ) async throws(SteleError) -> Bool {
        try database.refuseInsideTransaction("compareAndSet")
        let bytes = key.keyBytes
        guard bytes.count <= Limits.keyBytes else { throw .keyTooLong(bytes.count) }
        let value = new?.steleBytes
        if let value, value.count > Limits.valueBytes { throw .valueTooLong(value.count) }
        return try await remote.compareAndSet(
            bytes, expected: expected?.steleBytes, new: value,
            by: remote.deadline(after: timeout))
    }

    /// Adds to the whole number that is the value of `key`; no value counts as 0.
    ///
    /// - Parameter timeout: how long it waits for the answer. 10 seconds are the most.
    /// - Returns: the sum, which is the value now.
    /// - Throws: ``SteleError/Code/valueMismatch`` if the value is no number or the sum exceeds 64
    ///   bits.
    @discardableResult
    public func increment(
        _ key: some KeyConvertible, by amount: Int = 1, timeout: Duration = .seconds(10)
    ) async throws(SteleError) -> Int {
        try database.refuseInsideTransaction("increment")
        let bytes = key.keyBytes
        guard bytes.count <= Limits.keyBytes else { throw .keyTooLong(bytes.count) }
        return Int(
            try await remote.increment(
                bytes, amount: Int64(amount), by: remote.deadline(after: timeout)))
    }

    /// Ends the connection. Calls under way fail, later ones throw ``SteleError/Code/stopped``.
    public func close() { remote.connector.close() }

    /// The part of the cluster's keyspace that holds tables.
    package var sqlBackend: any DatabaseBackend {
        RemoteDatabase(connector: remote.connector, keyspace: .sql)
    }
}
