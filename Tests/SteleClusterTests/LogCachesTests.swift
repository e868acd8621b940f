import SteleBase
import SteleRaft
import SteleTablet
import Testing

@testable import SteleCluster

@Suite struct LogCachesTests {
    private func log() -> TabletLog {
        TabletLog(
            recovered: RecoveredReplica(
                tablet: .firstData, replica: ReplicaID(1), hardState: HardState(),
                compacted: LogPosition(index: 0, term: 0), termRuns: [], lastIndex: 0, tail: []),
            configuration: ConfState(voters: [ReplicaID(1)]))
    }

    @Test func `the oldest entries of all tablets go, and the sum keeps to the budget`() throws {
        let logs = [log(), log(), log()]
        var caches = LogCaches(limit: 4_000)
        var random = SeededRandom(seed: 3)
        func change(_ tablet: Int, _ body: (TabletLog) -> Void) {
            let before = logs[tablet].cachedBytes
            body(logs[tablet])
            caches.changed(tablet, by: logs[tablet].cachedBytes - before) { logs[$0] }
            #expect(caches.bytes == logs.reduce(0) { $0 + $1.cachedBytes })
            #expect(caches.bytes <= 4_000)
        }
        for round in 0..<2_000 {
            // The last one is written at the beginning only.
            let tablet = round < 10 ? 2 : Int(random.below(2))
            change(tablet) { log in
                let payload = [UInt8](repeating: 1, count: Int(random.below(200)))
                let entry = Entry(term: 1, index: log.lastIndex + 1, payload: payload[...])
                log.append([entry], hardState: nil)
            }
            if random.oneIn(20) {
                change(tablet) { log in
                    log.compact(to: LogPosition(index: log.lastIndex, term: 1))
                }
            }
        }
        #expect(logs[2].cachedBytes == 0)
        #expect(logs[0].cachedBytes > 0 && logs[1].cachedBytes > 0)
    }
}
