import SteleBase
import SteleEngine
import SteleRaft
import Testing

@testable import SteleCluster
@testable import SteleTablet

/// The locks of a node that is gone must go too, in whatever state their leader learns of it: it is
/// told once.
@Suite struct LockReleaseTests {
    /// A leader of one replica, where a transaction of node 2 holds a lock on one key and one of
    /// node 3 waits for it.
    private struct Leader {
        let core: NodeCore
        var time: UInt64 = 1_000_000
        private let key: KeyBytes = [0x6B]

        var tablet: Tablet { core.tablets[0] }

        init() throws {
            let descriptor = TabletDescriptor(
                id: .firstData, range: .all, generation: 1,
                replicas: [.init(node: NodeID(1), id: ReplicaID(1))])
            core = try NodeCore(
                configuration: NodeCoreConfiguration(
                    node: NodeID(1), tablets: [descriptor], members: [NodeID(1)], seed: 1),
                engine: MemoryEngine(), recovered: RecoveredLog(), monotonic: time,
                wall: 1_700_000_000_000_000)
            while !tablet.isServing, time < 10_000_000 { turn() }
            for node in [2, 3] as [UInt64] {
                let request = lock(of: node)
                turn { $0.submit(request, token: node, timeoutMicroseconds: 60_000_000) }
            }
            #expect(!tablet.locks.isEmpty)
        }

        func lock(of node: UInt64, sequence: UInt64 = 1) -> TabletRequest {
            .lock([key], for: TransactionID(node: NodeID(node), sequence: sequence))
        }

        /// The same as ``turn(_:)``, with what each wants done.
        mutating func effects(_ body: (NodeCore) -> Void = { _ in }) -> [NodeEffects] {
            core.turns(at: &time, every: 10_000, body)
        }

        /// One turn, and those that its log records call for; returns the tokens it answered.
        @discardableResult
        mutating func turn(_ body: (NodeCore) -> Void = { _ in }) -> [UInt64] {
            effects(body).flatMap { $0.replies.map(\.0) }
        }
    }

    @Test func `a leader without a lease gives up the locks of a node that is gone`() throws {
        var leader = try Leader()
        leader.tablet.leaseBound = .zero
        leader.tablet.releaseLocks(of: NodeID(2))
        #expect(leader.tablet.locks.transactions(of: NodeID(2)).isEmpty)
        // The next in the queue gets the lock once there is a lease again.
        #expect(leader.turn() == [3])
    }

    @Test func `a transaction's own release needs no lease`() throws {
        var leader = try Leader()
        leader.tablet.leaseBound = .zero
        leader.tablet.handle(
            TabletRequest(
                transaction: TransactionID(node: NodeID(2), sequence: 1),
                body: .release(near: [0x6B])), origin: 99)
        #expect(leader.tablet.locks.transactions(of: NodeID(2)).isEmpty)
        #expect(leader.turn() == [3])
    }

    /// Whoever is over has to be found behind any number of others who are not.
    @Test func `the owners of old locks are asked about in turn`() throws {
        var leader = try Leader()
        leader.turn { core in
            for sequence in 2...20 as ClosedRange<UInt64> {
                core.submit(
                    .lock(
                        [[0x6C, UInt8(sequence)]],
                        for: TransactionID(node: NodeID(2), sequence: sequence)),
                    token: 100 + sequence, timeoutMicroseconds: 60_000_000)
            }
        }
        _ = leader.tablet.oldLockOwners(atMost: 8)
        var asked: [TransactionID] = []
        for expected in [8, 8, 5, 8] {
            let some = leader.tablet.oldLockOwners(atMost: 8).map(\.transaction)
            #expect(some.count == expected)
            asked += some
        }
        // All 21 once, and then the oldest again.
        #expect(Set(asked).count == 21 && Array(asked[21...]) == Array(asked[..<8]))
    }

