import ArgumentParser

/// Forms a cluster of nodes that were started with `--join`.
struct Init: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Initialises a new cluster: once, on one of the nodes started with --join.")
    @OptionGroup var target: HostOption

    func run() async throws {
        try await target.withClient { try await $0.initialize() }
        try printLine("the cluster is initialised")
    }
}
