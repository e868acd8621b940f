import Foundation
import Synchronization

/// A session of PostgreSQL 15 that is told what a session of ours is told, so that a test can compare
/// the answers: in a database of its own, which is empty at first.
///
/// `Tests/Postgres/run` starts the server and says where it is in `STELE_POSTGRES_PORT`.
package final class Judge {
    private let client: PostgresClient
    private let database: String

    /// Databases that no session uses.
    private static let free = Mutex<(names: [String], made: Int)>(([], 0))

    /// nil if PostgreSQL does not run beside the tests.
    package init?(settings: [(String, String)] = []) throws {
        guard let setting = ProcessInfo.processInfo.environment["STELE_POSTGRES_PORT"],
            let port = UInt16(setting)
        else { return nil }
        let (name, isNew) = Self.free.withLock { free -> (String, Bool) in
            if let name = free.names.popLast() { return (name, false) }
            free.made += 1
            return ("judge_\(free.made)", true)
        }
        database = name
        if isNew {
            let maker = try PostgresClient(port: port, user: "postgres")
            _ = try Self.run("drop database if exists \(name)", maker)
            _ = try Self.run("create database \(name) template template0", maker)
        } else {
            let cleaner = try PostgresClient(port: port, user: "postgres", database: name)
            _ = try Self.run("drop schema public cascade; create schema public", cleaner)
        }
        client = try PostgresClient(
            port: port, user: "postgres", database: name, settings: settings)
    }

    deinit {
        let name = database
        Self.free.withLock { $0.names.append(name) }
    }

    private static func run(_ text: String, _ client: PostgresClient) throws -> Answer {
        try client.converse(
            PostgresClient.message("Q", PostgresClient.text(text)), readies: 1)[0]
    }

    /// What a text is answered in the simple protocol.
    package func answer(to text: String, copyData: [[UInt8]] = []) throws -> Answer {
        try client.converse(
            PostgresClient.message("Q", PostgresClient.text(text)), readies: 1,
            copyData: copyData)[0]
    }

    /// What a statement is answered in the extended protocol; values are text.
    package func answer(
        to text: String, _ values: [String?], types: [UInt32], maxRows: Int
    ) throws -> Answer {
        typealias Client = PostgresClient
        var bytes = Client.message(
            "P", [0] + Client.text(text) + Client.short(types.count)
                + types.flatMap { Client.integer(Int($0)) })
        let parameters = values.flatMap { value in
            value.map { Client.integer($0.utf8.count) + Array($0.utf8) } ?? Client.integer(-1)
        }
        bytes += Client.message(
            "B", [0, 0] + Client.short(0) + Client.short(values.count) + parameters
                + Client.short(0))
        bytes += Client.message("E", [0] + Client.integer(maxRows)) + Client.message("S", [])
        return try client.converse(bytes, readies: 1)[0]
    }
}
