import SteleAPI
import SteleBase

/// Rows whose invariants no single key can keep: they need ranges validated, locks that are shared,
/// locks that are skipped, and expectations.
extension ClientOperation {
    // MARK: Groups: no phantoms

    private static let group = Key("row").keyBytes

    /// Adds a row if there is none, and takes it out if there is: there is never more than one,
    /// which only the validation of what was scanned can see to.
    func changeGroup() async {
        if oneIn(5) { return await checkGroup() }
        let number = cluster.newValue()
        let isReverse = oneIn(2)
        do {
            let count = try await database.write(options(.serializable)) { transaction in
                var rows: [KeyBytes] = []
                for try await entry in transaction.scan(prefix: Self.group, reverse: isReverse) {
                    rows.append(entry.key)
                }
                await cluster.sleep(cluster.clientRandom.uniform(100...40_000))
                if let row = rows.first {
                    try await transaction.delete(row)
                } else {
                    try await transaction.put(Self.group + Key(number).keyBytes, number)
                }
                return rows.count
            }
            if count > 1 { cluster.fail("a group of one row has \(count)") }
        } catch {
            expect(error)
        }
    }

    /// Looks at the group in a snapshot.
    func checkGroup() async {
        do {
            let transaction = try begin(readOptions)
            defer { abandon(transaction) }
            let count = try await rows(of: Self.group, transaction).count
            if count > 1 { cluster.fail("a group of one row has \(count)") }
            cluster.result.counts.scans += 1
        } catch {
            expect(error)
        }
    }

    /// The keys of all rows behind a prefix, by pages of two.
    private func rows(
        of prefix: KeyBytes, _ transaction: any TransactionBackend
    ) async throws -> [KeyBytes] {
        var keys: [KeyBytes] = []
        var rest: KeyRange? = KeyRange(prefix: prefix)
        let isReverse = oneIn(2)
        while let range = rest {
            let page = try await transaction.scan(range, limit: 2, reverse: isReverse)
            keys += page.rows.map { Array($0.key) }
            rest = page.rest
        }
        return keys
    }

    // MARK: Families: shared locks

    /// Adds a child under a shared lock of its parent, or removes a parent with its children under
    /// an exclusive one: no child is ever without its parent, though all reads are committed ones.
    func changeFamily() async {
        let family = below(2)
        let parent = Key("parent", family).keyBytes
        let child = Key("child", family, cluster.newValue()).keyBytes
        if oneIn(4) {
            do { return try await checkFamilies() } catch { return expect(error) }
        }
        await transact(options(.readCommitted)) { transaction in
            if oneIn(3) {
                _ = try await transaction.lock([parent], .exclusive, oneIn(3) ? .fail : .wait)
                transaction.beginStatement()
                let children = try await rows(of: Key("child", family).keyBytes, transaction)
                for key in children { try transaction.write(key, nil) }
                try transaction.write(parent, nil)
            } else {
                let isThere = try await transaction.lock([parent], .shared, .wait)[0].value
                if isThere == nil {
                    _ = try await transaction.lock([parent], .exclusive, .wait)
                    try transaction.write(parent, [1])
                }
                await hesitate()
                try transaction.write(child, [1])
            }
        }
    }

    func checkFamilies() async throws {
        let transaction = try begin(readOptions)
        defer { abandon(transaction) }
        for family in 0..<2 {
            let children = try await rows(of: Key("child", family).keyBytes, transaction)
            let parent = try await transaction.get([Key("parent", family).keyBytes])[0]
            if parent == nil, !children.isEmpty {
                cluster.fail("\(children.count) children of family \(family) have no parent")
            }
        }
        cluster.result.counts.scans += 1
    }

    // MARK: Duty: what was seen decides, not what was written

    private static let shifts = (0..<2).map { Key("duty", $0).keyBytes }

