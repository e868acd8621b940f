import SteleAPI
import SteleBase
import SteleClock
import SteleTablet
import SteleVerify

/// One operation of one client, from its invocation to its end, over as many requests as it takes.
///
/// Invariant: `done` is called once, when the client is free again.
struct ClientOperation {
    let cluster: SimulatedCluster
    let client: SimulatedClient
    let node: SimulatedNode
    let timeout: UInt64
    let done: () -> Void

    // MARK: Registers

    /// Reads a register at the leader's own time.
    func read(_ key: Int) { read(key) { _, _ in done() } }

    private func read(_ key: Int, then next: @escaping (_ value: Int?, _ at: Timestamp?) -> Void) {
        invoke(.read(key: key, value: nil))
        let keyBytes = WorkloadKeys.register(key)
        submit(.none, .read(keys: [keyBytes], at: nil)) { reply in
            guard case .values(let values, let timestamp)? = reply, values.count == 1 else {
                complete(.fail)
                return next(nil, nil)
            }
            cluster.checks.served([keyBytes], values, at: timestamp)
            cluster.result.counts.reads += 1
            let value = WorkloadKeys.decode(values[0])
            complete(.ok, .read(key: key, value: value))
            next(value, timestamp)
        }
    }

    /// Writes a register blindly.
    func write(_ key: Int) {
        guard let transaction = node.takeTransaction() else { return done() }
        let value = cluster.newValue()
        invoke(.write(key: key, value: value))
        commit(transaction, TabletRequest.CommitRequest(writes: [put(key, value)]))
    }

    /// Reads a register and writes it if nobody did in between.
    func compareAndSet(_ key: Int) {
        read(key) { seen, timestamp in
            guard let timestamp else { return done() }
            hesitate {
                guard node.isUp, let transaction = node.takeTransaction() else { return done() }
                let value = cluster.newValue()
                invoke(.compareAndSet(key: key, expected: seen, new: value))
                commit(
                    transaction,
                    TabletRequest.CommitRequest(
                        readTimestamp: timestamp, readKeys: [WorkloadKeys.register(key)],
                        firstCommitterWins: cluster.clientRandom.oneIn(2),
                        writes: [put(key, value)]))
            }
        }
    }

    /// Locks a register, which also reads it, and writes it.
    func lockedUpdate(_ key: Int) {
        guard let transaction = node.takeTransaction() else { return done() }
        let keyBytes = WorkloadKeys.register(key)
        invoke(.read(key: key, value: nil))
        lock([keyBytes], transaction) { values, grant in
            guard let values, node.isUp else {
                complete(.fail)
                return release(keyBytes, transaction)
            }
            let seen = WorkloadKeys.decode(values[0])
            complete(.ok, .read(key: key, value: seen))
            let value = cluster.newValue()
            invoke(.compareAndSet(key: key, expected: seen, new: value))
            commit(
                transaction,
                TabletRequest.CommitRequest(
                    locks: [keyBytes], grant: grant, writes: [put(key, value)]),
                releasing: keyBytes)
        }
    }

    /// Locks a register and changes nothing; whoever commits that relies on its having stayed as it
    /// was read, until then.
    func lockedRead(_ key: Int) {
        guard let transaction = node.takeTransaction() else { return done() }
        let keyBytes = WorkloadKeys.register(key)
        lock([keyBytes], transaction) { values, grant in
            guard let values, node.isUp else { return release(keyBytes, transaction) }
            hesitate {
                guard node.isUp else { return done() }
                let request = TabletRequest.CommitRequest(
                    locks: [keyBytes], grant: grant, writes: [])
                submit(transaction, .commit(request)) { reply in
                    if case .committed(let timestamp)? = reply {
                        cluster.checks.served([keyBytes], values, at: timestamp)
                    }
                    release(keyBytes, transaction)
                }
            }
        }
    }

    private func put(_ key: Int, _ value: Int) -> TabletRequest.CommitRequest.Write {
        .init(key: WorkloadKeys.register(key), value: WorkloadKeys.encode(value))
    }

    private func commit(
        _ transaction: TransactionID, _ request: TabletRequest.CommitRequest,
        releasing key: KeyBytes? = nil
    ) {
        submit(transaction, .commit(request)) { reply in
            switch cluster.note(reply, of: transaction) {
            case .committed:
                complete(.ok)
                done()
            case .failed:
                complete(.fail)
                if let key { release(key, transaction) } else { done() }
            case .unknown:
                complete(.info)
                if let key { release(key, transaction) } else { done() }
            }
        }
    }

    // MARK: Accounts

    /// Moves money between two accounts, on the strength of what was read or of locks.
    func transfer(isLocking: Bool) {
        let count = UInt64(WorkloadKeys.accounts)
        let from = cluster.clientRandom.below(count)
        let to = (from + 1 + cluster.clientRandom.below(count - 1)) % count
        let keys = [WorkloadKeys.account(Int(from)), WorkloadKeys.account(Int(to))]
        guard let transaction = node.takeTransaction() else { return done() }
        if isLocking {
            // One after the other, so that transfers may deadlock, and the first one twice: what
            // was read under it counts, which a break in between would make wrong.
            lock([keys[0]], transaction) { first, grant in
                guard let first, node.isUp else { return release(keys[0], transaction) }
                hesitate {
                    guard node.isUp else { return done() }
                    lock(keys, transaction, grant) { both, grant in
                        guard let both, node.isUp else { return release(keys[0], transaction) }
                        move(keys, [first[0], both[1]], transaction, grant: grant)
                    }
                }
            }
        } else {
            submit(.none, .read(keys: keys, at: nil)) { reply in
                guard case .values(let values, let timestamp)? = reply, node.isUp else {
                    return done()
                }
                cluster.checks.served(keys, values, at: timestamp)
                move(keys, values, transaction, readAt: timestamp)
            }
        }
    }