    /// Its node had the lock request end before its leader did, as its own clock said, and the
    /// transaction went on from a savepoint.
    @Test func `a transaction commits while the leader still has it wait for a lock`() throws {
        var leader = try Leader()
        let owner = TransactionID(node: NodeID(2), sequence: 1)
        func lock(_ transaction: TransactionID) -> TabletRequest {
            .lock([[0x6C]], for: transaction)
        }
        let other = TransactionID(node: NodeID(3), sequence: 2)
        #expect(
            leader.turn { $0.submit(lock(other), token: 4, timeoutMicroseconds: 60_000_000) } == [4])
        #expect(
            leader.turn { $0.submit(lock(owner), token: 5, timeoutMicroseconds: 60_000_000) } == [])
        let commit = TabletRequest(
            transaction: owner,
            body: .commit(
                .init(
                    locks: [[0x6B]], grant: leader.tablet.grant(of: owner),
                    writes: [.init(key: [0x6B], value: [1])])))
        var answered = leader.turn { $0.submit(commit, token: 6, timeoutMicroseconds: 60_000_000) }
        for _ in 0..<10 { answered += leader.turn() }
        // The commit, the request that waited, and the next in the queue for its lock.
        #expect(Set(answered) == [6, 5, 3])
        #expect(leader.tablet.locks.transactions(of: NodeID(2)).isEmpty)
    }

    /// So many writes that a commit remembers from turn to turn which of their locks it holds.
    private static let manyWrites = (0..<300).map {
        TabletRequest.CommitRequest.Write(key: [0x6D, UInt8($0 / 256), UInt8($0 % 256)], value: [1])
    }

    private static func transaction(_ sequence: UInt64) -> TransactionID {
        TransactionID(node: NodeID(2), sequence: sequence)
    }

    private static func release(_ sequence: UInt64) -> TabletRequest {
        TabletRequest(transaction: transaction(sequence), body: .release(near: [0x6D]))
    }

    /// It came twice, as by way of another node, and the first one was granted a lock meanwhile.
    @Test func `a commit does not rely on a lock that the same commit let go`() throws {
        var leader = try Leader()
        let (first, second) = (Self.manyWrites[1].key, Self.manyWrites[2].key)
        func submit(_ request: TabletRequest, _ token: UInt64) -> [UInt64] {
            leader.turn { $0.submit(request, token: token, timeoutMicroseconds: 60_000_000) }
        }
        let commit = TabletRequest(
            transaction: Self.transaction(9), body: .commit(.init(writes: Self.manyWrites)))
        // So many that it is the writes that are looked at, and not these.
        let others = (0..<400).map { [0x6F, UInt8($0 / 256), UInt8($0 % 256)] as KeyBytes }
        #expect(submit(.lock(others, for: Self.transaction(5)), 18) == [18])
        #expect(submit(.lock([first], for: Self.transaction(2)), 10) == [10])
        #expect(submit(.lock([second], for: Self.transaction(3)), 11) == [11])
        #expect(submit(commit, 12) == [])
        #expect(submit(Self.release(2), 13) == [13])
        #expect(submit(.lock([first], for: Self.transaction(4)), 14) == [])
        #expect(submit(commit, 15) == [14])
        #expect(submit(Self.release(3), 16) == [16])
        for _ in 0..<5 { #expect(leader.turn() == [], "it writes under another one's lock") }
        var answered = submit(Self.release(4), 17)
        for _ in 0..<5 { answered += leader.turn() }
        #expect(Set(answered) == [12, 15, 17])
    }

    /// The release was of locks taken after a savepoint.
    @Test func `a commit does not rely on a lock that was given up while it waited`() throws {
        var leader = try Leader()
        let (first, second) = (Self.manyWrites[1].key, Self.manyWrites[2].key)
        func submit(_ request: TabletRequest, _ token: UInt64) -> [UInt64] {
            leader.turn { $0.submit(request, token: token, timeoutMicroseconds: 60_000_000) }
        }
        let owner = Self.transaction(9)
        #expect(submit(.lock([second], for: Self.transaction(3)), 11) == [11])
        // All but one, so that only that one is looked at again.
        let own = Self.manyWrites.map(\.key).filter { $0 != second }
        #expect(submit(.lock(own, for: owner), 12) == [12])
        let commit = TabletRequest(
            transaction: owner,
            body: .commit(
                .init(
                    locks: [Self.manyWrites[0].key], grant: leader.tablet.grant(of: owner),
                    writes: Self.manyWrites)))
        #expect(submit(commit, 13) == [])
        #expect(submit(.lock([first], for: Self.transaction(4)), 14) == [])
        let unlock = TabletRequest(transaction: owner, body: .unlock(keys: [first], rollback: 1))
        #expect(Set(submit(unlock, 15)) == [14, 15])
        #expect(submit(Self.release(3), 16) == [16])
        for _ in 0..<5 { #expect(leader.turn() == [], "it writes under another one's lock") }
        var answered = submit(Self.release(4), 17)
        for _ in 0..<5 { answered += leader.turn() }
        #expect(Set(answered) == [13, 17])
    }

    /// Whoever holds a lock again relies on what was read under it, and on nobody having had it since.
    @Test func `a release of locks after a savepoint that comes late is for nothing`() throws {
        var leader = try Leader()
        func submit(_ body: TabletRequest.Body, of sequence: UInt64, _ token: UInt64) -> [UInt64] {
            let request = TabletRequest(transaction: Self.transaction(sequence), body: body)
            return leader.turn { $0.submit(request, token: token, timeoutMicroseconds: 60_000_000) }
        }
        func lock(_ key: UInt8, rollbacks: UInt64 = 0) -> TabletRequest.Body {
            .lock(
                .init(
                    keys: [[key]], mode: .exclusive, wait: .wait, timeoutMicroseconds: nil,
                    snapshot: nil, grant: nil, rollbacks: rollbacks))
        }
        #expect(submit(lock(1), of: 9, 10) == [10])
        #expect(submit(lock(2), of: 9, 11) == [11])
        #expect(submit(lock(2), of: 8, 12) == [])
        // In order, the other one gets the lock.
        #expect(Set(submit(.unlock(keys: [[2]], rollback: 1), of: 9, 13)) == [12, 13])
        #expect(submit(.release(near: [2]), of: 8, 14) == [14])
        // What comes behind the next request for locks is for nothing, once more too.
        #expect(submit(lock(2, rollbacks: 1), of: 9, 15) == [15])
        #expect(submit(lock(2, rollbacks: 2), of: 9, 16) == [16])
        #expect(submit(lock(2), of: 7, 17) == [])
        for rollback in [1, 2] as [UInt64] {
            let token = 20 + rollback
            #expect(submit(.unlock(keys: [[2]], rollback: rollback), of: 9, token) == [token])
        }
        #expect(Set(submit(.unlock(keys: [[2]], rollback: 3), of: 9, 18)) == [17, 18])
        // What was not asked for again goes, however late that comes.
        #expect(submit(lock(3), of: 9, 30) == [30])
        #expect(submit(lock(4), of: 9, 31) == [31])
        #expect(submit(lock(4, rollbacks: 4), of: 9, 32) == [32])
        #expect(submit(lock(4), of: 6, 33) == [])
        #expect(submit(lock(3), of: 5, 34) == [])
        #expect(Set(submit(.unlock(keys: [[3], [4]], rollback: 4), of: 9, 35)) == [34, 35])
        #expect(Set(submit(.release(near: [4]), of: 9, 36)) == [33, 36])
    }

    /// They come in many requests at once; who asks for one of them again, or for another, comes behind.
    @Test func `very many locks taken after a savepoint are given up over several turns`() throws {
        var leader = try Leader()
        let keys = (0..<50_000).map { [1, UInt8($0 >> 8 & 0xFF), UInt8($0 & 0xFF)] as KeyBytes }
        let owner = Self.transaction(9)
        #expect(
            leader.turn {
                $0.submit(.lock(keys, for: owner), token: 10, timeoutMicroseconds: 60_000_000)
            } == [10])
        let again = TabletRequest(
            transaction: owner,
            body: .lock(
                .init(
                    keys: [keys[0]], mode: .exclusive, wait: .wait, timeoutMicroseconds: nil,
                    snapshot: nil, grant: nil, rollbacks: 1)))
        var effects = leader.effects { core in
            for start in stride(from: 0, to: keys.count, by: 500) {
                let some = Array(keys[(keys.count - start - 500)..<(keys.count - start)])
                core.submit(
                    TabletRequest(transaction: owner, body: .unlock(keys: some, rollback: 1)),
                    token: nil, timeoutMicroseconds: 60_000_000)
            }
            core.submit(again, token: 11, timeoutMicroseconds: 60_000_000)
        }
        var turns = 1
        while effects.flatMap(\.replies).isEmpty, turns < 200 {
            effects = leader.effects()
            turns += 1
            for effect in effects { #expect(effect.work < 2 * Limits.turnWork) }
        }
        #expect(effects.flatMap(\.replies).map(\.0) == [11])
        #expect(turns > 10)
        #expect(leader.tablet.locks.lockCount(of: owner) == 1)
    }

    /// A request for a lock is looked at once its release was, not every turn until then: the turns
    /// would go by with that, and all others wait.
    @Test func `a thousand transactions ask for locks that they just gave up`() throws {
        var leader = try Leader()
        let others = 10..<1_010 as Range<UInt64>
        let keys = (0..<50_000).map { [1, UInt8($0 >> 8 & 0xFF), UInt8($0 & 0xFF)] as KeyBytes }
        func key(_ sequence: UInt64) -> KeyBytes {
            [0x6C, UInt8(sequence >> 8), UInt8(sequence & 0xFF)]
        }
        func lock(_ keys: [KeyBytes], of sequence: UInt64, rollbacks: UInt64) -> TabletRequest {
            TabletRequest(
                transaction: Self.transaction(sequence),
                body: .lock(
                    .init(
                        keys: keys, mode: .exclusive, wait: .wait, timeoutMicroseconds: nil,
                        snapshot: nil, grant: nil, rollbacks: rollbacks)))
        }
        func submit(_ request: TabletRequest, _ token: UInt64?, _ core: NodeCore) {
            core.submit(request, token: token, timeoutMicroseconds: 60_000_000)
        }
        func unlock(_ keys: [KeyBytes], of sequence: UInt64, _ core: NodeCore) {
            let body = TabletRequest.Body.unlock(keys: keys, rollback: 1)
            submit(TabletRequest(transaction: Self.transaction(sequence), body: body), nil, core)
        }
        var answered = leader.turn { submit(lock(keys, of: 9, rollbacks: 0), 9, $0) }
        answered += leader.turn { core in
            for number in others {
                submit(lock([key(number)], of: number, rollbacks: 0), number, core)
            }
        }
        for _ in 0..<20 { answered += leader.turn() }
        #expect(answered.count == 1 + others.count)

        // Behind the releases of very many locks.
        answered = leader.turn { core in
            for start in stride(from: 0, to: keys.count, by: 500) {
                unlock(Array(keys[start..<start + 500]), of: 9, core)
            }
            for number in others {
                unlock([key(number)], of: number, core)
                submit(lock([key(number)], of: number, rollbacks: 1), number, core)
            }
        }
        #expect(answered.isEmpty)
        answered = leader.turn { submit(lock([[0x6D]], of: 7, rollbacks: 0), 7, $0) }
        for _ in 0..<10 where answered.isEmpty { answered += leader.turn() }
        #expect(answered == [7], "one that comes meanwhile waits for few turns")
        var turns = 0
        while answered.count <= others.count, turns < 200 {
            let effects = leader.effects()
            answered += effects.flatMap(\.replies).map(\.0)
            for effect in effects { #expect(effect.work < 2 * Limits.turnWork) }
            turns += 1
        }
        #expect(turns > 20, "there was as much to give up as the test believes")
        #expect(Set(answered) == Set([7] + others))
        for number in others {
            #expect(leader.tablet.locks.lockCount(of: Self.transaction(number)) == 1)
        }
    }

    /// A leader with releases to do for many turns, of transaction 9.
    private func busyLeader() throws -> Leader {
        var leader = try Leader()
        let keys = (0..<50_000).map { [1, UInt8($0 >> 8 & 0xFF), UInt8($0 & 0xFF)] as KeyBytes }
        let lock = TabletRequest.lock(keys, for: Self.transaction(9))
        leader.turn { $0.submit(lock, token: 9, timeoutMicroseconds: 60_000_000) }
        leader.turn { core in
            for start in stride(from: 0, to: keys.count, by: 500) {
                let some = Array(keys[start..<start + 500])
                core.submit(
                    TabletRequest(
                        transaction: Self.transaction(9), body: .unlock(keys: some, rollback: 1)),
                    token: nil, timeoutMicroseconds: 60_000_000)
            }
        }
        #expect(leader.tablet.unlocking.count > 50)
        return leader
    }

    private func lock(
        _ key: KeyBytes, of sequence: UInt64, rollbacks: UInt64, timeout: UInt64? = nil
    ) -> TabletRequest {
        TabletRequest(
            transaction: Self.transaction(sequence),
            body: .lock(
                .init(
                    keys: [key], mode: .exclusive, wait: .wait, timeoutMicroseconds: timeout,
                    snapshot: nil, grant: nil, rollbacks: rollbacks)))
    }

    /// The other one waits for a lock that is to go, and so for nothing that this one does.
    @Test func `a commit behind releases of its own locks is in no deadlock`() throws {
        var leader = try busyLeader()
        func submit(_ request: TabletRequest, _ token: UInt64?) -> [UInt64] {
            leader.turn { $0.submit(request, token: token, timeoutMicroseconds: 60_000_000) }
        }
        let (given, other) = ([0x6D] as KeyBytes, [0x6E] as KeyBytes)
        var answered = submit(lock(other, of: 5, rollbacks: 0), 1)
        answered += submit(lock(given, of: 4, rollbacks: 0), 2)
        answered += submit(lock(given, of: 5, rollbacks: 0), 3)
        let unlock = TabletRequest.Body.unlock(keys: [given], rollback: 1)
        answered += submit(TabletRequest(transaction: Self.transaction(4), body: unlock), nil)
        #expect(leader.tablet.unlocking.contains(Self.transaction(4)))
        answered += submit(
            TabletRequest(
                transaction: Self.transaction(4),
                body: .commit(.init(writes: [.init(key: other, value: [1])]))), 4)
        #expect(Set(answered) == [1, 2])
        for _ in 0..<200 where !answered.contains(3) { answered += leader.turn() }
        #expect(leader.tablet.locks.holds(given, Self.transaction(5)))
        answered += submit(
            TabletRequest(transaction: Self.transaction(5), body: .release(near: given)), 5)
        for _ in 0..<5 { answered += leader.turn() }
        #expect(Set(answered) == [1, 2, 3, 4, 5])
        #expect(leader.tablet.locks.lockCount(of: Self.transaction(5)) == 0)
    }

    /// Whoever waits for one of them is told, whichever of the two gives it up.
    @Test func `releases of some locks and of all of them do not get in each other's way`() throws {
        var leader = try Leader()
        let keys = (0..<6_000).map { [1, UInt8($0 >> 8 & 0xFF), UInt8($0 & 0xFF)] as KeyBytes }
        func submit(_ request: TabletRequest, _ token: UInt64?, _ core: NodeCore) {
            core.submit(request, token: token, timeoutMicroseconds: 60_000_000)
        }
        var answered = leader.turn { submit(.lock(keys, for: Self.transaction(4)), 1, $0) }
        for place in stride(from: 0, to: keys.count, by: 100) {
            let waiter = lock(keys[place], of: 100 + UInt64(place), rollbacks: 0)
            answered += leader.turn { submit(waiter, 100 + UInt64(place), $0) }
        }
        #expect(answered == [1])
        answered += leader.turn { core in
            for start in stride(from: keys.count - 500, through: 0, by: -500) {
                let body = TabletRequest.Body.unlock(
                    keys: Array(keys[start..<start + 500]), rollback: 1)
                submit(TabletRequest(transaction: Self.transaction(4), body: body), nil, core)
            }
            let release = TabletRequest.Body.release(near: keys[0])
            submit(TabletRequest(transaction: Self.transaction(4), body: release), 2, core)
        }
        #expect(leader.tablet.locks.isReleasing && !leader.tablet.unlocking.isEmpty)
        for _ in 0..<200 { answered += leader.turn() }
        #expect(answered.count == 2 + keys.count / 100)
    }

    /// It would take the lock after the release that was to undo it.
    @Test func `a release ends requests for locks from before the return that still wait`() throws {
        var leader = try busyLeader()
        let key: KeyBytes = [0x6D]
        let owner = Self.transaction(4)
        func unlock(_ rollback: UInt64) -> TabletRequest {
            TabletRequest(transaction: owner, body: .unlock(keys: [key], rollback: rollback))
        }
        var answered = leader.turn { core in
            core.submit(unlock(1), token: nil, timeoutMicroseconds: 60_000_000)
            core.submit(
                lock(key, of: 4, rollbacks: 1), token: 1, timeoutMicroseconds: 60_000_000)
            core.submit(unlock(2), token: nil, timeoutMicroseconds: 60_000_000)
        }
        #expect(answered.isEmpty)
        for _ in 0..<200 where !leader.tablet.unlocking.isEmpty { answered += leader.turn() }
        for _ in 0..<5 { answered += leader.turn() }
        #expect(answered == [1])
        #expect(leader.tablet.locks.lockCount(of: owner) == 0)
    }

    /// Their locks go over several turns, and nobody is granted one of them twice.
    @Test func `thousands of transactions of a node that is gone do not fill a turn`() throws {
        var leader = try Leader()
        leader.turn { core in
            for sequence in 2...3_001 as ClosedRange<UInt64> {
                let keys = (0..<10).map { place -> KeyBytes in
                    [0x6C, UInt8(sequence >> 8), UInt8(sequence & 255), place]
                }
                core.submit(
                    .lock(keys, for: TransactionID(node: NodeID(2), sequence: sequence)),
                    token: 10_000 + sequence, timeoutMicroseconds: 60_000_000)
            }
        }
        for _ in 0..<100 { leader.turn() }
        #expect(leader.tablet.locks.transactions(of: NodeID(2)).count == 3_001)
        let effects = leader.effects { $0.tablets[0].releaseLocks(of: NodeID(2)) }
        var most = effects.map(\.work).max() ?? 0
        #expect(leader.tablet.locks.transactions(of: NodeID(2)).isEmpty)
        #expect(leader.tablet.locks.isReleasing)
        for _ in 0..<1_000 where leader.tablet.locks.isReleasing {
            most = max(most, leader.effects().map(\.work).max() ?? 0)
        }
        #expect(!leader.tablet.locks.isReleasing)
        // Node 3's transaction got the lock that it waited for, and has it alone.
        #expect(leader.tablet.locks.transactions(of: NodeID(3)).count == 1)
        #expect(most < 5_000_000, "a turn of \(most / 1_000) µs")
    }

    /// A client's host that fails has thousands of calls cancelled at once.
    @Test func `calls that wait are cancelled by the thousand`() throws {
        var leader = try Leader()
        let requests = (2...2_001).map { (token: $0, request: leader.lock(of: 2, sequence: $0)) }
        leader.turn { core in
            for (token, request) in requests {
                core.submit(request, token: token, timeoutMicroseconds: 60_000_000)
            }
        }
        for _ in 0..<100 { leader.turn() }
        let answered = leader.turn { core in
            for token in 2...2_001 as ClosedRange<UInt64> { core.cancel(token: token) }
        }
        #expect(answered.sorted() == Array(2...2_001))
        #expect(leader.turn { $0.cancel(token: 2) } == [])
    }

    /// Nobody is there to take it; a leader that still has the locks asks about them.
    @Test func `a release is given up where no leader can be reached`() throws {
        var time: UInt64 = 10_000_000
        let core = try NodeCore.firstOfThree(
            monotonic: time, wall: 1_700_000_000_000_000)
        let transaction = TransactionID(node: NodeID(1), sequence: core.firstTransaction)
        var answered = core.turns(at: &time, every: 10_000) {
            $0.submit(
                TabletRequest(transaction: transaction, body: .release(near: [0x6B])), token: 7,
                timeoutMicroseconds: 1_000_000)
        }.flatMap { $0.replies.map(\.0) }
        #expect(answered == [])
        for _ in 0..<150 {
            answered += core.turns(at: &time, every: 10_000).flatMap { $0.replies.map(\.0) }
        }
        #expect(answered == [7])
        #expect(core.pending.isEmpty && core.clientRequests.isEmpty)
    }

    /// Another node may pass it on after that run's locks were given up: nobody would give it up.
    @Test func `a transaction of an earlier run gets no lock`() throws {
        var leader = try Leader()
        leader.tablet.releaseLocks(of: NodeID(2))
        leader.tablet.releaseLocks(of: NodeID(3))
        leader.turn()
        let request = leader.lock(of: 1, sequence: leader.core.firstTransaction - 1)
        let answered = leader.turn {
            $0.submit(request, token: 9, timeoutMicroseconds: 60_000_000)
        }
        #expect(answered == [9])
        #expect(leader.tablet.locks.isEmpty)
    }
}
