import Testing

@testable import SteleLog

/// How long the log thread waits for more batches.
@Suite struct GroupTests {
    @Test func callersThatComeBackShareTheNextSync() throws {
        var pace = GroupPace()
        pace.committed(1, waiting: 15, nanoseconds: 100_000)
        #expect(try #require(pace.hold).count == 16)
        pace.held(isFull: true)
        pace.committed(16, waiting: 0, nanoseconds: 100_000)
        #expect(try #require(pace.hold).count == 16)
    }

    @Test func oneCallerIsNeverHeldUp() {
        var pace = GroupPace()
        for _ in 0..<10 {
            pace.committed(1, waiting: 0, nanoseconds: 100_000)
            #expect(pace.hold == nil)
        }
    }

    @Test func holdsAreShortAndRareIfTheyAreInVain() {
        var pace = GroupPace()
        var holds = 0
        for _ in 0..<1000 {
            pace.committed(2, waiting: 2, nanoseconds: 10_000_000)
            guard let hold = pace.hold else { continue }
            #expect(hold.nanoseconds <= 500_000)
            holds += 1
            pace.held(isFull: false)
        }
        #expect(holds < 30)
    }
}
