import ArgumentParser
import Foundation
import SteleAPI
import SteleBench
import SteleClient

/// Load from this process, and how much of it the cluster carried.
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Puts load on a cluster and prints how much of it was carried.",
        discussion: BenchOptions.discussion)
    @OptionGroup var options: BenchOptions

    func run() async throws {
        let tell: @Sendable (String) -> Void = { printError($0) }
        let isWatched = isatty(STDERR_FILENO) == 1
        let result = try await options.measure(telling: isWatched ? tell : nil) {
            (addresses: [String]) async throws -> Target in
            Target(client: try await SteleClient.connect(to: addresses))
        }
        try printLine(options.json ? result.json : result.text)
        guard result.report.count > 0 else {
            throw CommandFailure(
                .failed, "no call succeeded: \(result.report.firstFailure ?? "none had ended")")
        }
    }

    private struct Target: BenchTarget {
        let client: SteleClient

        func get(_ key: [UInt8]) async throws {
            _ = try await client.database.get(key, as: [UInt8].self)
        }

        func put(_ key: [UInt8], _ value: [UInt8]) async throws {
            try await client.database.put(key, value)
        }

        func scan(from start: [UInt8], to end: [UInt8]) async throws {
            try await client.database.read { transaction in
                for try await _ in transaction.scan(from: start, to: end) {}
            }
        }

        func write(_ pairs: [(key: [UInt8], value: [UInt8])]) async throws {
            try await client.database.write { transaction in
                for (key, value) in pairs { try await transaction.put(key, value) }
            }
        }

        func close() { client.close() }
    }
}
