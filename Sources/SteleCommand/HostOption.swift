import ArgumentParser
import SteleAPI
import SteleClient

/// Which node a command talks to.
struct HostOption: ParsableArguments {
    @Option(help: "The address of any node, or several separated by commas.")
    var host = "127.0.0.1:7400"

    /// Connects, runs `body`, and disconnects.
    func withClient<R>(_ body: (SteleClient) async throws -> R) async throws -> R {
        let client = try await SteleClient.connect(to: host.split(separator: ",").map(String.init))
        do {
            let result = try await body(client)
            client.close()
            return result
        } catch {
            client.close()
            throw error
        }
    }
}
