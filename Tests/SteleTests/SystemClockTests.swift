import SteleAPI
import Testing

@testable import Stele

@Suite struct SystemClockTests {
    @Test(arguments: [-1, -3_000_000_000, 4_503_599_627, .max, .min])
    func `a clock for which there are no timestamps is refused`(seconds: Int) {
        let error = #expect(throws: SteleError.self) {
            try SystemClocks.check(wallSeconds: seconds)
        }
        #expect(error?.code == .configuration)
        #expect(error?.message.contains("\(seconds) s since 1970") == true)
    }

    @Test(arguments: [0, 1_700_000_000, 4_400_000_000])
    func `others are taken`(seconds: Int) throws {
        try SystemClocks.check(wallSeconds: seconds)
        try SystemClocks.checkWall()
    }
}
