import SteleAPI
import SteleBase
import SteleTablet
import Testing

@Suite struct LockTableTests {
    private let a = TransactionID(1)
    private let b = TransactionID(2)
    private let c = TransactionID(3)

    @Test func `an exclusive lock keeps others out and passes on in order of arrival`() {
        let table = TableBox()
        #expect(table.acquire([1], .exclusive, for: a))
        #expect(table.acquire([1], .exclusive, for: a))
        #expect(!table.acquire([1], .shared, for: b))
        #expect(table.wait(for: [1], .exclusive, transaction: b, ticket: 20) == nil)
        #expect(table.wait(for: [1], .exclusive, transaction: c, ticket: 30) == nil)
        #expect(table.release(a) == [20])
        #expect(table.holds([1], b) && !table.holds([1], c))
        #expect(table.release(b) == [30])
        #expect(table.release(c) == [])
        #expect(table.isEmpty)
    }

    @Test func `shared locks are granted together, but do not overtake a waiting writer`() {
        let table = TableBox()
        #expect(table.acquire([1], .shared, for: a))
        #expect(table.acquire([1], .shared, for: b))
        #expect(table.wait(for: [1], .exclusive, transaction: c, ticket: 30) == nil)
        let d = TransactionID(4)
        #expect(!table.acquire([1], .shared, for: d))
        #expect(table.wait(for: [1], .shared, transaction: d, ticket: 40) == nil)
        #expect(table.release(a) == [])
        #expect(table.release(b) == [30])
        #expect(table.release(c) == [40])
    }

    @Test func `a wait that is asked for again keeps its place`() {
        let table = TableBox()
        #expect(table.acquire([1], .exclusive, for: a))
        #expect(table.wait(for: [1], .exclusive, transaction: b, ticket: 20) == nil)
        #expect(table.wait(for: [1], .exclusive, transaction: c, ticket: 30) == nil)
        #expect(table.renewWait(for: [1], .exclusive, transaction: b, ticket: 21) == 20)
        // Nobody else's, no other key, no other mode, and no longer under the ticket so far.
        #expect(table.renewWait(for: [1], .exclusive, transaction: a, ticket: 22) == nil)
        #expect(table.renewWait(for: [2], .exclusive, transaction: b, ticket: 22) == nil)
        #expect(table.renewWait(for: [1], .shared, transaction: b, ticket: 22) == nil)
        #expect(table.release(a) == [21])
        #expect(table.cancelWait(of: b) == nil)
        #expect(table.release(b) == [30])
        #expect(table.release(c) == [] && table.isEmpty)
    }

