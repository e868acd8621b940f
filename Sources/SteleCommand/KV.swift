import ArgumentParser
import Foundation
import SteleAPI
import SteleClient

/// Single keys from the shell. Values go to standard output as they are.
struct KV: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kv", abstract: "Reads and writes keys.",
        subcommands: [
            Get.self, Put.self, Delete.self, Scan.self, CompareAndSet.self, Increment.self,
        ])

    struct Get: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints the value of a key; exits with 1 if there is none.")
        @Argument var key: String
        @OptionGroup var target: HostOption
        @Flag(help: "Print a JSON object.") var json = false

        func run() async throws {
            let value = try await target.withClient {
                try await $0.database.get(key, as: [UInt8].self)
            }
            guard let value else { throw SteleError(.invalidArgument, "no such key: \(key)") }
            if json {
                printLine(JSONText.object([("key", .bytes(Array(key.utf8))), ("value", .bytes(value))]))
            } else {
                FileHandle.standardOutput.write(Data(value + [0x0A]))
            }
        }
    }

    struct Put: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Writes a key; durable on a majority when it returns.")
        @Argument var key: String
        @Argument(help: "The value; - reads it from standard input.") var value: String
        @OptionGroup var target: HostOption

        func run() async throws {
            let bytes =
                value == "-"
                ? [UInt8](FileHandle.standardInput.readDataToEndOfFile()) : Array(value.utf8)
            try await target.withClient { try await $0.database.put(key, bytes) }
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Deletes a key.")
        @Argument var key: String
        @OptionGroup var target: HostOption

        func run() async throws {
            try await target.withClient { try await $0.database.delete(key) }
        }
    }

    struct Scan: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints the keys that begin with a prefix, and their values, in order.")
        @Argument(help: "The prefix; without it all keys.") var prefix = ""
        @OptionGroup var target: HostOption
        @Option(help: "At most so many.") var limit = Int.max
        @Flag(help: "In descending order.") var reverse = false
        @Flag(help: "Print a JSON object a line.") var json = false

        func run() async throws {
            try await target.withClient { client in
                try await client.database.read { transaction in
                    var count = 0
                    for try await entry in transaction.scan(prefix: prefix, reverse: reverse) {
                        guard count < limit else { break }
                        count += 1
                        let value = try entry.value(as: [UInt8].self)
                        if json {
                            printLine(
                                JSONText.object([
                                    ("key", .bytes(entry.key)), ("value", .bytes(value)),
                                ]))
                        } else {
                            FileHandle.standardOutput.write(
                                Data(entry.key + [0x09] + value + [0x0A]))
                        }
                    }
                }
            }
        }
    }

    struct CompareAndSet: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "cas",
            abstract: "Writes a key if it has an expected value; exits with 1 if it has not.")
        @Argument var key: String
        @Argument(help: "The value that it must have.") var expected: String
        @Argument(help: "The value that it gets.") var value: String
        @OptionGroup var target: HostOption
        @Flag(help: "Expect that there is no such key; the expected value is ignored.")
        var absent = false

        func run() async throws {
            let isSet = try await target.withClient {
                try await $0.compareAndSet(
                    key, expected: absent ? nil : Array(expected.utf8), new: Array(value.utf8))
            }
            guard isSet else {
                throw SteleError(.conflict, "the key \(key) does not have the expected value")
            }
        }
    }

    struct Increment: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Adds to a whole number and prints the result; an absent key counts as 0.")
        @Argument var key: String
        @Option(parsing: .unconditional, help: "What is added; may be negative.") var by = 1
        @OptionGroup var target: HostOption

        func run() async throws {
            let value = try await target.withClient { try await $0.increment(key, by: by) }
            printLine("\(value)")
        }
    }
}
