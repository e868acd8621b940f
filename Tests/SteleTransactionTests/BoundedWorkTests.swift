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

    @Test func `a transaction of very many locked writes takes many short turns`() async throws {
        let count = 50_000
        let transaction = try kernel.backend.begin(TransactionOptions(isolation: .readCommitted))
        // Out of order, and some of them twice.
        let numbers = (0..<count).map { $0 * 7_919 % count }
        for start in stride(from: 0, to: count, by: 10_000) {
            let keys = numbers[start..<start + 10_000].map(key)
            _ = try await transaction.lock(keys, .exclusive, .wait)
        }
        for number in numbers { try transaction.write(key(number), [1]) }
        for number in stride(from: 0, to: count, by: 3) { try transaction.write(key(number), [2]) }
        try await transaction.commit()
        #expect(kernel.longestTurn < Self.longestTurn)
        let values = try await kernel.database.read { transaction in
            var values: [[UInt8]] = []
            for try await entry in transaction.scan(prefix: "") {
                values.append(try entry.value(as: [UInt8].self))
            }
            return values
        }
        #expect(values == (0..<count).map { [$0 % 3 == 0 ? 2 : 1] })
        // All locks are free.
        let next = try kernel.backend.begin(TransactionOptions(isolation: .readCommitted))
        for start in stride(from: 0, to: count, by: 10_000) {
            let keys = (start..<start + 10_000).map(key)
            _ = try await next.lock(keys, .exclusive, .fail)
        }
        next.rollback()
        #expect(kernel.memory.held == 0)
        #expect(kernel.longestTurn < Self.longestTurn)
    }

    @Test(arguments: [10, 1_000, 5_000])
    func `blind writes meet others' locks, however many there are of either`(
        count: Int
    ) async throws {
        let holder = try kernel.backend.begin(TransactionOptions(isolation: .readCommitted))
        let locked = (0..<1_000).map { key($0 * 5 + 1) }
        _ = try await holder.lock(locked, .exclusive, .wait)
        let kernel = self.kernel
        let keys = (0..<count).map(key)
        let writer = Task {
            let writer = try kernel.backend.begin(TransactionOptions(isolation: .snapshot))
            for key in keys { try writer.write(key, [7]) }
            try await writer.commit()
        }
        while kernel.unanswered == 0 { await Task.yield() }
        #expect(try await kernel.backend.get(key(0)) == nil)
        try holder.write(key(1), [9])
        try await holder.commit()
        try await writer.value
        #expect(try await kernel.backend.get(key(1)) == [7])
    }
}