    /// Locks are taken and given up in any order; a plain set knows what is held.
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `what is given up is held no more, and all else is`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let table = TableBox()
        var held: Set<UInt8> = []
        for _ in 0..<2_000 {
            let keys = (0...random.below(4)).map { _ in UInt8(random.below(40)) }
            switch random.below(20) {
            case 0..<11:
                for key in keys {
                    #expect(table.acquire([key], .exclusive, for: a))
                    held.insert(key)
                }
            case 11..<19:
                #expect(table.release(keys.map { [$0] }, of: a) == [])
                held.subtract(keys)
            default:
                #expect(table.release(a) == [])
                held = []
            }
            #expect(table.lockCount(of: a) == held.count)
            #expect((table.arrival(of: a) == nil) == held.isEmpty)
            for key in 0..<40 as Range<UInt8> {
                #expect(table.holds([key], a) == held.contains(key))
            }
        }
        #expect(table.release(a) == [])
        #expect(table.isEmpty)
    }

    @Test func `what was asked for again is known by its key, up to a number of them`() {
        let table = TableBox()
        // Nobody's, who has no locks.
        table.note([[1]], askedAfter: 5, of: a)
        #expect(table.keys([[1]], notAskedAfter: 1, of: a) == [[1]])
        #expect(table.acquire([1], .exclusive, for: a) && table.acquire([2], .exclusive, for: a))
        table.note([[1]], askedAfter: 2, of: a)
        table.note([[1]], askedAfter: 1, of: a)
        #expect(table.keys([[1], [2]], notAskedAfter: 1, of: a) == [[2]])
        #expect(table.keys([[1], [2]], notAskedAfter: 2, of: a) == [[2]])
        #expect(table.keys([[1], [2]], notAskedAfter: 3, of: a) == [[1], [2]])
        // Once it is given up, it was not asked for.
        #expect(table.release([[1]], of: a) == [])
        table.note([[2]], askedAfter: 3, of: a)
        #expect(table.keys([[1], [2]], notAskedAfter: 2, of: a) == [[1]])
        let many = (0..<5_000).map { [3, UInt8($0 / 250), UInt8($0 % 250)] as KeyBytes }
        table.note(many, askedAfter: 4, of: a)
        #expect(table.keys([[1], [2]], notAskedAfter: 4, of: a) == [])
        #expect(table.keys([[1], [2]], notAskedAfter: 5, of: a) == [[1], [2]])
    }

    /// A lock that was taken last stays, and those below it go, newest first or oldest first.
    @Test func `locks that were given up leave no trace`() {
        let table = TableBox()
        for isNewestFirst in [true, false] {
            let keys = (0..<1_000).map { [2, UInt8($0 / 250), UInt8($0 % 250)] as KeyBytes }
            for key in keys { #expect(table.acquire(key, .exclusive, for: a)) }
            #expect(table.acquire([3], .exclusive, for: a))
            for key in isNewestFirst ? keys.reversed() : keys {
                #expect(table.release([key], of: a) == [])
            }
            #expect(table.lockCount(of: a) == 1 && table.holds([3], a))
            #expect(table.releaseCount(of: a) == 1_001)
            // Those below it go with what is taken and given up next, two at a time.
            #expect(table.release([[3]], of: a) == [])
            #expect(table.isEmpty && table.releaseCount(of: a) == 0)
        }
        for number in 0..<1_000 {
            #expect(table.acquire([1], .exclusive, for: a))
            #expect(table.acquire([2], .exclusive, for: a))
            #expect(table.release(number % 2 == 0 ? [[1], [2]] : [[2], [1]], of: a) == [])
            #expect(table.acquire([0], .exclusive, for: a))
            #expect(table.releaseCount(of: a) <= 3)
        }
    }

    @Test func `of thousands who wait, those who leave are passed over`() {
        let table = TableBox()
        #expect(table.acquire([1], .exclusive, for: a))
        let others = (10..<5_010).map { TransactionID(UInt64($0)) }
        for other in others {
            #expect(
                table.wait(
                    for: [1], .exclusive, transaction: other, ticket: other.rawValue) == nil)
        }
        for other in others where other.rawValue % 1_000 != 500 {
            let cancelled = table.cancelWait(of: other)
            #expect(cancelled?.ticket == other.rawValue && cancelled?.granted == [])
        }
        var holder = a
        for next in stride(from: 500 as UInt64, to: 5_010, by: 1_000) {
            #expect(table.release(holder) == [next])
            holder = TransactionID(next)
        }
        #expect(table.release(holder) == [] && table.isEmpty)
    }

    @Test func `all owners are asked about in turn`() {
        let table = TableBox()
        for owner in 1...7 as ClosedRange<UInt64> {
            #expect(table.acquire([UInt8(owner)], .exclusive, for: TransactionID(owner)))
        }
        #expect(table.owners(after: 0, upTo: 6, atMost: 4) == [1, 2, 3, 4])
        #expect(table.owners(after: 4, upTo: 6, atMost: 4) == [5, 6])
    }

    @Test func `some locks go, the others stay`() {
        let table = TableBox()
        for key in 1...3 as ClosedRange<UInt8> {
            #expect(table.acquire([key], .exclusive, for: a))
        }
        let arrival = table.arrival(of: a)
        #expect(table.wait(for: [2], .exclusive, transaction: b, ticket: 20) == nil)
        #expect(table.wait(for: [3], .exclusive, transaction: c, ticket: 30) == nil)
        #expect(table.release([[2], [9]], of: a) == [20])
        #expect(table.holds([2], b) && !table.holds([2], a))
        #expect(table.holds([1], a) && table.holds([3], a) && table.arrival(of: a) == arrival)
        // What somebody else has does not go.
        #expect(table.release([[2]], of: a) == [])
        #expect(table.holds([2], b))
        #expect(table.release([[1], [3]], of: a) == [30])
        #expect(table.arrival(of: a) == nil)
        #expect(table.release(a) == [])
        #expect(table.release(b) == [] && table.release(c) == [])
        #expect(table.isEmpty)
    }

    @Test func `a sole reader may become a writer, and one of two goes to the front`() {
        let table = TableBox()
        #expect(table.acquire([1], .shared, for: a))
        #expect(table.acquire([1], .exclusive, for: a))
        #expect(!table.acquire([1], .shared, for: b))
        #expect(table.release(a) == [])
        #expect(table.acquire([1], .shared, for: a))
        #expect(table.acquire([1], .shared, for: b))
        #expect(table.wait(for: [1], .exclusive, transaction: c, ticket: 30) == nil)
        #expect(table.wait(for: [1], .exclusive, transaction: a, ticket: 10) == nil)
        #expect(table.release(b) == [10])
        #expect(table.release(a) == [30])
    }

    @Test func `a cycle of two names the younger, whose end lets the other go on`() {
        let table = TableBox()
        #expect(table.acquire([1], .exclusive, for: a))
        #expect(table.acquire([2], .exclusive, for: b))
        #expect(table.wait(for: [1], .exclusive, transaction: b, ticket: 20) == nil)
        #expect(table.wait(for: [2], .exclusive, transaction: a, ticket: 10) == b)
        #expect(table.cancelWait(of: b)?.ticket == 20)
        #expect(table.release(b) == [10])
        #expect(table.holds([2], a))
    }

    @Test func `two readers who both want to write are a deadlock`() {
        let table = TableBox()
        #expect(table.acquire([1], .shared, for: a))
        #expect(table.acquire([1], .shared, for: b))
        #expect(table.wait(for: [1], .exclusive, transaction: a, ticket: 10) == nil)
        #expect(table.wait(for: [1], .exclusive, transaction: b, ticket: 20) == b)
    }

    @Test func `a cycle over three is found when it closes`() {
        let table = TableBox()
        for (key, owner) in [([UInt8(1)], a), ([2], b), ([3], c)] {
            #expect(table.acquire(key, .exclusive, for: owner))
        }
        #expect(table.wait(for: [2], .exclusive, transaction: a, ticket: 10) == nil)
        #expect(table.wait(for: [3], .exclusive, transaction: b, ticket: 20) == nil)
        #expect(table.wait(for: [1], .exclusive, transaction: c, ticket: 30) == c)
    }

    @Test func `as many may wait for each other as there are`() {
        let table = TableBox()
        func key(_ number: UInt64) -> KeyBytes { withUnsafeBytes(of: number, Array.init) }
        let count: UInt64 = 100_000
        for number in 1...count {
            #expect(table.acquire(key(number), .exclusive, for: TransactionID(number)))
        }
        for number in 1..<count {
            let victim = table.wait(
                for: key(number + 1), .exclusive, transaction: TransactionID(number),
                ticket: number)
            if victim != nil { Issue.record("\(number) closes no cycle") }
        }
        #expect(
            table.wait(for: key(1), .exclusive, transaction: TransactionID(count), ticket: count)
                == TransactionID(count))
    }

    @Test(.timeLimit(.minutes(1)))
    func `a queue for one key costs each that joins it no more than the last`() {
        let table = TableBox()
        #expect(table.acquire([1], .exclusive, for: a))
        for number in 2..<20_000 as Range<UInt64> {
            let victim = table.wait(
                for: [1], .exclusive, transaction: TransactionID(number), ticket: number)
            if victim != nil { Issue.record("\(number) closes no cycle") }
        }
    }

    @Test func `a wait that is given up makes room for the next`() {
        let table = TableBox()
        #expect(table.acquire([1], .shared, for: a))
        #expect(table.wait(for: [1], .exclusive, transaction: b, ticket: 20) == nil)
        #expect(table.wait(for: [1], .shared, transaction: c, ticket: 30) == nil)
        let cancelled = table.cancelWait(of: b)
        #expect(cancelled?.ticket == 20 && cancelled?.granted == [30])
        #expect(table.cancelWait(of: b) == nil)
    }

    @Test func `random use never leaves a key with an owner and a stranded queue`() {
        for seed in 0..<200 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            let table = TableBox()
            var waiting: Set<TransactionID> = []
            var ticketOwner: [UInt64: TransactionID] = [:]
            func granted(_ tickets: [UInt64]) {
                for ticket in tickets {
                    if let owner = ticketOwner[ticket] { waiting.remove(owner) }
                }
            }
            for ticket in 0..<300 as Range<UInt64> {
                let transaction = TransactionID(random.below(6) + 1)
                if waiting.contains(transaction) || random.oneIn(4) {
                    waiting.remove(transaction)
                    if let cancelled = table.cancelWait(of: transaction) {
                        granted(cancelled.granted)
                    }
                    granted(table.release(transaction))
                    continue
                }
                let key = [UInt8(random.below(3))]
                let mode: LockMode = random.oneIn(2) ? .shared : .exclusive
                if table.acquire(key, mode, for: transaction) { continue }
                ticketOwner[ticket] = transaction
                waiting.insert(transaction)
                var victim = table.wait(
                    for: key, mode, transaction: transaction, ticket: ticket)
                while let loser = victim {
                    waiting.remove(loser)
                    if let cancelled = table.cancelWait(of: loser) { granted(cancelled.granted) }
                    granted(table.release(loser))
                    victim = waiting.contains(transaction)
                        ? table.victimOfCycle(from: transaction) : nil
                }
            }
            for transaction in (1...6).map({ TransactionID($0) }) {
                if let cancelled = table.cancelWait(of: transaction) { granted(cancelled.granted) }
                granted(table.release(transaction))
                waiting.remove(transaction)
            }
            #expect(table.isEmpty, "seed \(seed)")
        }
    }
}

