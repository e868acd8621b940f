import SteleAPI
import SteleBase
import SteleClock
import SteleWire

/// One of every message there is between clients and nodes, with every optional part there and
/// missing.
package enum Samples {
    package static let introduction = Introduction(
        cluster: UniqueID(high: 1, low: 2), node: NodeID(3), instance: UniqueID(high: 4, low: 5),
        info: NodeInfo(
            address: "127.0.0.1:7400", postgres: "127.0.0.1:5433", pid: 4_711,
            bootTime: 1_700_000_000_000_000, locality: "region=eu,zone=a", version: "1.2.3"))

    package static let membership = ClusterMembership(
        cluster: UniqueID(high: 1, low: 2),
        nodes: [
            .init(node: NodeID(1), instance: UniqueID(high: 7, low: 8), address: "a:1"),
            .init(node: NodeID(2), instance: UniqueID(high: 9, low: 10), address: "b:2"),
        ],
        tablets: [[1, 2, 3], [], [4]])

    package static let status = StatusReport(
        cluster: UniqueID(high: 0, low: 255),
        nodes: [
            .init(
                id: NodeID(1), address: "127.0.0.1:7400", postgres: "127.0.0.1:5433", pid: 4_711,
                version: "1.2.3", uptime: 61, isLive: true, locality: "zone=a",
                clock: .init(standing: .confirmed, offset: 0...0, wait: 7, steps: 2)),
            .init(
                id: NodeID(2), address: "127.0.0.1:7401", isLive: false,
                clock: .init(
                    standing: .doubted, offset: -4_000_100 ... -3_999_900,
                    doubtedBy: [NodeID(1), NodeID(3)]), isOutdated: true),
        ],
        tablets: [
            .init(
                id: TabletID(1), start: [], end: [1], leader: NodeID(1),
                replicas: [NodeID(1), NodeID(2)], committed: 300, applied: 299, lag: [0, nil]),
            .init(id: TabletID(2), start: [1], end: [], leader: .none, replicas: [NodeID(1)]),
        ],
        storage: .init(
            freeBytes: 1 << 40, totalBytes: 2 << 40, logBytes: 7, storeBytes: 8, writes: .delayed),
        turns: turns)

    private static let turns: TurnStatistics = {
        var turns = TurnStatistics()
        for microseconds in [0, 3, 4_711] as [UInt64] { turns.add(microseconds, "scan, tablet 2") }
        return turns
    }()

    package static let scan = ScanRequest(
        range: KeyRange(start: [1], end: [2, 0]), limit: 100, reverse: true, writes: 7)

    package static let steps: [TransactionStep] = [
        TransactionStep(
            handle: 1,
            begin: TransactionOptions(
                isolation: .readCommitted, isReadOnly: false, timeout: .milliseconds(1_500),
                lockTimeout: .seconds(3)),
            effects: [
                .write([1], [2, 3]), .write([4], nil), .savepoint(1), .rollbackTo(1),
                .beginStatement, .expect([1], nil), .expect([], [2]),
            ],
            action: .get([[1], [], [2, 3]])),
        TransactionStep(
            handle: .max, begin: TransactionOptions(isolation: .snapshot, isReadOnly: true),
            action: .scan(scan)),
        TransactionStep(handle: 2, action: .lock([[1]], .exclusive, .skip, reading: [[2], []])),
        TransactionStep(handle: 2, action: .none),
        TransactionStep(handle: 2, action: .commit),
        TransactionStep(handle: 2, action: .rollback),
    ]

    package static let requests: [ClientRequest.Body] =
        [.status, .initialize, .bootstrap(membership)]
        + [
            DatabaseVerb.get([1, 2]), .put([], []), .put([1], [2]), .delete([9]), .scan(scan),
            .compareAndSet([1], expected: nil, new: [2]),
            .compareAndSet([1], expected: [], new: nil), .increment([1], by: -7),
        ].map { .database(.user, $0) } + steps.map { .database(.sql, .transaction($0)) }

    package static let replies: [ClientReply.Body] = [
        .done, .value(nil), .value([1, 2]), .values([nil, [], [1]]),
        .page(RowPage()),
        .page(
            RowPage(
                rows: [.init(key: [1], value: [2, 3]), .init(key: [4], value: [])],
                rest: KeyRange(start: [5], end: []))),
        .locked([
            LockedValue(isLocked: true, value: [1]), LockedValue(isLocked: false, value: nil),
        ]),
        .swapped(true, current: nil), .swapped(false, current: [1]), .number(.min),
        .committed(Timestamp(rawValue: 77)), .status(status),
        .failed(SteleError(.conflict, "somebody else was faster – ünlucky")),
    ]
}
