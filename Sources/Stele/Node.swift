import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import SteleAPI
import SteleBase
import SteleCluster
import SteleTransaction
import SteleTransport
import SteleWire
import Synchronization

@_exported import SteleAPI
@_exported import enum SteleBase.Limits
@_exported import struct SteleBase.NodeID
@_exported import struct SteleBase.UniqueID
@_exported import struct SteleWire.StatusReport

/// One node of Stele in this process: a durable database by itself, or a member of a cluster.
///
///     let node = try await Node.start(NodeConfiguration(directory: "data"))
///     try await node.database.put("greeting", "hello")
///     try await node.stop()
///
/// Any number of nodes may live in one process; each has an event loop for each processor, a log
/// thread and the threads of its store. A node is a `Service` of swift-service-lifecycle: its
/// ``run()`` ends when the process is asked to shut down, or throws when the node's disk has failed.
public final class Node: Service {
    /// The node's key-value database.
    ///
    /// Until the node belongs to a cluster its calls fail with ``SteleError/Code/unavailable`` or
    /// ``SteleError/Code/notInitialized``.
    public let database: Database
    private let assembly: NodeAssembly

    private init(assembly: NodeAssembly) {
        self.assembly = assembly
        database = Database(backend: assembly.backend(.user))
    }

    /// Starts the node that lives in the configuration's directory, a new one if that is empty.
    ///
    /// - Throws: ``SteleError`` with ``SteleError/Code/configuration`` when the directory is in use,
    ///   unreadable or of another program, or the address is taken; with
    ///   ``SteleError/Code/storage`` when what the directory holds is damaged. Nothing is changed
    ///   then.
    public static func start(_ configuration: NodeConfiguration) async throws(SteleError) -> Node {
        let assembly = try await NodeAssembly.start(configuration)
        return Node(assembly: assembly)
    }

    /// The address at which the node listens, with the port that it took; nil if it does not.
    public var address: String? { assembly.address }

    /// Makes the nodes of ``NodeConfiguration/join`` a cluster: once, on any one of them.
    ///
    /// - Throws: ``SteleError/Code/configuration`` if this node belongs to a cluster already, or if
    ///   one of the others does, cannot be reached, or is named twice.
    public func initializeCluster() async throws(SteleError) {
        try await assembly.initializeCluster()
    }

    /// The cluster as this node sees it.
    public func status() async -> StatusReport { await assembly.status() }

    /// Waits until the node fails, the surrounding service group shuts down, or the task is
    /// cancelled, as a group does when another of its services has failed; then stops the node.
    ///
    /// - Throws: ``SteleError/Code/storage`` when the log or the store has failed. The node
    ///   acknowledges nothing any more then; its process may go on.
    public func run() async throws {
        let failure = await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                await assembly.ended()
            } onGracefulShutdown: { [assembly] in
                assembly.end(nil)
            }
        } onCancel: { [assembly] in
            assembly.end(nil)
        }
        try await stop()
        if let failure { throw failure }
    }

    /// Stops the node in good order: everything is durable and its directory free afterwards.
    ///
    /// May be called more than once.
    public func stop() async throws(SteleError) {
        assembly.end(nil)
        await assembly.stop()
    }

    /// Has other nodes lead what this one leads, for good. It goes on serving clients, through them.
    ///
    /// Returns after a second at the latest, whether they do or not. ``stop()`` does this as well.
    package func handOver() async { await assembly.handOver() }

    /// The part of the keyspace that holds tables.
    package var sqlBackend: any DatabaseBackend { assembly.backend(.sql) }

    /// A number that no node of the cluster has given or will give, for rows without a key.
    package func uniqueNumber() -> UInt64 { assembly.uniqueNumber() }

    /// Microseconds since 1970, by this machine's wall clock.
    package static func wallClock() -> Int64 { Int64(SystemClocks.wall()) }

    /// Where the node's work is done, for fronts that want to work there too: the first is the loop of
    /// its core, and sessions are spread over all.
    package var eventLoops: any EventLoopGroup { assembly.group }

    package var eventLoop: any EventLoop { assembly.loop }

    /// What runs tasks on one of ``eventLoops``.
    package func executor(of loop: any EventLoop) -> any TaskExecutor {
        assembly.executor(of: loop)
    }
}
