import SteleBase
import SteleRaft
import SteleTablet
import Testing

@Suite struct TabletLogTests {
    private func log(cacheLimit: Int = 1 << 20) -> TabletLog {
        TabletLog(
            recovered: RecoveredReplica(
                tablet: .firstData, replica: ReplicaID(1), hardState: HardState(),
                compacted: LogPosition(index: 0, term: 0), termRuns: [], lastIndex: 0, tail: []),
            configuration: ConfState(voters: [ReplicaID(1)]), cacheLimit: cacheLimit)
    }

    private func entries(_ range: ClosedRange<UInt64>, term: Term, bytes: Int = 4) -> [Entry] {
        range.map {
            Entry(term: term, index: $0, payload: [UInt8](repeating: UInt8($0), count: bytes)[...])
        }
    }

    @Test func `terms and entries are found, and a conflicting suffix is replaced`() throws {
        let log = log()
        log.append(entries(1...5, term: 1), hardState: nil)
        log.append(entries(6...8, term: 3), hardState: nil)
        #expect(try (1...8).map { try log.term(at: $0) } == [1, 1, 1, 1, 1, 3, 3, 3])
        log.append(entries(5...6, term: 4), hardState: nil)
        #expect(log.lastIndex == 6)
        #expect(try (4...6).map { try log.term(at: $0) } == [1, 4, 4])
        #expect(throws: RaftStorageError.unavailable) { try log.term(at: 7) }
        #expect(try log.entries(from: 4, upTo: 7, maxBytes: .max).map(\.term) == [1, 4, 4])
        #expect(try log.entries(from: 4, upTo: 7, maxBytes: 5).map(\.index) == [4])
        #expect(try log.entries(from: 4, upTo: 7, maxBytes: 0).map(\.index) == [4])
    }

    @Test func `compaction keeps the term of the last position and refuses what lies before`() throws {
        let log = log()
        log.append(entries(1...3, term: 1) + entries(4...9, term: 2), hardState: nil)
        log.compact(to: LogPosition(index: 5, term: 2))
        #expect(log.firstIndex == 6)
        #expect(try log.term(at: 5) == 2 && log.term(at: 6) == 2 && log.term(at: 9) == 2)
        #expect(throws: RaftStorageError.compacted) { try log.term(at: 4) }
        #expect(throws: RaftStorageError.compacted) {
            try log.entries(from: 5, upTo: 7, maxBytes: .max)
        }
        #expect(try log.entries(from: 6, upTo: 10, maxBytes: .max).map(\.index) == [6, 7, 8, 9])
        log.compact(to: LogPosition(index: 9, term: 2))
        #expect(log.firstIndex == 10 && log.lastIndex == 9)
        #expect(try log.term(at: 9) == 2)
        log.append(entries(10...11, term: 7), hardState: nil)
        #expect(try log.term(at: 10) == 7)
    }

    @Test func `what is given up leaves memory and its index stays known`() throws {
        let log = log()
        log.append(entries(1...20, term: 1, bytes: 36), hardState: nil)
        #expect(log.cachedBytes == 2_000)
        #expect(log.giveUp(through: 5) == 500)
        #expect(log.giveUp(through: 5) == 0)
        #expect(try log.entries(from: 6, upTo: 21, maxBytes: .max).count == 15)
        #expect(throws: RaftStorageError.temporarilyUnavailable) {
            try log.entries(from: 5, upTo: 6, maxBytes: .max)
        }
        #expect(log.giveUp(through: 90) == 1_500)
        #expect(log.cachedBytes == 0)
        #expect(try log.term(at: 20) == 1 && log.lastIndex == 20)
        log.append(entries(21...21, term: 2), hardState: nil)
        #expect(try log.entries(from: 21, upTo: 22, maxBytes: .max).map(\.term) == [2])
    }

    @Test func `what the cache gave up is asked for and taken back in`() throws {
        let log = log(cacheLimit: 400)
        log.append(entries(1...20, term: 1, bytes: 36), hardState: nil)
        #expect(throws: RaftStorageError.temporarilyUnavailable) {
            try log.entries(from: 3, upTo: 21, maxBytes: .max)
        }
        #expect(log.takeWanted() == 3)
        #expect(log.takeWanted() == nil)
        #expect(try log.entries(from: 20, upTo: 21, maxBytes: .max).map(\.index) == [20])
        log.install(fetched: entries(3...10, term: 1, bytes: 36))
        #expect(try log.entries(from: 3, upTo: 21, maxBytes: .max).map(\.index) == Array(3...10))
        // Entries that were replaced while they were read are not taken in.
        log.append(entries(8...9, term: 2), hardState: nil)
        log.install(fetched: entries(3...9, term: 1, bytes: 36))
        #expect(throws: RaftStorageError.temporarilyUnavailable) {
            try log.entries(from: 3, upTo: 8, maxBytes: .max)
        }
    }
}
