import SteleAPI
import SteleBase
import SteleClock
import SteleTransaction
import Testing

/// Transactions through the public verbs and the backend port, on a real node core.
@Suite struct TransactionTests {
    private let kernel: LocalKernel
    private var database: Database { kernel.database }

    init() throws { kernel = try LocalKernel() }

    @Test func `what was put is read, scanned in order, and deleted`() async throws {
        for name in ["b", "a", "c", "d"] { try await database.put("k/\(name)", name) }
        try await database.put("other", 1)
        try await database.delete("k/c")
        #expect(try await database.get("k/b", as: String.self) == "b")
        #expect(try await database.get("k/c", as: String.self) == nil)
        func names(reverse: Bool) async throws -> [String] {
            try await database.read { transaction in
                var names: [String] = []
                for try await entry in transaction.scan(prefix: "k/", reverse: reverse) {
                    names.append(try entry.value(as: String.self))
                }
                return names
            }
        }
        #expect(try await names(reverse: false) == ["a", "b", "d"])
        #expect(try await names(reverse: true) == ["d", "b", "a"])
    }

    @Test func `a transaction sees its own writes in reads and in scans of both directions`()
        async throws
    {
        for key in 0..<10 { try await database.put(Key(key), key) }
        try await database.write { transaction in
            try await transaction.put(Key(3), 33)
            try await transaction.delete(Key(4))
            try await transaction.put(Key(100), 100)
            #expect(try await transaction.get(Key(3), as: Int.self) == 33)
            #expect(try await transaction.get(Key(4), as: Int.self) == nil)
            var seen: [Int] = []
            for try await entry in transaction.scan(from: Key(2), to: Key(101)) {
                seen.append(try entry.value(as: Int.self))
            }
            #expect(seen == [2, 33, 5, 6, 7, 8, 9, 100])
            var backwards: [Int] = []
            for try await entry in transaction.scan(from: Key(2), to: Key(101), reverse: true) {
                backwards.append(try entry.value(as: Int.self))
            }
            #expect(backwards == seen.reversed())
        }
        #expect(try await database.get(Key(4), as: Int.self) == nil)
        #expect(try await database.get(Key(100), as: Int.self) == 100)
    }

    /// A page holds no more than was asked for, however much was written where nothing is stored.
    @Test(arguments: [false, true], [1, 2, 7, 5_000])
    func `pages over what was written and stored end where the next begins`(
        reverse: Bool, limit: Int
    ) async throws {
        let backend = kernel.backend
        let load = try backend.begin(TransactionOptions())
        for key in stride(from: 0, to: 200, by: 5) { try load.write(Key(key).keyBytes, [1]) }
        try await load.commit()
        let transaction = try backend.begin(TransactionOptions())
        var expected = Set(stride(from: 0, to: 200, by: 5))
        var random = SeededRandom(seed: 4)
        for _ in 0..<(limit > 100 ? 20_000 : 300) {
            let key = Int(random.below(limit > 100 ? 30_000 : 250))
            if random.oneIn(3) {
                try transaction.write(Key(key).keyBytes, nil)
                expected.remove(key)
            } else {
                try transaction.write(Key(key).keyBytes, [2])
                expected.insert(key)
            }
        }
        var found: [KeyBytes] = []
        var rest: KeyRange? = .all
        var pages = 0
        while let range = rest {
            let page = try await transaction.scan(range, limit: limit, reverse: reverse)
            #expect(page.rows.count <= limit)
            found += page.rows.map { Array($0.key) }
            rest = page.rest
            pages += 1
            try #require(pages < 1_000)
        }
        let keys = expected.map { Key($0).keyBytes }.sorted { $0.precedes($1) }
        #expect(found == (reverse ? keys.reversed() : keys))
        transaction.rollback()
    }

