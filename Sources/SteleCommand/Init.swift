import ArgumentParser
import SteleAPI

/// Forms a cluster of nodes that were started with `--join`.
struct Init: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Initialises a new cluster: once, on one of the nodes started with --join.",
        discussion: "Waits up to 10 seconds, or --timeout, for all of them to listen.")
    @OptionGroup var target: HostOption

    private static let patience = 10.0

    func run() async throws {
        let end = ContinuousClock.now + .seconds(target.timeout ?? Self.patience)
        while true {
            do {
                try await target.write { try await $0.initialize() }
                return try printLine("the cluster is initialised")
            } catch let error as SteleError
            where error.code == .unavailable && ContinuousClock.now < end {
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }
}
