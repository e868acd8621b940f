import SteleAPI
import SteleBase
import SteleClock
import SteleEngine
import SteleTablet

/// A database whose kernel is in this process: transactions and single operations on one keyspace.
package struct KernelBackend: DatabaseBackend {
    private let port: any RequestPort
    private let keyspace: Keyspace
    private let memory: BufferedBytes

    /// - Parameter memory: shared by all transactions of the node.
    package init(port: any RequestPort, keyspace: Keyspace, memory: BufferedBytes) {
        self.port = port
        self.keyspace = keyspace
        self.memory = memory
    }

    package var now: UInt64 { port.now }

    package func begin(
        _ options: TransactionOptions, by deadline: Deadline
    ) throws(SteleError) -> any TransactionBackend {
        try TransactionCoordinator(
            id: try port.nextTransaction(), options: options, deadline: deadline, port: port,
            keyspace: keyspace, memory: memory)
    }

    package func get(
        _ key: KeyBytes, by deadline: Deadline
    ) async throws(SteleError) -> [UInt8]? {
        let request = TabletRequest(
            transaction: .none, body: .read(keys: [keyspace.key(key)], at: nil))
        let timeLeft = try timeLeft(until: deadline)
        let reply: TabletReply
        if let answer = port.answerAtOnce(request) {
            reply = answer
        } else {
            reply = await port.send(request, timeout: timeLeft, token: port.nextToken())
        }
        guard case .values(let values, _) = reply, values.count == 1 else {
            throw reply.errorWithoutEffect
        }
        return values[0]
    }

    package func readAtOnce(
        _ keys: [KeyBytes], scanning range: KeyRange?, limit: Int, reverse: Bool
    ) -> (values: [[UInt8]?], page: RowPage)? {
        let request = TabletRequest(
            transaction: .none, body: .read(keys: keys.map(keyspace.key), at: nil))
        guard case .values(let values, let timestamp)? = port.answerAtOnce(request),
            values.count == keys.count
        else { return nil }
        guard let range else { return (values, RowPage()) }
        let full = keyspace.range(range)
        if full.isEmpty { return (values, RowPage()) }
        let scan = TabletRequest.ScanRequest(
            range: full, timestamp: timestamp,
            limits: ScanLimits(rows: limit, keys: Limits.scanPageKeys), reverse: reverse)
        guard
            case .page(let page, timestamp)? = port.answerAtOnce(
                TabletRequest(transaction: .none, body: .scan(scan)))
        else { return nil }
        return (values, Self.rows(page, of: range, reverse: reverse))
    }

    package func put(
        _ key: KeyBytes, _ value: [UInt8]?, by deadline: Deadline
    ) async throws(SteleError) {
        let write = TabletRequest.CommitRequest.Write(key: keyspace.key(key), value: value)
        let reply = await port.send(
            TabletRequest(
                transaction: try port.nextTransaction(), body: .commit(.init(writes: [write]))),
            timeout: try timeLeft(until: deadline), token: port.nextToken())
        guard case .committed = reply else { throw reply.error }
    }

    /// The rows of one page of a range, as they are called in their keyspace.
    private static func rows(_ page: ScanPage, of range: KeyRange, reverse: Bool) -> RowPage {
        var rows: [RowPage.Row] = []
        rows.reserveCapacity(page.count)
        page.forEachRow { rows.append(.init(key: $0.key.dropFirst(), value: $0.value)) }
        return RowPage(
            rows: rows, rest: page.resumeKey.map { range.rest(from: $0[...], reverse: reverse) })
    }

    package func standBack(upTo most: Duration) async { await port.standBack(upTo: most) }

    /// How long a call may wait for its answer.
    private func timeLeft(until deadline: Deadline) throws(SteleError) -> Duration {
        // Nothing is sent then, so nothing is in doubt.
        if Task.isCancelled { throw SteleError(.cancelled, "the call was cancelled") }
        let most = TransactionOptions.defaultCallTimeout
        if deadline == .never { return most }
        guard let left = deadline.timeLeft(from: port.now) else { throw .timedOut }
        return min(left, most)
    }
}