    @Test(arguments: [false, true])
    func `a scan shows what was written before it began, on every page`(
        reverse: Bool
    ) async throws {
        let backend = kernel.backend
        let load = try backend.begin(TransactionOptions())
        for key in 0..<2_500 { try load.write(Key(key).keyBytes, Array("old".utf8)) }
        try await load.commit()
        try await database.write { transaction in
            try await transaction.put(Key(7), "mine")
            try await transaction.delete(Key(8))
            var seen: [KeyBytes: String] = [:]
            for try await entry in transaction.scan(prefix: "", reverse: reverse) {
                seen[entry.key] = try entry.value(as: String.self)
                // Ahead of the scan, on this page and on later ones, and behind it.
                if seen.count == 1 {
                    for key in stride(from: 0, to: 2_600, by: 3) {
                        try await transaction.put(Key(key), "later")
                    }
                    try await transaction.put(Key(7), "later")
                    try await transaction.put(Key(8), "later")
                    try await transaction.delete(Key(1_000))
                }
            }
            #expect(seen.count == 2_499)
            #expect(seen.removeValue(forKey: Key(7).keyBytes) == "mine")
            #expect(Set(seen.values) == ["old"])
            // A scan that begins now shows all of it.
            var later = 0
            for try await entry in transaction.scan(prefix: "") {
                if try entry.value(as: String.self) == "later" { later += 1 }
            }
            #expect(later == 867 + 2)
        }
    }

    @Test func `scans go on over pages, with own writes merged into each`() async throws {
        let backend = kernel.backend
        let load = try backend.begin(TransactionOptions())
        for key in stride(from: 0, to: 2_000, by: 2) { try load.write(Key(key).keyBytes, [1]) }
        try await load.commit()
        for reverse in [false, true] {
            let transaction = try backend.begin(TransactionOptions())
            for key in stride(from: 1, to: 2_000, by: 2) {
                try transaction.write(Key(key).keyBytes, [2])
            }
            var rest: KeyRange? = KeyRange.all
            var keys: [KeyBytes] = []
            while let range = rest {
                let page = try await transaction.scan(range, limit: 64, reverse: reverse)
                keys += page.rows.map { Array($0.key) }
                rest = page.rest
            }
            let expected = (0..<2_000).map { Key($0).keyBytes }
            #expect(keys == (reverse ? expected.reversed() : expected))
            transaction.rollback()
        }
    }

    @Test func `a row lock reads other keys as they are when it is granted`() async throws {
        try await database.put("x", 1)
        let key = Array("x".utf8)
        for isolation in [Isolation.serializable, .snapshot, .readCommitted] {
            let transaction = try kernel.backend.begin(TransactionOptions(isolation: isolation))
            let before = try await transaction.get([key])[0]
            try await database.put("x", 2)
            let found = try await transaction.lock([[9]], .exclusive, .wait, reading: [key, [8]])
            #expect(found.map(\.isLocked) == [true, false, false])
            #expect(found[0].value == nil && found[2].value == nil)
            #expect(found[1].value != before && found[1].value != nil)
            // It is not locked: others write it meanwhile.
            try await database.put("x", 1)
            transaction.rollback()
        }
    }

    @Test func `a snapshot does not move while others write`() async throws {
        try await database.put("x", 1)
        try await database.read { transaction in
            #expect(try await transaction.get("x", as: Int.self) == 1)
            try await database.put("x", 2)
            try await database.put("y", 2)
            #expect(try await transaction.get("x", as: Int.self) == 1)
            #expect(try await transaction.get("y", as: Int.self) == nil)
        }
        #expect(try await database.get("x", as: Int.self) == 2)
    }

    @Test func `write skew is prevented under serializable and allowed under snapshot isolation`()
        async throws
    {
        for isolation in [Isolation.serializable, .snapshot] {
            try await database.put("a", 1)
            try await database.put("b", 1)
            let options = TransactionOptions(isolation: isolation)
            let first = try kernel.backend.begin(options)
            let second = try kernel.backend.begin(options)
            for transaction in [first, second] {
                _ = try await transaction.get([Array("a".utf8), Array("b".utf8)])
            }
            try first.write(Array("a".utf8), [0x30])
            try second.write(Array("b".utf8), [0x30])
            try await first.commit()
            if isolation == .serializable {
                await #expect(throws: SteleError.self) { try await second.commit() }
            } else {
                try await second.commit()
            }
        }
    }

