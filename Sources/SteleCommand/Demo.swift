import ArgumentParser
import Foundation
import SteleAPI
import SteleClient

/// A cluster of real processes on this machine: each node is a `stele start` of its own.
struct Demo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs a cluster of processes on this machine until Ctrl-C.")
    @Option(help: "How many nodes.") var nodes = 3
    @Option(help: "Keep the data here; with data in it, the cluster comes back as it was.")
    var data: String?
    @Option(help: "The first node's port; the others count up.") var port = 7400
    @Option(help: "The first node's Postgres port; the others count up.") var postgresPort = 5433

    func validate() throws {
        guard data != "" else { throw ValidationError("--data names no directory") }
        guard (1...9).contains(nodes) else { throw ValidationError("--nodes takes 1 to 9") }
        for first in [port, postgresPort] {
            guard (1...(65_536 - nodes)).contains(first) else {
                throw ValidationError("\(first) is no port to count up from")
            }
        }
        guard port + nodes <= postgresPort || postgresPort + nodes <= port else {
            throw ValidationError(
                "--port \(port) and --postgres-port \(postgresPort) count up to the same ports")
        }
    }

    func run() async throws {
        let directory = try data ?? Self.temporaryDirectory()
        let processes = DemoProcesses(
            (1...nodes).map { node in
                DemoProcesses.Node(
                    number: node, directory: "\(directory)/node\(node)",
                    address: address(node), postgres: postgres(node),
                    join: (1...nodes).map(address))
            })
        let interrupts = Interrupts()
        do {
            try await processes.start()
            guard try await form(processes, interrupts) else { throw ExitCode(130) }
            // Nobody has to read it: the cluster is there all the same.
            try? printLine(greeting(directory, processes))
            await processes.watch(until: interrupts)
        } catch {
            processes.stop()
            if data == nil { try? FileManager.default.removeItem(atPath: directory) }
            throw error
        }
        // Nodes that were started again by hand are their users'.
        let keepsData = data != nil || processes.haveEnded
        try? printLine("stopping")
        processes.stop()
        if !keepsData {
            try? FileManager.default.removeItem(atPath: directory)
        } else if data == nil {
            try? printLine("a node that was started again by hand goes on; data in \(directory)")
        }
    }

    /// Waits until the nodes answer, initialises the cluster if it is new, waits until it serves.
    ///
    /// - Returns: false if the user interrupts.
    private func form(
        _ processes: DemoProcesses, _ interrupts: Interrupts
    ) async throws -> Bool {
        let forming = Task { try await form(processes) }
        let watching = Task {
            await interrupts.wait()
            forming.cancel()
        }
        defer { watching.cancel() }
        do {
            try await forming.value
            return true
        } catch {
            if interrupts.isRaised { return false }
            throw error
        }
    }

    private func form(_ processes: DemoProcesses) async throws {
        let deadline = Date().addingTimeInterval(30)
        for node in 1...nodes {
            try await retry(until: deadline, processes) {
                try await connect([address(node)]) { _ = try await $0.status() }
            }
        }
        try await retry(until: deadline, processes) {
            try await connect([address(1)]) { client in
                if try await client.status().nodes.isEmpty { try await client.initialize() }
            }
        }
        for node in 1...nodes {
            try await retry(until: deadline, processes) {
                try await connect([address(node)]) { client in
                    _ = try await client.database.get("", as: [UInt8].self)
                    guard try await processes.areAll(pids(client)) else {
                        throw SteleError(
                            .configuration, "another cluster answers at \(address(node))")
                    }
                }
            }
        }
    }

    /// The processes that serve the cluster, as one of its nodes knows them.
    private func pids(_ client: SteleClient) async throws -> [Int32] {
        try await client.status().nodes.map { Int32(clamping: $0.pid) }
    }

    private func connect(
        _ addresses: [String], _ body: (SteleClient) async throws -> Void
    ) async throws {
        let client = try await SteleClient.connect(to: addresses)
        do {
            try await body(client)
        } catch {
            client.close()
            throw error
        }
        client.close()
    }

    private func retry(
        until deadline: Date, _ processes: DemoProcesses, _ body: () async throws -> Void
    ) async throws {
        while true {
            do {
                return try await body()
            } catch {
                if let failure = processes.firstFailure() { throw failure }
                guard !Task.isCancelled, Date() < deadline else { throw error }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    private func address(_ node: Int) -> String { "127.0.0.1:\(port + node - 1)" }

    private func postgres(_ node: Int) -> String { "127.0.0.1:\(postgresPort + node - 1)" }

    private func greeting(_ directory: String, _ processes: DemoProcesses) -> String {
        let stele = DemoProcesses.quoted(DemoProcesses.executable)
        var lines = ["", "A Stele cluster of \(nodes) is up; data in \(directory)", ""]
        for node in processes.nodes {
            lines.append(
                "  node \(node.number)   \(node.address)   pid \(processes.pid(of: node.number))   "
                    + "psql -h 127.0.0.1 -p \(postgresPort + node.number - 1) -U postgres postgres")
        }
        lines += [
            "",
            "  \(stele) status --host \(address(1))",
            "  \(stele) kv put greeting hello --host \(address(1))",
            "  pgbench -h 127.0.0.1 -p \(postgresPort) -U postgres -i -s 1 postgres",
            "",
            "A node that was killed comes back with the command that this program then prints.",
            "Ctrl-C stops the cluster" + (data == nil ? " and removes its data." : "."),
        ]
        return lines.joined(separator: "\n")
    }

    private static func temporaryDirectory() throws -> String {
        let path = FileManager.default.temporaryDirectory
            .appendingPathComponent("stele-demo-\(UUID().uuidString)").path
        try DemoProcesses.createDirectory(path)
        return path
    }
}
