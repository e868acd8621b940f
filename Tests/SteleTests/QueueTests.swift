import Foundation
import Logging
import Stele
import SteleAPI
import SteleBase
import Testing

/// A queue on a real store: elements come and go, and what they leave behind goes too.
@Suite struct QueueTests {
    private final class Scratch {
        let path = FileManager.default.temporaryDirectory
            .appendingPathComponent("stele-queue-\(UUID().uuidString)").path

        deinit { try? FileManager.default.removeItem(atPath: path) }

        /// The bytes of all files of the store.
        var storeBytes: Int {
            let files = FileManager.default.enumerator(atPath: path + "/store")
            var bytes = 0
            while let name = files?.nextObject() as? String {
                let attributes = try? FileManager.default.attributesOfItem(
                    atPath: path + "/store/" + name)
                bytes += (attributes?[.size] as? Int) ?? 0
            }
            return bytes
        }
    }

    /// The value of the first element.
    private func oldest(_ database: Database) async throws -> [UInt8]? {
        let transaction = try database.backend.begin(TransactionOptions(isReadOnly: true))
        defer { transaction.rollback() }
        var rest: KeyRange? = KeyRange(prefix: Key("queue").keyBytes)
        while let range = rest {
            let page = try await transaction.scan(range, limit: 1, reverse: false)
            if let row = page.rows.first { return Array(row.value) }
            rest = page.rest
        }
        return nil
    }

    /// Each round replaces all elements. With history kept for ever the last one would have to pass
    /// what all rounds left.
    @Test func `a queue has a stable size and a stable scan time`() async throws {
        let scratch = Scratch()
        var logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        logger.logLevel = .critical
        var configuration = NodeConfiguration(
            directory: scratch.path, cacheBytes: 8 << 20, logger: logger)
        configuration.retention = .milliseconds(400)
        let node = try await Node.start(configuration)
        let database = node.database
        let elements = 5_000
        var times: [Duration] = []
        var sizes: [Int] = []
        for round in 0..<30 {
            try await database.write { transaction in
                for element in 0..<elements {
                    let number = round * elements + element
                    try await transaction.put(Key("queue", number), number)
                    if round > 0 {
                        try await transaction.delete(Key("queue", number - elements))
                    }
                }
            }
            var fastest = Duration.seconds(1_000)
            for _ in 0..<3 {
                let start = ContinuousClock.now
                #expect(try await oldest(database) != nil)
                fastest = min(fastest, ContinuousClock.now - start)
            }
            times.append(fastest)
            sizes.append(scratch.storeBytes)
            try await Task.sleep(for: .milliseconds(200))
        }
        try await Task.sleep(for: .seconds(2))
        try await node.stop()
        // 150,000 elements went through, whose versions and deletions take up 10 MB and more.
        #expect(scratch.storeBytes < 3 << 20, "\(sizes)")
        // With nothing given up, each of the last rounds would pass three times what the tenth did.
        let (early, late) = (times.prefix(10).max(), times.suffix(5).min())
        #expect(try #require(late) < #require(early), "\(times)")
    }
}