/// A table by reference, so that expectations can call what changes it.
private final class TableBox {
    private var table = LockTable()

    var isEmpty: Bool { table.isEmpty }

    func acquire(_ key: KeyBytes, _ mode: LockMode, for transaction: TransactionID) -> Bool {
        table.acquire(key, mode, for: transaction)
    }

    func holds(_ key: KeyBytes, _ transaction: TransactionID) -> Bool {
        table.holds(key, transaction)
    }

    func wait(
        for key: KeyBytes, _ mode: LockMode, transaction: TransactionID, ticket: UInt64
    ) -> TransactionID? {
        table.wait(for: key, mode, transaction: transaction, ticket: ticket)
    }

    func cancelWait(of transaction: TransactionID) -> (ticket: UInt64, granted: [UInt64])? {
        table.cancelWait(of: transaction)
    }

    func renewWait(
        for key: KeyBytes, _ mode: LockMode, transaction: TransactionID, ticket: UInt64
    ) -> UInt64? {
        table.renewWait(for: key, mode, transaction: transaction, ticket: ticket)
    }

    func owners(after first: UInt64, upTo last: UInt64, atMost limit: Int) -> [UInt64] {
        table.owners(arrivedAfter: first, upTo: last, atMost: limit).map {
            $0.transaction.rawValue
        }
    }

    func release(_ keys: [KeyBytes], of transaction: TransactionID) -> [UInt64] {
        table.release(keys, of: transaction)
    }

    func arrival(of transaction: TransactionID) -> UInt64? { table.arrival(of: transaction) }

    func note(_ keys: [KeyBytes], askedAfter rollbacks: UInt64, of transaction: TransactionID) {
        table.note(keys, askedAfter: rollbacks, of: transaction)
    }

    func keys(
        _ keys: [KeyBytes], notAskedAfter rollback: UInt64, of transaction: TransactionID
    ) -> [KeyBytes] {
        table.keys(keys, notAskedAfter: rollback, of: transaction)
    }

    func lockCount(of transaction: TransactionID) -> Int { table.lockCount(of: transaction) }

    func releaseCount(of transaction: TransactionID) -> Int { table.releaseCount(of: transaction) }

    func release(_ transaction: TransactionID) -> [UInt64] { table.release(transaction) }

    func victimOfCycle(from start: TransactionID) -> TransactionID? {
        table.victimOfCycle(from: start)
    }
}
