import SteleBase
import SteleClock
import Testing

@testable import SteleTablet

@Suite struct RecentWritesTests {
    private func time(_ step: Int) -> Timestamp { Timestamp(microseconds: UInt64(step)) }
    private func writer(_ number: Int) -> TransactionID {
        TransactionID(node: NodeID(1), sequence: UInt64(number))
    }

    @Test func `knows the newest write of each key and forgets the oldest commands first`() {
        // Room for three commands of one short key.
        var recent = RecentWrites(lowWater: time(10), byteLimit: 3 * 257)
        for step in 11...13 {
            recent.append([[UInt8(step % 2)]], by: writer(step), at: time(step), settled: .zero)
        }
        #expect(recent.newestWrite(of: [1]) == time(13) && recent.newestWrite(of: [0]) == time(12))
        #expect(recent.newestWrite(of: [2]) == nil && recent.lowWater == time(10))
        #expect(recent.timestamp(of: writer(11)) == time(11))
        recent.append([[2]], by: writer(14), at: time(14), settled: time(13))
        #expect(recent.lowWater == time(11) && recent.count == 3)
        #expect(recent.timestamp(of: writer(11)) == nil)
        // The newer write of the same key stays.
        #expect(recent.newestWrite(of: [1]) == time(13))
        #expect(recent.place(above: time(12)) == 1 && recent.keyCount(from: 1) == 2)
        recent.forget(upTo: time(13))
        #expect(recent.newestWrite(of: [1]) == nil && recent.newestWrite(of: [2]) == time(14))
        #expect(recent.lowWater == time(13) && recent.newestTimestamp == time(14))
    }

    @Test func `nothing in flight is forgotten, however much there is`() {
        var recent = RecentWrites(lowWater: time(10), byteLimit: 0)
        for step in 11...20 {
            recent.append([[1]], by: writer(step), at: time(step), settled: time(12))
        }
        #expect(recent.count == 8 && recent.lowWater == time(12))
    }

    @Test func `agrees with a plain list of writes`() {
        var random = SeededRandom(seed: 7)
        var recent = RecentWrites(lowWater: .zero, byteLimit: 40 * 257)
        var all: [(key: KeyBytes, time: Timestamp)] = []
        for step in 1...2_000 {
            let keys = Set((0...random.below(3)).map { _ in KeyBytes([UInt8(random.below(50))]) })
                .sorted { $0.precedes($1) }
            recent.append(keys, by: writer(step), at: time(step), settled: time(step - 1))
            all += keys.map { ($0, time(step)) }
            if random.oneIn(100) { recent.forget(upTo: time(step - Int(random.below(5)))) }
            let kept = all.filter { $0.time > recent.lowWater }
            for key in 0..<50 as Range<UInt8> {
                #expect(recent.newestWrite(of: [key]) == kept.last { $0.key == [key] }?.time)
            }
            let since = time(max(0, step - Int(random.below(60))))
            let place = recent.place(above: since)
            #expect(recent.keyCount(from: place) == kept.filter { $0.time > since }.count)
        }
    }
}
