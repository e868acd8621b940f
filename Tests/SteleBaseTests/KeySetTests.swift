import SteleBase
import Testing

@Suite struct KeySetTests {
    @Test(arguments: 1...30)
    func `a key is new once, in whatever order keys come`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var keys = KeySet()
        var met: Set<UInt8> = []
        var next: UInt8 = 0
        for _ in 0..<200 {
            next = random.oneIn(seed) ? UInt8(random.below(200)) : next &+ 1
            #expect(keys.insert([next]) == met.insert(next).inserted)
        }
    }
}
