import Foundation
import SteleAPI

#if canImport(Glibc)
    import Glibc
#endif

/// The processes of a demo cluster: started, watched, and ended together.
///
/// Invariant: no process is signalled but those that were started here. What a cluster says of its
/// nodes' processes can be said by another cluster that answers at the same addresses.
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

    init(_ nodes: [Node]) { self.nodes = nodes }

    /// Whether nodes have ended, which the user may have started again.
    var haveEnded: Bool { !reported.isEmpty }

    /// Starts all nodes, if their addresses are free: otherwise nothing is changed.
    func start() async throws {
        for node in nodes {
            try PostgresFront.checkIsFree(node.address)
            try PostgresFront.checkIsFree(node.postgres)
        }
        for node in nodes {
            do {
                try Self.createDirectory(node.directory)
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
                let cause = (error as? SteleError)?.message ?? error.localizedDescription
                throw SteleError(.configuration, "cannot start node \(node.number): \(cause)")
            }
        }
    }

    func pid(of number: Int) -> Int32 { processes[number - 1].processIdentifier }

    /// What a node that ended by itself had to say about it.
    func firstFailure() -> SteleError? {
        for (node, process) in zip(nodes, processes) where !process.isRunning {
            let log = (try? String(contentsOfFile: node.directory + "/stderr.log", encoding: .utf8))
            var line = log?.split(separator: "\n").last.map(String.init) ?? "it gave no reason"
            if line.hasPrefix("stele: ") { line.removeFirst("stele: ".count) }
            return SteleError(.configuration, "node \(node.number) ended: \(line)")
        }
        return nil
    }

    /// Whether a cluster's nodes are these processes.
    func areAll(_ pids: [Int32]) -> Bool {
        Set(pids) == Set(processes.map(\.processIdentifier))
    }

    /// Returns when the user interrupts; tells of nodes that end before that.
    func watch(until interrupts: Interrupts) async {
        while !interrupts.isRaised {
            for (node, process) in zip(nodes, processes)
            where !process.isRunning && reported.insert(node.number).inserted {
                let command = ([Self.executable] + node.arguments).map(Self.quoted)
                    .joined(separator: " ")
                try? printLine("node \(node.number) ended; start it again with\n  \(command)")
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

    /// Creates a directory for its owner alone, and those that it lies in.
    static func createDirectory(_ path: String) throws {
        var parent = ""
        for part in path.split(separator: "/", omittingEmptySubsequences: false) {
            parent += parent.isEmpty && !path.hasPrefix("/") ? part : "/" + part
            if part.isEmpty { continue }
            if mkdir(parent.replacingOccurrences(of: "//", with: "/"), 0o700) == 0 { continue }
            guard errno == EEXIST else { throw failure(to: "create the directory", path) }
        }
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            errno = ENOTDIR
            throw failure(to: "create the directory", path)
        }
    }

    private static func failure(to what: String, _ path: String) -> SteleError {
        SteleError(.configuration, "cannot \(what) \(path): \(String(cString: strerror(errno)))")
    }

    /// What nodes say is added to what they said before: that may be why they were started again.
    private static func logFile(_ path: String) throws -> FileHandle {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure(to: "write to", path) }
        return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
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
