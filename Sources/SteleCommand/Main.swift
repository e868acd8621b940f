import ArgumentParser
import Foundation
import SteleAPI
import SteleBase

/// The command line. Exit codes: 0 done, 1 failed with one line on stderr, 2 wrong usage, and those of
/// ``CommandFailure``.
struct SteleTool: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stele",
        abstract: "A replicated, transactional key-value store with a SQL front.",
        version: "stele \(steleVersion)",
        subcommands: [Demo.self, Start.self, Init.self, KV.self, Status.self, Bench.self])
}

@main
enum Main {
    static func main() async {
        // A peer or a pipe that went away is an error of one write, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try SteleTool.parseAsRoot(RawArgument.all())
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
        // As a shell reports of programs that are ended by a pipe without a reader.
        if error is Output.ReaderGone { return 128 + SIGPIPE }
        if let code = error as? ExitCode { return code.rawValue }
        if let failure = error as? CommandFailure {
            printError("stele: " + failure.message)
            return failure.code.rawValue
        }
        switch SteleTool.exitCode(for: error) {
        case .success:
            try? printLine(SteleTool.fullMessage(for: error))
            return 0
        case .validationFailure:
            printError(SteleTool.fullMessage(for: error))
            if CommandLine.arguments.contains("kv") {
                printError("A key or value that begins with - goes behind --, after all options.")
            }
            return 2
        default:
            let text = (error as? SteleError)?.message ?? SteleTool.message(for: error)
            printError("stele: " + text.split(separator: "\n").joined(separator: " "))
            return 1
        }
    }
}
