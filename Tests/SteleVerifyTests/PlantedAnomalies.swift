import SteleVerify
import Testing

/// One history for each anomaly, written down by hand, with the levels that do not allow it.
struct PlantedAnomalies {
    /// Expects an anomaly from one level on and nothing below.
    private func expect(
        _ kind: AppendAnomaly.Kind, from lowest: AppendChecker.Level, in history: AppendHistory,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        for level in AppendChecker.Level.allCases {
            let kinds = history.kinds(level, AppendChecker.Order.none)
            if level < lowest {
                #expect(kinds == [], "\(level)", sourceLocation: sourceLocation)
            } else {
                #expect(kinds.contains(kind), "\(level)", sourceLocation: sourceLocation)
            }
        }
    }

    @Test func nothingAtAll() {
        #expect(AppendHistory().kinds(.strictSerializable) == [])
    }

    @Test func oneAfterTheOther() {
        var history = AppendHistory()
        history.alone(0, [.append(1, 1), .read(1, [1])])
        history.alone(1, [.read(1, [1]), .append(1, 2), .append(2, 1)])
        history.alone(0, [.read(2, [1]), .read(1, [1, 2])])
        #expect(history.kinds(.strictSerializable) == [])
    }

    @Test func g0() {
        var history = AppendHistory()
        history.together([.append(1, 1), .append(2, 1)], [.append(1, 2), .append(2, 2)])
        history.alone(2, [.read(1, [1, 2])])
        history.alone(2, [.read(2, [2, 1])])
        expect(.g0, from: .readCommitted, in: history)
    }

    @Test func writesOfOneTransactionTornApart() {
        var history = AppendHistory()
        history.together([.append(1, 1), .append(1, 3)], [.append(1, 2)])
        history.alone(2, [.read(1, [1, 2, 3])])
        expect(.g0, from: .readCommitted, in: history)
    }

    @Test func g1a() {
        var history = AppendHistory()
        history.alone(0, [.append(1, 1)], .fail)
        history.alone(1, [.read(1, [1])])
        expect(.g1a, from: .readCommitted, in: history)
    }

    @Test func whatIsUnknownMayBeRead() {
        var history = AppendHistory()
        history.alone(0, [.append(1, 1), .append(2, 1)], .info)
        history.alone(1, [.read(1, [1]), .read(2, [1])])
        #expect(history.kinds(.strictSerializable) == [])
        history.alone(1, [.read(2, [])])
        #expect(history.kinds(.strictSerializable) == [.gSingle])
    }

    @Test func g1b() {
        var history = AppendHistory()
        history.together([.append(1, 1), .append(1, 2)], [.read(1, [1])])
        history.alone(2, [.read(1, [1, 2])])
        expect(.g1b, from: .readCommitted, in: history)
    }

    @Test func g1c() {
        var history = AppendHistory()
        history.together(
            [.append(1, 1), .read(2, [1])], [.append(2, 1), .read(1, [1])])
        expect(.g1c, from: .readCommitted, in: history)
    }

    @Test func gSingle() {
        var history = AppendHistory()
        // Read skew: the first one sees key 1 before the second one and key 2 after it.
        history.together(
            [.read(1, []), .read(2, [1])], [.append(1, 1), .append(2, 1)])
        history.alone(2, [.read(1, [1])])
        expect(.gSingle, from: .snapshotIsolation, in: history)
    }

    @Test func lostUpdate() {
        var history = AppendHistory()
        history.alone(0, [.append(1, 1)])
        history.together(
            [.read(1, [1]), .append(1, 2)], [.read(1, [1]), .append(1, 3)])
        history.alone(2, [.read(1, [1, 2, 3])])
        expect(.lostUpdate, from: .snapshotIsolation, in: history)
        expect(.gSingle, from: .snapshotIsolation, in: history)
    }

    @Test func longFork() {
        var history = AppendHistory()
        // Two writers that meet no key of each other's, seen in either order: two anti-dependencies
        // that are not next to each other.
        history.together(
            [.append(1, 1)], [.append(2, 1)], [.read(1, [1]), .read(2, [])],
            [.read(1, []), .read(2, [1])])
        expect(.gNonadjacent, from: .snapshotIsolation, in: history)
    }

    @Test func writeSkew() {
        var history = AppendHistory()
        history.together(
            [.read(1, []), .append(2, 1)], [.read(2, []), .append(1, 1)])
        history.alone(2, [.read(1, [1]), .read(2, [1])])
        expect(.g2Item, from: .serializable, in: history)
    }

    /// Fekete, O'Neil and O'Neil, "A Read-Only Transaction Anomaly Under Snapshot Isolation".
    @Test func readOnlyAnomaly() {
        var history = AppendHistory()
        history.together(
            [.read(1, []), .read(2, []), .append(1, 1)], [.read(2, []), .append(2, 1)],
            [.read(1, []), .read(2, [1])])
        history.alone(4, [.read(1, [1]), .read(2, [1])])
        expect(.g2Item, from: .serializable, in: history)
    }

    @Test func selfContradictions() {
        var history = AppendHistory()
        history.alone(0, [.append(1, 1), .read(1, [])])
        expect(.internal, from: .readCommitted, in: history)
        history = AppendHistory()
        history.together([.read(1, []), .read(1, [1])], [.append(1, 1)])
        expect(.internal, from: .snapshotIsolation, in: history)
    }

    @Test func incompatibleOrder() {
        var history = AppendHistory()
        history.together([.append(1, 1)], [.append(1, 2)])
        history.alone(2, [.read(1, [1, 2])])
        history.alone(2, [.read(1, [2])])
        expect(.incompatibleOrder, from: .readCommitted, in: history)
    }

