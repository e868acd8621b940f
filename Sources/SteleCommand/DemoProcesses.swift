import Foundation
import SteleAPI

/// The processes of a demo cluster: started, watched, and ended together.
final class DemoProcesses: @unchecked Sendable {
    // Safety: the command's own task uses it, or waits for the one task that does.
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
    /// Nodes that the user started again after they had ended.
    private var replacements: [Int32] = []

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
    ///
    /// - Parameter pids: asks the cluster for the processes of its nodes.
    func watch(until interrupts: Interrupts, pids: () async -> [Int32]) async {
        var round = 0
        while !interrupts.isRaised {
            round += 1
            if !reported.isEmpty, round % 10 == 0 {
                let own = processes.map(\.processIdentifier)
                let known = await pids()
                if !known.isEmpty { replacements = known.filter { !own.contains($0) } }
            }
            for (node, process) in zip(nodes, processes)
            where !process.isRunning && reported.insert(node.number).inserted {
                let command = ([Self.executable] + node.arguments).map(Self.quoted)
                    .joined(separator: " ")
                printLine("node \(node.number) ended; start it again with\n  \(command)")
            }
            try? await Task.sleep(for: .milliseconds(100))
        }
    }

    /// Asks all processes to end, and kills those that do not within ten seconds. A node that the
    /// user started again is asked too.
    func stop() {
        for pid in replacements { kill(pid, SIGTERM) }
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

    /// This program itself, as a shell in the same directory finds it.
    static var executable: String {
        let path =
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
            ?? CommandLine.arguments[0]
        let here = FileManager.default.currentDirectoryPath + "/"
        return path.hasPrefix(here) ? "./" + path.dropFirst(here.count) : path
    }

    /// A word as a shell takes it.
    static func quoted(_ word: String) -> String {
        let isPlain = word.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "-_./:,=@%+".utf8.contains(byte)
            }
        }
        return isPlain && !word.isEmpty
            ? word : "'" + word.replacingOccurrences(of: "'", with: "'\\''") + "'"
    }
}
