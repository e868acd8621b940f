import ArgumentParser
import Foundation
import Logging
import Stele
import SteleAPI
import SteleBase
import SteleWire

#if canImport(Glibc)
    import Glibc
#endif

extension Logger.Level: @retroactive ExpressibleByArgument {}

/// One node as a process of its own.
struct Start: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Runs a node until it is stopped.")
    @Option(help: "The node's directory; created if it does not exist.") var data: String
    @Option(help: "HOST:PORT for peers, clients and administration.") var listen: String
    @Option(help: "Addresses of the nodes that form a cluster, separated by commas.")
    var join: String?
    @Option(help: "HOST:PORT for Postgres clients.") var postgres: String?
    @Option(help: "Where the node stands, such as region=eu,zone=a.") var locality = ""
    @Option(help: "Seconds for which what was overwritten can be read; the same on all nodes.")
    var retention = 3_600.0
    @Option(help: "MiB that the log of a tablet is kept to for nodes that are down.")
    var tabletLog = Limits.tabletLogBytes >> 20
    @Option(help: "MiB that the logs of all tablets of the node are kept to.")
    var nodeLog = Limits.nodeLogBytes >> 20
    @Option(help: "MiB of memory for blocks of the store and rows that were read.")
    var cacheSize = Limits.cacheBytes >> 20
    @Option(help: "What is logged: what is at least as severe as this.")
    var logLevel = Logger.Level.notice
    @Flag(help: "Allow addresses other than loopback, without encryption or passwords.")
    var insecure = false
    @Flag(help: .hidden) var withParent = false

    func validate() throws {
        guard retention >= 0.001, retention <= 365 * 86_400 else {
            throw ValidationError("--retention is from 0.001 to 31536000 seconds")
        }
        guard tabletLog >= 1, nodeLog >= tabletLog, nodeLog <= 1 << 20 else {
            throw ValidationError(
                "--tablet-log is at least 1 MiB, and --node-log from there to 1048576 MiB")
        }
        guard (8...1 << 20).contains(cacheSize) else {
            throw ValidationError("--cache-size is from 8 to 1048576 MiB")
        }
        guard !data.isEmpty else { throw ValidationError("--data names no directory") }
        // Who joins nobody is a cluster by itself for ever.
        if let join, join.split(separator: ",").isEmpty {
            throw ValidationError("--join names no node")
        }
        for address in join?.split(separator: ",") ?? [] {
            do {
                _ = try NetworkAddress(parsing: String(address))
            } catch {
                throw ValidationError(error.message)
            }
        }
        for address in [listen, postgres].compactMap({ $0 }) {
            let parsed: NetworkAddress
            do {
                parsed = try NetworkAddress(parsing: address)
            } catch {
                throw ValidationError(error.message)
            }
            guard insecure || parsed.isLoopback else {
                throw ValidationError(
                    "\(address) is not a loopback address; give --insecure to listen there "
                        + "without encryption and passwords")
            }
        }
    }

    func run() async throws {
        Self.raiseDescriptorLimit()
        let interrupts = Interrupts()
        if withParent { Self.end(interrupts, afterParent: getppid()) }
        var logger = Logger(label: "stele") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = logLevel
        // Before the directory becomes a node's: a start that fails is to change nothing.
        try PostgresFront.checkIsFree(postgres)
        var configuration = NodeConfiguration(
            directory: data, listen: listen,
            join: join?.split(separator: ",").map(String.init) ?? [],
            postgresAddress: postgres, locality: locality, cacheBytes: cacheSize << 20,
            logger: logger)
        configuration.isInsecure = insecure
        configuration.retention = .milliseconds(Int64(retention * 1_000))
        configuration.tabletLogBytes = tabletLog << 20
        configuration.nodeLogBytes = nodeLog << 20
        let recovery = interrupts.exitWhenRaised()
        let node = try await Node.start(configuration)
        do {
            let front = try await PostgresFront.start(on: node, address: postgres)
            logger.notice(
                "the node listens",
                metadata: [
                    "address": "\(node.address ?? listen)", "postgres": "\(postgres ?? "none")",
                ])
            recovery.end()
            let stopper = Task {
                await interrupts.wait()
                let watchdog = Self.watchdog(logger)
                // First of all: others lead while this node's own clients are sent away.
                await node.handOver()
                await front?.stop()
                try? await node.stop()
                watchdog.cancel()
            }
            try await node.run()
            if interrupts.isRaised { await stopper.value } else { await front?.stop() }
        } catch {
            try? await node.stop()
            throw error
        }
    }

    /// Ends the process if its good order takes too long, as it does for ever with a disk that hangs.
    /// That is as after a crash: nothing that was acknowledged is lost.
    private static func watchdog(_ logger: Logger) -> Task<Void, any Error> {
        Task {
            try await Task.sleep(for: .seconds(3))
            logger.error(
                """
                a stop in good order took too long, as with a disk that hangs: the next start takes \
                longer
                """)
            Foundation.exit(1)
        }
    }

    /// A demo's nodes end with it, however it ends.
    private static func end(_ interrupts: Interrupts, afterParent parent: pid_t) {
        Task {
            while getppid() == parent { try await Task.sleep(for: .milliseconds(200)) }
            interrupts.raise()
        }
    }

    /// The store keeps its files open and every connection is one more.
    private static func raiseDescriptorLimit() {
        var limit = rlimit()
        #if canImport(Glibc)
            let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        #else
            let resource = RLIMIT_NOFILE
        #endif
        guard getrlimit(resource, &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(resource, &limit)
    }
}
