import SteleAPI
import SteleBase
import SteleTransaction
import Testing

/// No request does more in one turn than heartbeats and other clients can wait for.
@Suite struct BoundedWorkTests {
    private let kernel: LocalKernel

    init() throws { kernel = try LocalKernel() }

    /// Nanoseconds, as the core estimates its work. One page may begin when the turn is nearly over.
    private static let longestTurn = 2 * Limits.turnWork

    private func key(_ number: Int) -> KeyBytes {
        [UInt8(number >> 16 & 0xFF), UInt8(number >> 8 & 0xFF), UInt8(number & 0xFF)]
    }

    private func write(_ keys: Range<Int>, _ value: [UInt8]?) async throws {
        let transaction = try kernel.backend.begin(TransactionOptions(isolation: .snapshot))
        for number in keys { try transaction.write(key(number), value) }
        try await transaction.commit()
    }

    @Test(arguments: [false, true])
    func `a scan over deleted rows goes on in pages`(reverse: Bool) async throws {
        let count = 20_000
        try await write(0..<count, [1])
        try await write(0..<count, nil)
        let live = reverse ? 0 : count - 1
        try await write(live..<live + 1, [2])
        let transaction = try kernel.backend.begin(TransactionOptions(isReadOnly: true))
        let before = kernel.requests
        var rest: KeyRange? = .all
        var rows: [RowPage.Row] = []
        while let range = rest, rows.isEmpty {
            let page = try await transaction.scan(range, limit: 1, reverse: reverse)
            rows += page.rows
            rest = page.rest
        }
        #expect(rows.map { Array($0.key) } == [key(live)])
        #expect(kernel.requests - before == (count - 1) / Limits.scanPageKeys + 1)
        let seen = try await kernel.database.read { transaction in
            var seen = 0
            for try await _ in transaction.scan(prefix: "", reverse: reverse) { seen += 1 }
            return seen
        }
        #expect(seen == 1)
    }
}