    private func move(
        _ keys: [KeyBytes], _ values: [[UInt8]?], _ transaction: TransactionID,
        readAt timestamp: Timestamp? = nil, grant: LockGrant? = nil
    ) {
        guard let from = WorkloadKeys.decode(values[0]), let to = WorkloadKeys.decode(values[1])
        else {
            cluster.fail("an account is gone")
            return done()
        }
        let amount = Int(cluster.clientRandom.below(7))
        var writes: [TabletRequest.CommitRequest.Write] = [
            .init(key: keys[0], value: WorkloadKeys.encode(from - amount)),
            .init(key: keys[1], value: WorkloadKeys.encode(to + amount)),
        ]
        writes.sort { $0.key.precedes($1.key) }
        let request =
            timestamp.map {
                TabletRequest.CommitRequest(readTimestamp: $0, readKeys: keys, writes: writes)
            } ?? TabletRequest.CommitRequest(locks: keys, grant: grant, writes: writes)
        submit(transaction, .commit(request)) { reply in
            if case .committed = cluster.note(reply, of: transaction) { return done() }
            if timestamp == nil { release(keys[0], transaction) } else { done() }
        }
    }

    /// Reads all accounts in one or two requests at one timestamp: no money appears or vanishes.
    func snapshot() {
        let keys = WorkloadKeys.allAccounts
        let split = Int(cluster.clientRandom.below(UInt64(keys.count))) + 1
        let first = Array(keys[..<split])
        submit(.none, .read(keys: first, at: nil)) { reply in
            guard case .values(let values, let timestamp)? = reply else { return done() }
            cluster.checks.served(first, values, at: timestamp)
            guard split < keys.count, node.isUp else { return balance(values, split) }
            let rest = Array(keys[split...])
            submit(.none, .read(keys: rest, at: timestamp)) { reply in
                guard case .values(let more, _)? = reply else { return done() }
                cluster.checks.served(rest, more, at: timestamp)
                balance(values + more, keys.count)
            }
        }
    }

    private func balance(_ values: [[UInt8]?], _ count: Int) {
        if count == WorkloadKeys.accounts {
            let total = values.reduce(0) { $0 + (WorkloadKeys.decode($1) ?? 0) }
            cluster.result.counts.snapshots += 1
            if total != WorkloadKeys.accounts * WorkloadKeys.openingBalance {
                cluster.fail("a snapshot of the accounts adds up to \(total)")
            }
        }
        done()
    }

    // MARK: Parts

    /// Locks keys; `grant` is that of the transaction's earlier locks.
    private func lock(
        _ keys: [KeyBytes], _ transaction: TransactionID, _ grant: LockGrant? = nil,
        then next: @escaping (_ values: [[UInt8]?]?, _ grant: LockGrant?) -> Void
    ) {
        let request = TabletRequest.LockRequest(
            keys: keys, mode: .exclusive, wait: cluster.clientRandom.oneIn(4) ? .fail : .wait,
            timeoutMicroseconds: timeout, snapshot: nil,
            grant: cluster.defect == .forgetsLockGrants ? nil : grant)
        submit(transaction, .lock(request)) { reply in
            guard case .locked(let found, let grant, _)? = reply else { return next(nil, nil) }
            next(found.map(\.value), grant)
        }
    }

    /// Goes on at once, or after long enough for a leader to fall and another one to serve.
    private func hesitate(_ next: @escaping () -> Void) {
        guard cluster.clientRandom.oneIn(4) else { return next() }
        cluster.after(cluster.clientRandom.uniform(100_000...1_000_000), next)
    }

    private func release(_ key: KeyBytes, _ transaction: TransactionID) {
        guard node.isUp else { return done() }
        submit(transaction, .release(near: key)) { _ in done() }
    }

    private func submit(
        _ transaction: TransactionID, _ body: TabletRequest.Body,
        _ reply: @escaping (TabletReply?) -> Void
    ) {
        cluster.submit(
            TabletRequest(transaction: transaction, body: body), to: node, timeout: timeout, reply)
    }

    private func invoke(_ operation: History.Operation) {
        cluster.trace.note(
            .client, at: cluster.now, UInt64(client.process), 0,
            "process \(client.process): \(operation)")
        cluster.result.history.invoke(
            operation, process: client.process, time: cluster.now * 1_000)
    }

    private func complete(_ type: History.EventType, _ operation: History.Operation? = nil) {
        cluster.trace.note(
            .client, at: cluster.now, UInt64(client.process), 1,
            "process \(client.process): \(type.rawValue) \(operation.map { "\($0)" } ?? "")")
        cluster.result.history.complete(
            type, operation, process: client.process, time: cluster.now * 1_000)
        if type == .info { client.process += cluster.scenario.clients }
    }
}
