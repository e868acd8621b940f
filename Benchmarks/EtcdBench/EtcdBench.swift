import ArgumentParser
import SteleBench

/// `EtcdBench WORK`: see Benchmarks/cluster.
@main
struct EtcdBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "EtcdBench", abstract: "Puts the load of stele bench on a cluster of etcd.")
    @OptionGroup var options: BenchOptions

    func run() async throws {
        let result = try await options.measure { try await EtcdClient.connect(to: $0[0]) }
        print(options.json ? result.json : result.text)
        if result.report.failures > 0 {
            throw ValidationError(result.report.firstFailure ?? "calls failed")
        }
    }
}
