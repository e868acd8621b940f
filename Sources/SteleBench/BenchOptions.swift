import ArgumentParser
import SteleBase

#if canImport(Glibc)
    import Glibc
#endif

extension BenchWork: ExpressibleByArgument {}

/// The load of one measurement, as a command line tells it.
package struct BenchOptions: ParsableArguments, Sendable {
    /// What the options mean, for the help of a command.
    package static let discussion = """
        Each client calls, waits for the answer and calls again. put writes a key, get reads one, scan \
        reads 100 keys in order, txn writes two keys in one transaction, and mixed does five gets, four \
        puts and one txn of ten calls. Keys are drawn evenly from those that --keys and --prefix name; \
        --fill writes all of them first, without which get and scan find what earlier runs wrote. Half \
        of a value is random, so that it compresses to about half. The keys stay when the command has \
        ended.
        """

    @Argument(help: "What the clients do: put, get, scan, txn or mixed.")
    package var work: BenchWork
    @Option(help: "Addresses of nodes, separated by commas; connections take turns among them.")
    package var host = "127.0.0.1:7400"
    @Option(help: "How many clients there are.")
    package var clients = 32
    @Option(help: "How many connections they share; without it one for each address.")
    package var connections: Int?
    @Option(help: "For how many seconds.")
    package var seconds = 10.0
    @Option(help: "Bytes of a value.")
    package var valueSize = 128
    @Option(help: "How many different keys there are.")
    package var keys = 100_000
    @Option(help: "What the keys begin with.")
    package var prefix = "bench/"
    @Flag(help: "Write all keys first.")
    package var fill = false
    @Flag(help: "Print a JSON object, with how many calls succeeded in each second.")
    package var json = false

    package init() {}

    package func validate() throws {
        guard (1...10_000).contains(clients) else {
            throw ValidationError("--clients is from 1 to 10000")
        }
        guard connections.map({ (1...clients).contains($0) }) ?? true else {
            throw ValidationError("--connections is from 1 to the number of clients")
        }
        // How many calls each second carried is kept.
        guard seconds > 0, seconds <= 86_400 else {
            throw ValidationError("--seconds is above 0 and at most 86400")
        }
        guard (0...Limits.valueBytes).contains(valueSize) else {
            throw ValidationError("--value-size is from 0 to \(Limits.valueBytes) bytes")
        }
        guard (1...BenchKeys.most).contains(keys) else {
            throw ValidationError("--keys is from 1 to \(BenchKeys.most)")
        }
        guard prefix.utf8.count <= BenchKeys.longestPrefix else {
            throw ValidationError("--prefix is at most \(BenchKeys.longestPrefix) bytes")
        }
        guard !addresses.isEmpty else { throw ValidationError("--host names no address") }
    }

    private var addresses: [String] { host.split(separator: ",").map(String.init) }

    /// Connects, fills the keyspace if that is wanted, and puts load on it.
    ///
    /// - Parameters:
    ///   - tell: is given a line once a second, how far it has come.
    ///   - connect: makes a connection to the first of some addresses that answers.
    package func measure<Target: BenchTarget>(
        telling tell: (@Sendable (String) -> Void)? = nil,
        connecting connect: ([String]) async throws -> Target
    ) async throws -> BenchResult {
        let addresses = addresses
        var targets: [Target] = []
        defer { for target in targets { target.close() } }
        for number in 0..<min(connections ?? addresses.count, clients) {
            let first = number % addresses.count
            targets.append(try await connect(Array(addresses[first...] + addresses[..<first])))
        }
        let load = BenchLoad(
            targets: targets, clients: clients,
            keys: BenchKeys(prefix: Array(prefix.utf8), count: keys), valueBytes: valueSize)
        if fill {
            try await Self.telling(tell, { "\($0) of \(keys) keys written" }) {
                try await load.fill($0)
            }
        }
        let usedBefore = Self.processorSeconds
        let report = try await Self.telling(tell, { "\($0) calls succeeded" }) {
            await load.run(work, for: .seconds(seconds), $0)
        }
        return BenchResult(
            work: work, clients: clients, connections: targets.count, report: report,
            processorSeconds: Self.processorSeconds - usedBefore)
    }

    private static func telling<R>(
        _ tell: (@Sendable (String) -> Void)?, _ line: @escaping @Sendable (Int) -> String,
        _ body: (BenchProgress) async throws -> R
    ) async throws -> R {
        let progress = BenchProgress()
        let teller = Task {
            guard let tell else { return }
            while true {
                try await Task.sleep(for: .seconds(1))
                tell(line(progress.count))
            }
        }
        defer { teller.cancel() }
        return try await body(progress)
    }

    /// Processor time of this process, all threads together.
    private static var processorSeconds: Double {
        var now = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now)
        return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
    }
}
