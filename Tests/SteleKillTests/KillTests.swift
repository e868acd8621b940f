import Foundation
import Testing

/// A process that writes through log and engine is killed with SIGKILL again and again.
@Suite struct KillTests {
    /// One life of the writer.
    private final class Life {
        private let process = Process()
        private let output = Pipe()
        private var pending: [UInt8] = []

        init(_ directory: String, _ arguments: [String] = []) throws {
            // Beside the tests, where the package manager puts all executables.
            let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
            process.executableURL = URL(filePath: tests).deletingLastPathComponent()
                .appending(path: "KillWriter")
            process.arguments = [directory] + arguments
            process.standardOutput = output
            try process.run()
        }

        /// The next line, nil at the end.
        func line() -> String? {
            while true {
                if let end = pending.firstIndex(of: 0x0A) {
                    defer { pending.removeFirst(end + 1) }
                    return String(decoding: pending[..<end], as: UTF8.self)
                }
                let data = output.fileHandleForReading.availableData
                if data.isEmpty { return nil }
                pending += data
            }
        }

        /// Kills it; true if it had not ended by itself.
        func kill() -> Bool {
            Foundation.kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            return process.terminationReason == .uncaughtSignal
        }

        func signal(_ number: Int32) { Foundation.kill(process.processIdentifier, number) }

        /// Returns once every thread has stopped; one that writes to the disk ends that before.
        func stop() -> Bool {
            signal(SIGSTOP)
            var information = siginfo_t()
            return waitid(P_PID, id_t(process.processIdentifier), &information, WSTOPPED) == 0
        }

        func end() -> Int32 {
            process.waitUntilExit()
            return process.terminationStatus
        }
    }

    /// What the writers have told so far.
    private struct Told {
        var acknowledged = 0
        var states = 0

        mutating func take(_ line: String) {
            let words = line.split(separator: " ")
            guard words.count == 2, let number = Int(words[1]) else {
                Issue.record("the writer says: \(line)")
                return
            }
            if words[0] == "state" {
                states += 1
                #expect(number >= acknowledged, "acknowledged writes are missing")
            }
            #expect(number >= acknowledged)
            acknowledged = number
        }
    }

    private func withDirectory(_ body: (String) throws -> Void) throws {
        let directory = NSTemporaryDirectory() + "stele-kill-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try body(directory)
    }

    /// The content of every file below a directory.
    private func files(_ directory: String) throws -> [String: Data] {
        var found: [String: Data] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: directory) {
            found[name] = FileManager.default.contents(atPath: directory + "/" + name)
        }
        return found
    }

    /// The second of two processes is told who it is that it may not disturb, and disturbs nothing.
    @Test func oneDirectoryTwoProcesses() throws {
        try withDirectory { directory in
            let first = try Life(directory)
            let state = first.line()
            #expect(state?.hasPrefix("state ") == true)
            #expect(first.stop())
            let before = try files(directory)
            #expect(before.count > 4)
            let reasons = [
                ("check", "\(directory)/log is open already, in this process or another"),
                ("store", "\(directory)/store: it is open already, in this process or another"),
            ]
            for (mode, reason) in reasons {
                let second = try Life(directory, [mode])
                let line = try #require(second.line())
                #expect(line.hasPrefix("refused: "))
                #expect(line.contains(reason))
                #expect(second.end() == 2)
            }
            let after = try files(directory)
            #expect(after.keys.sorted() == before.keys.sorted())
            for (name, content) in before { #expect(after[name] == content, "\(name) was changed") }
            first.signal(SIGCONT)
            #expect(first.line()?.hasPrefix("ack ") == true)
            #expect(first.kill())
        }
    }

    /// Whoever may not write into a store, or not list it, is told so and leaves it as it is. Root may
    /// do everything, so that the child is somebody else then.
    @Test(arguments: [0o555, 0o300])
    func aStoreThatMayNotBeUsed(mode: Int) throws {
        try withDirectory { directory in
            #expect(try Life(directory, ["store"]).end() == 0)
            let store = directory + "/store"
            let before = try files(store)
            #expect(before.count > 4)
            let stranger: uid_t = 65_534
            let user = getuid() == 0 ? ["\(stranger)"] : []
            // The owner's rights count for who may not list it, those of others for the other one.
            if mode == 0o300, getuid() == 0 { #expect(chown(store, stranger, stranger) == 0) }
            #expect(chmod(store, mode_t(mode)) == 0)
            defer { chmod(store, 0o755) }
            // The store itself, and one to be made where nothing may be made.
            let places = mode == 0o555 ? [directory, store] : [directory]
            for place in places {
                let child = try Life(place, ["store"] + user)
                let line = child.line() ?? "nothing"
                #expect(line.hasPrefix("refused: \(place)/store: "), "\(line)")
                #expect(child.end() == 2)
            }
            #expect(chmod(store, 0o755) == 0)
            let after = try files(store)
            #expect(after.keys.sorted() == before.keys.sorted())
            for (name, content) in before { #expect(after[name] == content, "\(name) was changed") }
        }
    }

    @Test func acknowledgedWritesSurviveFiftyKills() throws {
        try withDirectory(killFiftyTimes)
    }

    private func killFiftyTimes(_ directory: String) throws {
        var told = Told()
        for number in 0..<50 {
            let life = try Life(directory)
            // Every fifth is killed at any time, so that recovery is interrupted as well.
            if number % 5 != 4 { life.line().map { told.take($0) } }
            usleep(UInt32((number * 7919) % 60 * 1000))
            #expect(life.kill(), "the writer ended by itself")
            while let line = life.line() { told.take(line) }
        }
        let last = try Life(directory, ["check"])
        while let line = last.line() { told.take(line) }
        #expect(last.end() == 0)
        #expect(told.states >= 41)
        #expect(told.acknowledged > 100)
    }
}
