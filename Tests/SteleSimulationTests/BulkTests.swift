import SteleAPI
import SteleBase
import SteleClock
import SteleEngine
import SteleTablet
import Testing

@testable import SteleSimulation

/// Very large requests beside the usual ones: no turn of any node takes long, and nothing is lost.
///
/// That no turn does too much is checked in every run; here it would.
struct BulkTests {
    private static let count = 20_000

    private static func key(_ number: Int) -> KeyBytes {
        [1, 0x7A, UInt8(number >> 8 & 0xFF), UInt8(number & 0xFF)]
    }

    private static let range = KeyRange(prefix: [1, 0x7A])

    /// Steps, one after the other, each until it succeeds.
    private final class Bulk {
        let cluster: SimulatedCluster
        var readAt = Timestamp.zero
        var pages = 0
        var rows = 0
        var isDone = false

        init(_ cluster: SimulatedCluster) { self.cluster = cluster }

        private var node: SimulatedNode { cluster.nodes[1] }

        func begin() {
            write([1]) { [self] in
                scan(from: BulkTests.range, at: nil) { [self] in
                    let seen = rows
                    // More than is remembered, so that the engine has to be asked.
                    write([2], from: 0x7B) { [self] in
                        validate { [self] in
                            write(nil) { [self] in
                                rows = 0
                                scan(from: BulkTests.range, at: nil) { [self] in
                                    isDone = seen == BulkTests.count && rows == 0
                                }
                            }
                        }
                    }
                }
            }
        }

        private func write(
            _ value: [UInt8]?, from table: UInt8 = 0x7A, then next: @escaping () -> Void
        ) {
            let writes = (0..<BulkTests.count).map { number in
                var key = BulkTests.key(number)
                key[1] = table
                return TabletRequest.CommitRequest.Write(key: key, value: value)
            }
            commit(.init(writes: writes), next)
        }

        private func validate(_ next: @escaping () -> Void) {
            commit(
                .init(
                    readTimestamp: readAt, readRanges: [BulkTests.range],
                    writes: [.init(key: [1, 0x79], value: [1])]), next)
        }

        private func commit(
            _ commit: TabletRequest.CommitRequest, _ next: @escaping () -> Void
        ) {
            guard let transaction = node.takeTransaction() else {
                return cluster.after(10_000) { [self] in self.commit(commit, next) }
            }
            let request = TabletRequest(transaction: transaction, body: .commit(commit))
            cluster.submit(
                request, to: node, token: cluster.nextToken(), timeout: 5_000_000
            ) { [self] reply in
                cluster.note(reply, to: request)
                if case .committed? = reply { return next() }
                cluster.fail("a bulk commit ended with \(String(describing: reply))")
            }
        }

        private func scan(
            from rest: KeyRange, at timestamp: Timestamp?, then next: @escaping () -> Void
        ) {
            let request = TabletRequest(
                transaction: .none,
                body: .scan(
                    .init(
                        range: rest, timestamp: timestamp, limits: .init(rows: 2_000),
                        reverse: false)))
            cluster.submit(
                request, to: node, token: cluster.nextToken(), timeout: 5_000_000
            ) { [self] reply in
                guard case .page(let page, let at)? = reply else {
                    return cluster.fail("a scan ended with \(String(describing: reply))")
                }
                pages += 1
                rows += page.count
                readAt = at
                guard let resumeKey = page.resumeKey else { return next() }
                scan(from: KeyRange(start: resumeKey, end: rest.end), at: at, then: next)
            }
        }
    }

    @Test func `bulk loads, long validations and deleted stretches take short turns`() throws {
        var scenario = try #require(Scenario.named("calm", seed: 3))
        scenario.clients = 2
        scenario.duration = 8_000_000
        scenario.thinkTime = 50_000
        scenario.disk.flushThreshold = 64 << 20
        let cluster = SimulatedCluster(seed: 3, scenario: scenario, defect: .none, observer: nil)
        let bulk = Bulk(cluster)
        cluster.begin()
        cluster.after(2_000_000) { bulk.begin() }
        cluster.runToEnd()
        cluster.judge()
        #expect(cluster.result.failure == nil)
        #expect(bulk.isDone && bulk.pages >= Self.count / Limits.scanPageKeys)
        #expect(cluster.result.counts.leaderships <= 4)
    }
}