    /// Comes on duty, or goes off it if the other one is on duty: one of the two always is.
    ///
    /// Both change at the same time, and each writes what only the other one reads, so nothing but the
    /// validation of what was read sees to it. Whether the other is on duty is seen in a snapshot, or
    /// through a lock, which a return to a savepoint may give up before the write.
    func changeDuty() async {
        await checkDuty()
        let node = cluster.nodes[below(cluster.nodes.count)]
        let elsewhere = ClientOperation(
            cluster: cluster, client: client, node: node, timeout: timeout)
        async let second: Void = elsewhere.changeDuty(1)
        await changeDuty(0)
        await second
        await checkDuty()
    }

    private func changeDuty(_ own: Int) async {
        let other = Self.shifts[1 - own]
        await transact(options(.serializable)) { transaction in
            let savepoint = try transaction.savepoint()
            let seen: [UInt8]?
            if oneIn(4) {
                seen = try await transaction.get([other])[0]
            } else {
                seen = try await transaction.lock([other], .shared, .wait)[0].value
                if !oneIn(8) { await transaction.rollback(to: savepoint) }
            }
            await cluster.sleep(cluster.clientRandom.uniform(100...40_000))
            try transaction.write(Self.shifts[own], seen == nil || oneIn(2) ? [1] : nil)
        }
    }

    /// Looks at both in a snapshot.
    func checkDuty() async {
        let wasOnDuty = cluster.workload.wasOnDuty
        do {
            let transaction = try begin(readOptions)
            defer { abandon(transaction) }
            let values = try await transaction.get(Self.shifts)
            if values.contains(where: { $0 != nil }) {
                cluster.workload.wasOnDuty = true
            } else if wasOnDuty {
                cluster.fail("nobody is on duty")
            }
            cluster.result.counts.scans += 1
        } catch {
            expect(error)
        }
    }

    // MARK: A queue: locks that are skipped or refused

    /// Adds a job, or takes one that nobody else is taking: each is taken once.
    func useQueue() async {
        do {
            if oneIn(2) {
                return try await database.put(Key("job", cluster.newValue()), 1)
            }
            let transaction = try begin(options(.readCommitted))
            do {
                let page = try await transaction.scan(
                    KeyRange(prefix: Key("job").keyBytes), limit: 3, reverse: false)
                let keys = page.rows.map { Array($0.key) }
                let locked = try await transaction.lock(
                    keys, .exclusive, oneIn(4) ? .fail : .skip)
                guard let place = locked.firstIndex(where: { $0.isLocked && $0.value != nil })
                else { return abandon(transaction) }
                await hesitate()
                try transaction.write(keys[place], nil)
                try await transaction.commit()
                if !cluster.workload.takenJobs.insert(keys[place]).inserted {
                    cluster.fail("job \(keys[place].keyDescription) was taken twice")
                }
            } catch {
                abandon(transaction)
                throw error
            }
        } catch {
            expect(error)
        }
    }

    // MARK: Stamps: expectations

    /// Writes what belongs to the version that the client believes in, on condition that it is still
    /// that version, or begins a new version: both keys are always of the same one.
    func stamp() async {
        let version = Key("version").keyBytes
        let content = Key("content").keyBytes
        let believed = cluster.workload.believedStamp
        do {
            if oneIn(3) {
                try await database.write(options(.serializable)) { transaction in
                    let next = (try await transaction.get(version, as: Int.self) ?? 0) + 1
                    try await transaction.put(version, next)
                    try await transaction.put(content, next)
                }
            } else if oneIn(2) {
                await transact(options(.readCommitted)) { transaction in
                    try transaction.expect(version, believed == 0 ? nil : believed.steleBytes)
                    try transaction.write(content, believed.steleBytes)
                }
            } else {
                let (now, of) = try await database.read { transaction in
                    (
                        try await transaction.get(version, as: Int.self) ?? 0,
                        try await transaction.get(content, as: Int.self) ?? 0
                    )
                }
                if now != of { cluster.fail("content of version \(of) is under version \(now)") }
                cluster.workload.believedStamp = now
            }
        } catch {
            expect(error)
        }
    }
}
