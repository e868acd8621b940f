import ArgumentParser
import Foundation
import SteleAPI

/// The command line. Exit codes: 0 done, 1 failed with one line on stderr, 2 wrong usage.
struct SteleTool: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stele",
        abstract: "A replicated, transactional key-value store with a SQL front.",
        version: "stele \(steleVersion)",
        subcommands: [Demo.self, Start.self, Init.self, KV.self, Status.self])
}

/// The version of this program.
let steleVersion = "0.1.0"

@main
enum Main {
    static func main() async {
        // A peer or a pipe that went away is an error of one write, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try SteleTool.parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            exit(report(error))
        }
    }

    private static func report(_ error: any Error) -> Int32 {
        switch SteleTool.exitCode(for: error) {
        case .success:
            print(SteleTool.fullMessage(for: error))
            return 0
        case .validationFailure:
            printError(SteleTool.fullMessage(for: error))
            return 2
        default:
            let text = (error as? SteleError)?.message ?? SteleTool.message(for: error)
            printError("stele: " + text.split(separator: "\n").joined(separator: " "))
            return 1
        }
    }
}

/// Writes one line to standard error.
func printError(_ line: String) {
    FileHandle.standardError.write(Data((line + "\n").utf8))
}

/// Writes one line to standard output, at once even if that is a pipe.
func printLine(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}