    @Test func `a phantom in a scanned range is a conflict`() async throws {
        let reader = try kernel.backend.begin(TransactionOptions())
        #expect(
            try await reader.scan(KeyRange(prefix: [7]), limit: 10, reverse: false).rows.isEmpty)
        let writer = try kernel.backend.begin(TransactionOptions())
        try writer.write([7, 1], [1])
        try await writer.commit()
        try reader.write([8], [1])
        let error = await #expect(throws: SteleError.self) { try await reader.commit() }
        #expect(error?.code == .conflict)
        #expect(error?.isRetryable == true && error?.commitOutcome == .notCommitted)
    }

    @Test func `first committer wins under snapshot isolation`() async throws {
        let options = TransactionOptions(isolation: .snapshot)
        let first = try kernel.backend.begin(options)
        let second = try kernel.backend.begin(options)
        _ = try await first.get([[1]])
        _ = try await second.get([[1]])
        try first.write([1], [1])
        try second.write([1], [2])
        try await first.commit()
        await #expect(throws: SteleError.self) { try await second.commit() }
    }

    @Test(arguments: [[1], nil] as [[UInt8]?])
    func `a blind write under snapshot isolation conflicts with nothing`(
        before: [UInt8]?
    ) async throws {
        try await kernel.backend.put([1], [0])
        try await kernel.backend.put([1], before)
        let transaction = try kernel.backend.begin(TransactionOptions(isolation: .snapshot))
        try transaction.write([1], [2])
        try await transaction.commit()
        #expect(try await kernel.backend.get([1]) == [2])
    }

    @Test(arguments: [Isolation.readCommitted, .snapshot, .serializable])
    func `locks that were lost fail a commit without writes`(isolation: Isolation) async throws {
        for isLost in [false, true] {
            let holder = try kernel.backend.begin(TransactionOptions(isolation: isolation))
            _ = try await holder.lock([[1]], .exclusive, .wait)
            if isLost {
                kernel.loseLocks()
                try await kernel.backend.put([1], [7])
                let error = await #expect(throws: SteleError.self) { try await holder.commit() }
                #expect(error?.code == .conflict && error?.commitOutcome == .notCommitted)
            } else {
                try await holder.commit()
            }
            // Nothing stays locked either way.
            let next = try kernel.backend.begin(TransactionOptions(isolation: isolation))
            _ = try await next.lock([[1]], .exclusive, .fail)
            next.rollback()
        }
    }

    @Test func `who waits for a lock when its node is given up meets a conflict`() async throws {
        let holder = try kernel.backend.begin(TransactionOptions(isolation: .readCommitted))
        _ = try await holder.lock([[1]], .exclusive, .wait)
        let kernel = self.kernel
        let waiter = Task {
            let waiter = try kernel.backend.begin(TransactionOptions(isolation: .readCommitted))
            _ = try await waiter.lock([[1]], .exclusive, .wait)
        }
        while kernel.unanswered == 0 { await Task.yield() }
        kernel.loseLocks()
        let error = await #expect(throws: SteleError.self) { try await waiter.value }
        #expect(error?.code == .conflict)
    }

    @Test func `increments by many tasks lose none`() async throws {
        let database = self.database
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<20 {
                        try await database.write { transaction in
                            let count = try await transaction.get("n", as: Int.self) ?? 0
                            try await transaction.put("n", count + 1)
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await database.get("n", as: Int.self) == 160)
    }

    @Test func `locked increments by many tasks lose none and meet no conflict`() async throws {
        let backend = kernel.backend
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<20 {
                        let transaction = try backend.begin(
                            TransactionOptions(isolation: .readCommitted))
                        let found = try await transaction.lock([[1]], .exclusive, .wait)[0]
                        try transaction.write([1], [(found.value?[0] ?? 0) + 1])
                        try await transaction.commit()
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await backend.get([1]) == [160])
    }

    @Test func `a deadlock ends one of the two with an error that says so`() async throws {
        let backend = kernel.backend
        let first = try backend.begin(TransactionOptions(isolation: .readCommitted))
        let second = try backend.begin(TransactionOptions(isolation: .readCommitted))
        _ = try await first.lock([[1]], .exclusive, .wait)
        _ = try await second.lock([[2]], .exclusive, .wait)
        async let waiting = first.lock([[2]], .exclusive, .wait)
        try await Task.sleep(for: .milliseconds(20))
        let error = await #expect(throws: SteleError.self) {
            try await second.lock([[1]], .exclusive, .wait)
        }
        #expect(error?.code == .deadlock)
        second.rollback()
        #expect(try await waiting[0].isLocked)
        first.rollback()
    }

    @Test func `a rollback from elsewhere ends a wait for a lock and frees the locks`() async throws {
        let backend = kernel.backend
        let holder = try backend.begin(TransactionOptions(isolation: .readCommitted))
        let waiter = try backend.begin(TransactionOptions(isolation: .readCommitted))
        _ = try await holder.lock([[1]], .exclusive, .wait)
        _ = try await waiter.lock([[2]], .exclusive, .wait)
        let waiting = Task { try await waiter.lock([[1]], .exclusive, .wait) }
        try await Task.sleep(for: .milliseconds(20))
        waiter.rollback()
        await #expect(throws: SteleError.self) { try await waiting.value }
        // The holder is not disturbed, and what the waiter held is free.
        #expect(try await holder.lock([[2]], .exclusive, .wait)[0].isLocked)
        holder.rollback()
        let last = try backend.begin(TransactionOptions(isolation: .readCommitted))
        #expect(try await last.lock([[1], [2]], .exclusive, .fail).allSatisfy(\.isLocked))
        last.rollback()
    }

    @Test func `locks that are held fail or are skipped when asked to`() async throws {
        let backend = kernel.backend
        let holder = try backend.begin(TransactionOptions())
        _ = try await holder.lock([[1]], .exclusive, .wait)
        let other = try backend.begin(TransactionOptions())
        #expect(
            try await other.lock([[1], [2]], .exclusive, .skip).map(\.isLocked) == [false, true])
        let error = await #expect(throws: SteleError.self) {
            try await other.lock([[1]], .shared, .fail)
        }
        #expect(error?.code == .lockNotAvailable)
        // The end of the holder by oblivion frees the lock as well.
        holder.rollback()
        #expect(try await other.lock([[1]], .exclusive, .wait)[0].isLocked)
        other.rollback()
    }

    @Test func `savepoints take back writes, and a closed transaction does nothing`() async throws {
        let transaction = try kernel.backend.begin(TransactionOptions())
        try transaction.write([1], [1])
        let savepoint = try transaction.savepoint()
        try transaction.write([1], [2])
        try transaction.write([2], [2])
        await transaction.rollback(to: savepoint)
        try await transaction.commit()
        #expect(try await kernel.backend.get([1]) == [1])
        #expect(try await kernel.backend.get([2]) == nil)
        #expect(throws: SteleError.self) { try transaction.write([3], [3]) }
        let error = await #expect(throws: SteleError.self) { try await transaction.get([[1]]) }
        #expect(error?.code == .transactionClosed)
    }

    @Test func `what was locked after a savepoint is let go with it`() async throws {
        let transaction = try kernel.backend.begin(TransactionOptions(isolation: .readCommitted))
        _ = try await transaction.lock([[1]], .exclusive, .wait)
        let savepoint = try transaction.savepoint()
        // One that was had before, one twice.
        _ = try await transaction.lock([[1], [2], [3]], .exclusive, .wait)
        _ = try await transaction.lock([[2]], .exclusive, .wait)
        let other = try kernel.backend.begin(TransactionOptions(isolation: .readCommitted))
        #expect(
            try await other.lock([[1], [2], [3]], .exclusive, .skip).map(\.isLocked)
                == [false, false, false])
        await transaction.rollback(to: savepoint)
        #expect(try await other.lock([[2]], .exclusive, .skip)[0].isLocked)
        #expect(
            try await other.lock([[1], [3]], .exclusive, .skip).map(\.isLocked) == [false, true])
        // What is left can be relied upon, and what was let go can be had again.
        other.rollback()
        _ = try await transaction.lock([[3]], .exclusive, .wait)
        try transaction.write([3], [3])
        try await transaction.commit()
        #expect(try await kernel.backend.get([3]) == [3])
    }

    /// Each of the two reads what the other one overwrites: no order of them explains both.
    @Test func `what was seen through a lock that was let go is validated`() async throws {
        let earlier = try kernel.backend.begin(TransactionOptions())
        try earlier.write([1], [10])
        try earlier.write([2], [10])
        try await earlier.commit()
        let first = try kernel.backend.begin(TransactionOptions(isolation: .serializable))
        let savepoint = try first.savepoint()
        #expect(try await first.lock([[1]], .exclusive, .wait)[0].value == [10])
        await first.rollback(to: savepoint)
        let second = try kernel.backend.begin(TransactionOptions(isolation: .serializable))
        #expect(try await second.get([[2]]) == [[10]])
        try #require(try await second.lock([[1]], .exclusive, .skip)[0].isLocked)
        try second.write([1], [0])
        try await second.commit()
        try first.write([2], [0])
        let error = await #expect(throws: SteleError.self) { try await first.commit() }
        #expect(error?.code == .conflict)
        #expect(try await kernel.backend.get([2]) == [10])
    }

    /// It is answered with the grant of what was locked in vain before, which goes.
    @Test func `a request that locks nothing leaves no grant behind`() async throws {
        let holder = try kernel.backend.begin(TransactionOptions(isolation: .readCommitted))
        _ = try await holder.lock([[2]], .exclusive, .wait)
        let transaction = try kernel.backend.begin(TransactionOptions(isolation: .readCommitted))
        let savepoint = try transaction.savepoint()
        await #expect(throws: SteleError.self) {
            try await transaction.lock([[1], [2]], .exclusive, .fail)
        }
        #expect(try await transaction.lock([[2]], .exclusive, .skip)[0].isLocked == false)
        await transaction.rollback(to: savepoint)
        #expect(try await transaction.lock([[3]], .exclusive, .wait)[0].isLocked)
        try transaction.write([3], [3])
        try await transaction.commit()
        holder.rollback()
    }

    /// A request that failed may have locked what stands before the key at which it did.
    @Test func `what was locked in vain after a savepoint is let go with it`() async throws {
        let holder = try kernel.backend.begin(TransactionOptions(isolation: .readCommitted))
        _ = try await holder.lock([[2]], .exclusive, .wait)
        let transaction = try kernel.backend.begin(TransactionOptions(isolation: .readCommitted))
        _ = try await transaction.lock([[0]], .exclusive, .wait)
        let savepoint = try transaction.savepoint()
        let error = await #expect(throws: SteleError.self) {
            try await transaction.lock([[0], [1], [2]], .exclusive, .fail)
        }
        #expect(error?.code == .lockNotAvailable)
        await transaction.rollback(to: savepoint)
        let other = try kernel.backend.begin(TransactionOptions(isolation: .readCommitted))
        #expect(
            try await other.lock([[0], [1]], .exclusive, .skip).map(\.isLocked) == [false, true])
        other.rollback()
        try transaction.write([0], [1])
        try await transaction.commit()
    }

    @Test func `a transaction that let all its locks go can take others`() async throws {
        let transaction = try kernel.backend.begin(TransactionOptions(isolation: .readCommitted))
        let savepoint = try transaction.savepoint()
        _ = try await transaction.lock([[1], [2]], .exclusive, .wait)
        await transaction.rollback(to: savepoint)
        let other = try kernel.backend.begin(TransactionOptions(isolation: .readCommitted))
        #expect(try await other.lock([[1]], .exclusive, .skip)[0].isLocked)
        #expect(try await transaction.lock([[2]], .exclusive, .wait)[0].isLocked)
        try await transaction.commit()
        other.rollback()
    }

    @Test func `a transaction whose time is over does nothing more`() async throws {
        // The first request waits for the election.
        try await database.put("early", 0)
        let error = await #expect(throws: SteleError.self) {
            try await database.write(TransactionOptions(timeout: .milliseconds(5))) { transaction in
                try await transaction.put("late", 1)
                await kernel.pass(6_000)
            }
        }
        #expect(error?.code == .timedOut && error?.commitOutcome == .notCommitted)
        #expect(try await database.get("late", as: Int.self) == nil)
    }

    @Test func `a conflict is met again only while there is time`() async throws {
        let backend = kernel.backend
        // The first request waits for the election.
        try await database.put("contended", 0)
        var attempts = 0
        let error = await #expect(throws: SteleError.self) {
            try await database.write(TransactionOptions(timeout: .milliseconds(5))) { transaction in
                attempts += 1
                let value = try await transaction.get("contended", as: Int.self) ?? 0
                try await backend.put("contended".keyBytes, Array("\(attempts)".utf8))
                await kernel.pass(1_500)
                try await transaction.put("contended", value + 1)
            }
        }
        #expect(error?.code == .conflict || error?.code == .timedOut)
        #expect((2...4).contains(attempts))
    }

    @Test func `a lock is waited for no longer than the transaction may take`() async throws {
        let holder = try kernel.backend.begin(TransactionOptions())
        _ = try await holder.lock([[1]], .exclusive, .wait)
        let waiter = try kernel.backend.begin(TransactionOptions(timeout: .milliseconds(20)))
        let before = kernel.requests
        let waiting = Task { try await waiter.lock([[1]], .exclusive, .wait) }
        while kernel.requests == before { await Task.yield() }
        for _ in 0..<10 { await kernel.pass(30_000) }
        let error = await #expect(throws: SteleError.self) { try await waiting.value }
        #expect(error?.code == .lockNotAvailable)
        holder.rollback()
    }

    @Test func `limits are refused with an error that names them`() async throws {
        let long = String(repeating: "k", count: Limits.keyBytes + 1)
        let error = await #expect(throws: SteleError.self) { try await database.put(long, 1) }
        #expect(error?.code == .limitExceeded && error?.message.contains("Limits.keyBytes") == true)
        let transaction = try kernel.backend.begin(TransactionOptions())
        let value = [UInt8](repeating: 0, count: Limits.valueBytes)
        let tooLarge = #expect(throws: SteleError.self) {
            for key in 0..<17 as Range<UInt8> { try transaction.write([key], value) }
        }
        #expect(tooLarge?.message.contains("Limits.transactionBytes") == true)
    }

    @Test func `a put inside a write closure is refused`() async throws {
        let database = self.database
        let error = await #expect(throws: SteleError.self) {
            try await database.write { _ in try await database.put("x", 1) }
        }
        #expect(error?.code == .invalidArgument)
    }

    @Test func `a read closure takes no read past its snapshot, but lets others be written`()
        async throws
    {
        let database = self.database
        try await database.read { transaction in
            #expect(try await transaction.get("x", as: Int.self) == nil)
            try await database.put("x", 1)
            #expect(try await transaction.get("x", as: Int.self) == nil)
            let error = await #expect(throws: SteleError.self) {
                try await database.get("x", as: Int.self)
            }
            #expect(error?.code == .invalidArgument)
        }
        #expect(try await database.get("x", as: Int.self) == 1)
    }

    @Test func `what is within a write closure is its database's and ends with it`() async throws {
        let database = self.database
        let other = try LocalKernel().database
        let later = try await database.write { transaction in
            // Another database is no part of the transaction.
            try await other.put("x", 1)
            try await transaction.put("x", 2)
            // Which a read past it would not see.
            let error = await #expect(throws: SteleError.self) {
                try await database.get("x", as: Int.self)
            }
            #expect(error?.code == .invalidArgument)
            try await other.write { _ in
                let error = await #expect(throws: SteleError.self) {
                    try await database.put("y", 1)
                }
                #expect(error?.code == .invalidArgument)
            }
            return Task {
                while !Task.isCancelled { await Task.yield() }
                try await database.put("later", 3)
            }
        }
        later.cancel()
        // A cancelled task's put may fail, but not for being within the closure.
        do { try await later.value } catch let error as SteleError {
            #expect(error.code != .invalidArgument)
        }
        #expect(try await database.get("x", as: Int.self) == 2)
        #expect(try await other.get("x", as: Int.self) == 1)
    }
}
