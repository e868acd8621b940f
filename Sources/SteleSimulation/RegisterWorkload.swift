import SteleAPI
import SteleBase
import SteleVerify

/// Single keys, whose histories must be linearizable, and money that is moved between accounts.
extension ClientOperation {
    // MARK: Registers

    private func database(ofRegister key: Int) -> Database {
        node.database(WorkloadKeys.keyspace(ofRegister: key), in: cluster)
    }

    func readRegister(_ key: Int) async {
        invoke(.read(key: key, value: nil))
        do {
            let value = try await database(ofRegister: key)
                .get(WorkloadKeys.register(key), as: Int.self)
            cluster.result.counts.reads += 1
            complete(.ok, .read(key: key, value: value))
        } catch {
            expect(error)
            complete(.fail)
        }
    }

    func writeRegister(_ key: Int) async {
        let value = cluster.newValue()
        invoke(.write(key: key, value: value))
        do {
            if oneIn(2) {
                try await database(ofRegister: key).put(WorkloadKeys.register(key), value)
            } else {
                try await database(ofRegister: key).write(options(anyIsolation)) {
                    try await $0.put(WorkloadKeys.register(key), value)
                }
            }
            complete(.ok)
        } catch {
            complete(ending(error))
        }
    }

    /// Reads a register, with a lock or on the strength of the isolation, and writes it.
    func compareAndSet(_ key: Int) async {
        let bytes = WorkloadKeys.register(key)
        let value = cluster.newValue()
        let isLocking = oneIn(3)
        let isolation = isLocking ? anyIsolation : oneIn(2) ? .serializable : .snapshot
        var seen: Int?
        invoke(.compareAndSet(key: key, expected: nil, new: value))
        do {
            try await database(ofRegister: key).write(options(isolation)) { transaction in
                seen =
                    isLocking
                    ? try await transaction.getForUpdate(bytes, as: Int.self)
                    : try await transaction.get(bytes, as: Int.self)
                if isLocking { await hesitate() }
                try await transaction.put(bytes, value)
            }
            complete(.ok, .compareAndSet(key: key, expected: seen, new: value))
        } catch {
            complete(ending(error), .compareAndSet(key: key, expected: seen, new: value))
        }
    }

    /// Locks a register and changes nothing; whoever commits that relies on its having stayed as it
    /// was read, until then.
    func readLocked(_ key: Int) async {
        let bytes = WorkloadKeys.register(key)
        let keyspace = WorkloadKeys.keyspace(ofRegister: key)
        do {
            let transaction = try node.backend(keyspace, in: cluster)
                .begin(options(.readCommitted))
            do {
                let locked = try await transaction.lock([bytes], .exclusive, .wait)
                await hesitate()
                let timestamp = try await transaction.commit()
                cluster.checks.served([keyspace.key(bytes)], [locked[0].value], at: timestamp)
            } catch {
                abandon(transaction)
                throw error
            }
        } catch {
            expect(error)
        }
    }

    // MARK: Accounts

    private func twoAccounts() -> (from: KeyBytes, to: KeyBytes) {
        let from = below(WorkloadKeys.accounts)
        let to = (from + 1 + below(WorkloadKeys.accounts - 1)) % WorkloadKeys.accounts
        return (WorkloadKeys.account(from), WorkloadKeys.account(to))
    }

    /// Moves money on the strength of what was read.
    func transfer() async {
        let (from, to) = twoAccounts()
        let amount = below(30)
        let isolation: Isolation = oneIn(2) ? .serializable : .snapshot
        do {
            try await database.write(options(isolation)) { transaction in
                let giving = try await transaction.get(from, as: Int.self) ?? 0
                let taking = try await transaction.get(to, as: Int.self) ?? 0
                try await transaction.put(from, giving - amount)
                try await transaction.put(to, taking + amount)
            }
        } catch {
            expect(error)
        }
    }