    @Test func duplicateWrite() {
        var history = AppendHistory()
        history.alone(0, [.append(1, 1)])
        history.alone(2, [.read(1, [1, 1])])
        expect(.duplicateWrite, from: .readCommitted, in: history)
    }

    @Test func readOfWhatNobodyWrote() {
        var history = AppendHistory()
        history.alone(2, [.read(1, [7])])
        expect(.unwrittenRead, from: .readCommitted, in: history)
    }

    @Test func lostWrite() {
        var history = AppendHistory()
        history.alone(0, [.append(1, 1)])
        history.alone(0, [.append(1, 2)])
        history.alone(2, [.read(1, [1])])
        expect(.lostWrite, from: .readCommitted, in: history)
    }

    @Test func aWriteThatNobodyLookedForIsNotLost() {
        var history = AppendHistory()
        history.alone(2, [.read(1, [])])
        history.alone(0, [.append(1, 1)])
        history.alone(0, [.append(2, 1)])
        #expect(history.kinds(.strictSerializable) == [])
    }

    @Test func aValueUsedTwiceCannotBeJudged() {
        var history = AppendHistory()
        history.alone(0, [.append(1, 1)])
        history.alone(1, [.append(1, 1)])
        expect(.reusedValue, from: .readCommitted, in: history)
    }

    // MARK: Order in time

    @Test func staleReadNeedsRealTime() {
        var history = AppendHistory()
        history.alone(0, [.append(1, 1)])
        history.alone(1, [.read(1, [])])
        history.alone(2, [.read(1, [1])])
        #expect(history.kinds(.serializable) == [])
        #expect(history.kinds(.serializable, .process) == [])
        #expect(history.kinds(.strictSerializable) == [.gSingle])
        #expect(history.kinds(.snapshotIsolation, .realTime) == [.gSingle])
        #expect(history.kinds(.readCommitted, .realTime) == [])
    }

    @Test func notReadingOnesOwnWriteNeedsTheProcess() {
        var history = AppendHistory()
        history.alone(0, [.append(1, 1)])
        history.alone(0, [.read(1, [])])
        history.alone(2, [.read(1, [1])])
        #expect(history.kinds(.serializable) == [])
        #expect(history.kinds(.serializable, .process) == [.gSingle])
        let found = AppendChecker(level: .serializable, order: .process).check(history.history)
        #expect(found.first?.order == .process)
    }

    @Test func writesAgainstRealTime() {
        var history = AppendHistory()
        history.alone(0, [.append(1, 1)])
        history.alone(1, [.append(1, 2)])
        history.alone(2, [.read(1, [2, 1])])
        #expect(history.kinds(.serializable) == [])
        let found = AppendChecker(level: .strictSerializable).check(history.history)
        #expect(found.kinds == [.g0])
        #expect(found.first?.order == .realTime)
    }

    /// Two writes whose order in time is turned round by way of a third transaction.
    @Test func causalReverse() {
        var history = AppendHistory()
        history.begin(2, [.read(1, []), .read(2, [1])])
        history.alone(0, [.append(1, 1)])
        history.alone(1, [.append(2, 1)])
        history.end(2, .ok, [.read(1, []), .read(2, [1])])
        history.alone(3, [.read(1, [1])])
        #expect(history.kinds(.serializable) == [])
        #expect(history.kinds(.strictSerializable) == [.gSingle])
    }

    @Test func realTimeIsKeptThroughTransactionsBetween() {
        // The first and the last one never stand next to each other in the list of what has ended.
        var history = AppendHistory()
        history.alone(0, [.append(1, 1)])
        for process in 1..<6 { history.alone(process, [.append(2, process)]) }
        history.alone(7, [.read(1, [])])
        history.alone(8, [.read(1, [1])])
        let found = AppendChecker(level: .strictSerializable).check(history.history)
        #expect(found.kinds == [.gSingle])
    }

    @Test func whatOverlapsHasNoOrder() {
        var history = AppendHistory()
        history.begin(0, [.append(1, 1)])
        history.alone(1, [.read(1, [])])
        history.alone(2, [.append(1, 2)])
        history.end(0, .ok, [.append(1, 1)])
        history.alone(3, [.read(1, [2, 1])])
        #expect(history.kinds(.strictSerializable) == [])
    }

    // MARK: Explanations

    @Test func aCircleIsExplainedInWords() throws {
        var history = AppendHistory()
        history.together(
            [.read(1, []), .append(2, 10)], [.read(2, []), .append(1, 20)])
        history.alone(2, [.read(1, [20]), .read(2, [10])])
        let found = try #require(
            AppendChecker(level: .serializable).check(history.history).first)
        #expect(
            found.description == """
                G2-item
                  T1 = process 0, events 0…2, ok: [:r 1 []] [:append 2 10]
                  T2 = process 1, events 1…3, ok: [:r 2 []] [:append 1 20]
                  T1 before T2: it read key 1 empty, which was followed by the append of 20
                  T2 before T1: it read key 2 empty, which was followed by the append of 10
                """)
    }

    @Test func theShortestCircleIsShown() throws {
        var history = AppendHistory()
        // A long circle of reads and a short one in the same component.
        history.together(
            [.read(1, []), .append(2, 1)], [.read(2, []), .append(3, 1)],
            [.read(3, []), .append(4, 1)],
            [.read(4, []), .append(1, 1), .append(5, 1), .read(6, [])],
            [.read(5, []), .append(6, 1)])
        history.alone(9, (1...6).map { .read($0, [1]) })
        let found = try #require(
            AppendChecker(level: .serializable).check(history.history).first)
        #expect(found.transactions.count == 2)
    }
}
