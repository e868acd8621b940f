import Foundation
import SteleAPI

/// The processes of a demo cluster: started, watched, and ended together.
final class DemoProcesses {
    struct Node {
        var number: Int
        var directory: String
        var address: String
        var postgres: String
        var join: [String]

        var arguments: [String] {
            [
                "start", "--data", directory, "--listen", address, "--postgres", postgres,
            ] + (join.count > 1 ? ["--join", join.joined(separator: ",")] : [])
        }
    }

    let nodes: [Node]
    private var processes: [Process] = []
    private var reported: Set<Int> = []

    init(_ nodes: [Node]) { self.nodes = nodes }

    func start() throws {
        for node in nodes {
            do {
                try FileManager.default.createDirectory(
                    atPath: node.directory, withIntermediateDirectories: true)
                let process = Process()
                process.executableURL = URL(fileURLWithPath: Self.executable)
                process.arguments = node.arguments + ["--with-parent"]
                process.standardInput = FileHandle.nullDevice
                process.standardOutput = FileHandle.nullDevice
                process.standardError = try Self.logFile(node.directory + "/stderr.log")
                try process.run()
                processes.append(process)
            } catch {
                stop()
                throw SteleError(
                    .configuration, "cannot start node \(node.number): \(error.localizedDescription)")
            }
        }
    }

    func pid(of number: Int) -> Int32 { processes[number - 1].processIdentifier }

    /// What a node that ended by itself had to say about it.
    func firstFailure() -> SteleError? {
        for (node, process) in zip(nodes, processes) where !process.isRunning {
            let log = (try? String(contentsOfFile: node.directory + "/stderr.log", encoding: .utf8))
            let line = log?.split(separator: "\n").last.map(String.init) ?? "it gave no reason"
            return SteleError(.configuration, "node \(node.number) ended: \(line)")
        }
        return nil
    }

    /// Returns when the user interrupts; tells of nodes that end before that.
    func watch(until interrupts: Interrupts) async {
        while !interrupts.isRaised {
            for (node, process) in zip(nodes, processes)
            where !process.isRunning && reported.insert(node.number).inserted {
                let command = ([Self.executable] + node.arguments).joined(separator: " ")
                printLine("node \(node.number) ended; start it again with\n  \(command)")
            }
            try? await Task.sleep(for: .milliseconds(100))
        }
    }

    /// Asks all processes to end, and kills those that do not within ten seconds.
    func stop() {
        for process in processes where process.isRunning { process.terminate() }
        let deadline = Date().addingTimeInterval(10)
        for process in processes {
            while process.isRunning, Date() < deadline { usleep(20_000) }
            if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        }
    }

    private static func logFile(_ path: String) throws -> FileHandle {
        guard FileManager.default.createFile(atPath: path, contents: nil) else {
            throw SteleError(.configuration, "cannot create \(path)")
        }
        return try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    }

    /// This program itself.
    private static var executable: String {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
            ?? CommandLine.arguments[0]
    }
}