    /// Moves money on the strength of locks, whatever the isolation: one after the other, so that
    /// transfers may deadlock, and the first one twice: what was read under it counts, which a break
    /// in between would make wrong. What a savepoint takes back never shows.
    func lockedTransfer() async {
        if oneIn(8) { return await goOnWithoutLock() }
        let (from, to) = twoAccounts()
        let amount = below(30)
        let isolation = oneIn(4) ? anyIsolation : .readCommitted
        await transact(options(isolation)) { transaction in
            let first = try await transaction.lock([from], .exclusive, oneIn(4) ? .fail : .wait)
            await hesitate()
            let savepoint = try transaction.savepoint()
            try transaction.write(to, (-1_000_000).steleBytes)
            if oneIn(2) { _ = try await transaction.get([to]) }
            if oneIn(2) { _ = try await transaction.lock([to, from], .exclusive, .fail) }
            await transaction.rollback(to: savepoint)
            let both = try await transaction.lock(
                [from, to], .exclusive, oneIn(4) ? .fail : .wait)
            let giving = WorkloadKeys.decode(first[0].value) ?? 0
            let taking = WorkloadKeys.decode(both[1].value) ?? 0
            try transaction.write(from, (giving - amount).steleBytes)
            try transaction.write(to, (taking + amount).steleBytes)
            if oneIn(2) { await hesitate() }
            // They are held: this asks for nothing new.
            if oneIn(2) { _ = try await transaction.lock([to, from], .exclusive, .wait) }
        }
    }

    /// Asks for a lock that does not come in time, goes back to a savepoint and commits. A node that
    /// would ask again, as it does after a second, ends the call by its own clock if the time is over:
    /// what comes next may find the transaction still waiting at the leader.
    private func goOnWithoutLock() async {
        let (kept, missed) = twoAccounts()
        await transact(options(.readCommitted)) { transaction in
            let holder = try begin(options(.readCommitted))
            defer { abandon(holder) }
            // No leader sees that the holder waits for the other transaction.
            holder.setLockTimeout(timeout)
            transaction.setLockTimeout(timeout)
            _ = try await holder.lock([missed], .exclusive, .wait)
            let balance = try await transaction.lock([kept], .exclusive, .wait)[0].value
            let savepoint = try transaction.savepoint()
            do {
                transaction.setLockTimeout(oneIn(4) ? .microseconds(below(40_000)) : .seconds(1))
                _ = try await transaction.lock([missed], .exclusive, .wait)
            } catch let error as SteleError where error.code == .lockNotAvailable {}
            await transaction.rollback(to: savepoint)
            if let balance { try transaction.write(kept, balance) }
        }
    }

    /// No money appears or vanishes, in whichever way the accounts are read.
    func checkTotal() async {
        let keys = WorkloadKeys.allAccounts
        do {
            let balances: [Int?]
            switch below(5) {
            case 0:
                balances = try await database.read { transaction in
                    var balances: [Int?] = []
                    for key in keys {
                        if oneIn(4) { await pause() }
                        balances.append(try await transaction.get(key, as: Int.self))
                    }
                    return balances
                }
            case 1:
                balances = try await database.read { transaction in
                    var balances: [Int?] = []
                    for try await entry in transaction.scan(prefix: Key("account")) {
                        balances.append(try entry.value(as: Int.self))
                    }
                    return balances
                }
            case 2: balances = try await balancesAtOnce(keys)
            case 3:
                let transaction = try begin(options(.readCommitted))
                defer { abandon(transaction) }
                balances = try await transaction.lock(keys, .shared, .wait)
                    .map { WorkloadKeys.decode($0.value) }
            default:
                let transaction = try begin(options(.readCommitted))
                defer { abandon(transaction) }
                let locked = try await transaction.lock(
                    [keys[0]], .exclusive, .wait, reading: Array(keys.dropFirst()))
                balances = locked.map { WorkloadKeys.decode($0.value) }
            }
            cluster.result.counts.snapshots += 1
            let total = balances.reduce(0) { $0 + ($1 ?? 0) }
            if total != WorkloadKeys.accounts * WorkloadKeys.openingBalance {
                cluster.fail("the accounts \(balances.map { $0 ?? -1 }) add up to \(total)")
            }
        } catch {
            expect(error)
        }
    }
    /// Reads with one transaction from several tasks: its calls take turns, in one snapshot.
    private func balancesAtOnce(_ keys: [KeyBytes]) async throws -> [Int?] {
        try await database.read { transaction in
            try await withThrowingTaskGroup(of: (Int, Int?).self) { group in
                for (place, key) in keys.enumerated() {
                    group.addTask { (place, try await transaction.get(key, as: Int.self)) }
                }
                var balances = [Int?](repeating: nil, count: keys.count)
                for try await (place, balance) in group { balances[place] = balance }
                return balances
            }
        }
    }
}
