import ArgumentParser
import Foundation
import Logging
import Stele
import SteleAPI
import SteleWire

#if canImport(Glibc)
    import Glibc
#endif

/// One node as a process of its own.
struct Start: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Runs a node until it is stopped.")
    @Option(help: "The node's directory; created if it does not exist.") var data: String
    @Option(help: "HOST:PORT for peers, clients and administration.") var listen: String
    @Option(help: "Addresses of the nodes that form a cluster, separated by commas.")
    var join: String?
    @Option(help: "HOST:PORT for Postgres clients.") var postgres: String?
    @Option(help: "Where the node stands, such as region=eu,zone=a.") var locality = ""
    @Flag(help: "Allow addresses other than loopback, without encryption or passwords.")
    var insecure = false
    @Flag(help: .hidden) var withParent = false

    func validate() throws {
        for address in [listen, postgres].compactMap({ $0 }) {
            do {
                _ = try NetworkAddress(parsing: address)
            } catch {
                throw ValidationError(error.message)
            }
            if insecure { continue }
            guard Self.isLoopback(address) else {
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
        logger.logLevel = .notice
        // Before the directory becomes a node's: a start that fails is to change nothing.
        try await PostgresFront.checkIsFree(postgres)
        let node = try await Node.start(
            NodeConfiguration(
                directory: data, listen: listen,
                join: join?.split(separator: ",").map(String.init) ?? [],
                postgresAddress: postgres, locality: locality, logger: logger))
        do {
            let front = try await PostgresFront.start(on: node, address: postgres)
            logger.notice("listening on \(node.address ?? listen)")
            let stopper = Task {
                await interrupts.wait()
                await front?.stop()
                try? await node.stop()
            }
            try await node.run()
            if interrupts.isRaised { await stopper.value } else { await front?.stop() }
        } catch {
            try? await node.stop()
            throw error
        }
    }

    /// A demo's nodes end with it, however it ends.
    private static func end(_ interrupts: Interrupts, afterParent parent: pid_t) {
        Task {
            while getppid() == parent { try await Task.sleep(for: .milliseconds(200)) }
            interrupts.raise()
        }
    }

    private static func isLoopback(_ address: String) -> Bool {
        let host = address.split(separator: ":").dropLast().joined(separator: ":")
        return host.hasPrefix("127.") || host == "localhost" || host == "[::1]"
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
