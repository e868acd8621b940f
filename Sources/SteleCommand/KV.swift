import ArgumentParser
import Foundation
import SteleAPI
import SteleBase
import SteleClient

/// Single keys from the shell. Keys and values are bytes.
struct KV: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kv", abstract: "Reads and writes keys.",
        discussion: """
            Keys and values are bytes, taken as the shell passes them; --hex is for keys that cannot be \
            typed. What begins with - goes behind --, after all options.

            Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no such key, 4 not the expected value, \
            5 it is not known whether the write took effect.
            """,
        subcommands: [
            Get.self, Put.self, Delete.self, Scan.self, CompareAndSet.self, Increment.self,
        ])

    /// How keys are given and shown.
    struct KeyOptions: ParsableArguments {
        @Flag(help: "Keys are given and printed in hexadecimal.") var hex = false

        func key(_ argument: RawArgument) throws -> [UInt8] {
            hex ? try argument.decodedHex() : argument.bytes
        }

        func shown(_ key: [UInt8], raw: Bool) -> [UInt8] {
            hex ? RawArgument.hex(key) : raw ? key : Output.visible(key)
        }
    }

    struct Get: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints the value of a key; exits with 3 if there is none.",
            discussion: """
                On a terminal a line break follows and control characters are escaped; elsewhere, and \
                with --raw, the value is printed as it is.
                """)
        @Argument(help: "The key.") var key: RawArgument
        @OptionGroup var keys: KeyOptions
        @OptionGroup var target: HostOption
        @Flag(help: "Print the value as it is.") var raw = false
        @Flag(help: "Print a JSON object.") var json = false

        func run() async throws {
            let key = try keys.key(key)
            let value = try await target.withClient { client in
                try await client.database.get(key, as: [UInt8].self)
            }
            guard let value else {
                let shown = String(decoding: keys.shown(key, raw: false), as: UTF8.self)
                throw CommandFailure(.noSuchKey, "no such key: \(shown)")
            }
            if json {
                try printLine(JSONText.object([("key", .bytes(key)), ("value", .bytes(value))]))
            } else if raw || !Output.isTerminal {
                try Output.write(value)
            } else {
                try Output.write(Output.visible(value) + [0x0A])
            }
        }
    }

    struct Put: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Writes a key; durable on a majority when it returns.")
        @Argument(help: "The key.") var key: RawArgument
        @Argument(help: "The value; - reads it from standard input.") var value: RawArgument
        @OptionGroup var keys: KeyOptions
        @OptionGroup var target: HostOption

        func run() async throws {
            let key = try keys.key(key)
            let bytes = value.bytes == [UInt8(ascii: "-")] ? try Self.standardInput() : value.bytes
            try await target.write { try await $0.database.put(key, bytes) }
        }

        /// What standard input holds, and no more of it than shows that it is too long.
        private static func standardInput() throws -> [UInt8] {
            do {
                return [UInt8](
                    try FileHandle.standardInput.read(upToCount: Limits.valueBytes + 1) ?? Data())
            } catch {
                throw CommandFailure(.failed, "standard input cannot be read: \(error)")
            }
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Deletes a key.")
        @Argument(help: "The key.") var key: RawArgument
        @OptionGroup var keys: KeyOptions
        @OptionGroup var target: HostOption

        func run() async throws {
            let key = try keys.key(key)
            try await target.write { try await $0.database.delete(key) }
        }
    }

    struct Scan: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints the keys that begin with a prefix, and their values, in order.",
            discussion: """
                A line has a key, a tab and a value. On a terminal control characters are escaped; --json \
                is for values with line breaks.
                """)
        @Argument(help: "The prefix; without it all keys.") var prefix = RawArgument(argument: "")
        @OptionGroup var keys: KeyOptions
        @OptionGroup var target: HostOption
        @Option(help: "At most so many.") var limit = Int.max
        @Flag(help: "In descending order.") var reverse = false
        @Flag(help: "Print keys and values as they are.") var raw = false
        @Flag(help: "Print a JSON object a line.") var json = false

        func validate() throws {
            guard limit >= 0 else { throw ValidationError("--limit is 0 or more") }
        }

        func run() async throws {
            let (keys, limit, reverse, json) = (keys, limit, reverse, json)
            let prefix = try keys.key(prefix)
            let isRaw = raw || !Output.isTerminal
            @Sendable func show(_ entry: Entry) throws {
                let value = try entry.value(as: [UInt8].self)
                if json {
                    try printLine(
                        JSONText.object([("key", .bytes(entry.key)), ("value", .bytes(value))]))
                } else {
                    try Output.write(
                        keys.shown(entry.key, raw: isRaw) + [0x09]
                            + (isRaw ? value : Output.visible(value)) + [0x0A])
                }
            }
            try await target.withClient { client in
                try await client.database.read { transaction in
                    var count = 0
                    guard limit > 0 else { return }
                    do {
                        for try await entry in transaction.scan(prefix: prefix, reverse: reverse) {
                            count += 1
                            try show(entry)
                            if count == limit { break }
                        }
                    } catch let error as SteleError where count > 0 {
                        // Another node would begin anew, on another snapshot.
                        throw CommandFailure(
                            .failed, "the scan ended after \(count) keys: \(error.message)")
                    }
                }
            }
        }
    }

    struct CompareAndSet: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "cas",
            abstract: "Writes a key if it has an expected value; exits with 4 if it has not.",
            usage: "stele kv cas KEY EXPECTED VALUE\nstele kv cas KEY VALUE --absent")
        @Argument(help: "The key.") var key: RawArgument
        @Argument(help: "The value that it must have, and the one that it gets; with --absent that only.")
        var values: [RawArgument]
        @OptionGroup var keys: KeyOptions
        @OptionGroup var target: HostOption
        @Flag(help: "Expect that there is no such key.") var absent = false

        func validate() throws {
            guard values.count == (absent ? 1 : 2) else {
                throw ValidationError(
                    absent
                        ? "with --absent a key and a value are expected"
                        : "a key, the expected value and the new value are expected")
            }
        }

        func run() async throws {
            let key = try keys.key(key)
            let expected = absent ? nil : values[0].bytes
            let new = values[values.count - 1].bytes
            let isSet = try await target.write { client in
                try await client.compareAndSet(key, expected: expected, new: new)
            }
            guard isSet else {
                let shown = String(decoding: keys.shown(key, raw: false), as: UTF8.self)
                throw CommandFailure(
                    .notExpected, "the key \(shown) does not have the expected value")
            }
        }
    }

    struct Increment: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Adds to a whole number and prints the result; an absent key counts as 0.")
        @Argument(help: "The key.") var key: RawArgument
        @Option(parsing: .unconditional, help: "What is added; may be negative.") var by = 1
        @OptionGroup var keys: KeyOptions
        @OptionGroup var target: HostOption

        func run() async throws {
            let key = try keys.key(key)
            let by = by
            let value = try await target.write { try await $0.increment(key, by: by) }
            try printLine("\(value)")
        }
    }
}
