import ArgumentParser
import SteleAPI
import SteleClient

/// Which node a command talks to, and for how long.
struct HostOption: ParsableArguments {
    @Option(help: "The address of any node, or several separated by commas.")
    var host = "127.0.0.1:7400"
    @Option(help: "Seconds after which the command is given up; without it the client decides.")
    var timeout: Double?

    func validate() throws {
        guard timeout.map({ $0 > 0 && $0 <= 86_400 }) ?? true else {
            throw ValidationError("--timeout is above 0 and at most 86400 seconds")
        }
    }

    /// Connects, runs `body`, and disconnects: with the first of the addresses whose node serves.
    ///
    /// One that cannot be reached, belongs to no cluster yet or is about to start has done nothing, so
    /// the next is asked. The last one's answer counts.
    ///
    /// - Parameter isAnswer: whether a node has answered what was asked, rather than that it cannot.
    func withClient<R: Sendable>(
        isAnswer: @escaping @Sendable (R) -> Bool = { _ in true },
        _ body: @escaping @Sendable (SteleClient) async throws -> R
    ) async throws -> R {
        let addresses = host.split(separator: ",").map(String.init)
        return try await inTime {
            for address in addresses.dropLast() {
                do {
                    let result = try await Self.ask(address, body)
                    if isAnswer(result) { return result }
                } catch let error as SteleError
                where error.code == .unavailable || error.code == .notInitialized { continue }
            }
            return try await Self.ask(addresses.last ?? "", body)
        }
    }

    private static func ask<R: Sendable>(
        _ address: String, _ body: @escaping @Sendable (SteleClient) async throws -> R
    ) async throws -> R {
        let client = try await SteleClient.connect(to: [address])
        defer { client.close() }
        return try await body(client)
    }

    /// The same for what changes something: then it matters whether it may have been done.
    func write<R: Sendable>(
        _ body: @escaping @Sendable (SteleClient) async throws -> R
    ) async throws -> R {
        do {
            return try await withClient(body)
        } catch let error as SteleError
        where error.code == .commitOutcomeUnknown || error.code == .cancelled {
            throw CommandFailure(
                .unknownOutcome,
                "it is not known whether the write took effect: \(error.message)")
        } catch let error as TimedOut {
            throw CommandFailure(
                .unknownOutcome,
                "it is not known whether the write took effect: \(error.description)")
        }
    }

    struct TimedOut: Error, CustomStringConvertible {
        let seconds: Double
        var description: String { "no answer came within \(seconds) s" }
    }

    private func inTime<R: Sendable>(
        _ body: @escaping @Sendable () async throws -> R
    ) async throws -> R {
        guard let timeout else { return try await body() }
        return try await withThrowingTaskGroup(of: R.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await Task.sleep(for: .seconds(timeout))
                throw TimedOut(seconds: timeout)
            }
            defer { group.cancelAll() }
            guard let result = try await group.next() else { throw TimedOut(seconds: timeout) }
            return result
        }
    }
}
