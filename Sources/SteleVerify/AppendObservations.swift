/// What the reads of a history tell about its lists: who wrote what, and in which order.
///
/// The order of a key is its longest committed read; every other read must be a prefix of it. Appends
/// that no read shows come after all that are in it, for nothing is ever taken out of a list.
struct AppendObservations {
    private struct Element: Hashable {
        var key: Int
        var value: Int
    }

    private struct Append {
        var transaction: Int
        /// Whether the transaction appended to the same list again.
        var isOverwritten: Bool
    }

    private struct Read {
        var transaction: Int
        var values: [Int]
    }

    let transactions: [AppendTransaction]
    private let level: AppendChecker.Level
    private var appends: [Element: Append] = [:]
    /// The committed reads of each key, in the order of the history.
    private var reads: [Int: [Read]] = [:]
    /// The longest read of each key.
    private var orders: [Int: [Int]] = [:]
    /// For each key that was read, acknowledged or seen appends that its order does not show.
    private var unseen: [Int: [(value: Int, transaction: Int)]] = [:]
    private var keys: [Int] = []
    /// Whether each key has one order.
    private(set) var hasOrder = true

    /// Of the appends that no read shows, so many of each key take part in circles: those that
    /// ended first, which are the ones whose absence says most.
    private static let unseenPerKey = 8

    init(_ transactions: [AppendTransaction], level: AppendChecker.Level) {
        self.transactions = transactions
        self.level = level
    }

    /// Collects everything; tells what is wrong by itself, without any circle.
    mutating func findAnomalies() -> [AppendAnomaly] {
        var anomalies = collectAppends()
        guard anomalies.isEmpty else { return anomalies }
        collectReads()
        for (place, transaction) in transactions.enumerated() where transaction.outcome == .ok {
            if let anomaly = selfContradiction(of: place) { anomalies.append(anomaly) }
        }
        for key in keys {
            anomalies += duplicates(of: key)
            if let anomaly = incompatibleReads(of: key) {
                anomalies.append(anomaly)
                hasOrder = false
            }
        }
        for key in keys { anomalies += dirtyReads(of: key) }
        collectUnseen()
        for key in keys {
            if let anomaly = lostWrite(of: key) { anomalies.append(anomaly) }
            if level >= .snapshotIsolation, let anomaly = lostUpdate(of: key) {
                anomalies.append(anomaly)
            }
        }
        return anomalies
    }

    // MARK: Collecting

    private mutating func collectAppends() -> [AppendAnomaly] {
        for (place, transaction) in transactions.enumerated() {
            var last: [Int: Element] = [:]
            for case .append(let key, let value) in transaction.steps {
                let element = Element(key: key, value: value)
                if let earlier = last[key] { appends[earlier]?.isOverwritten = true }
                last[key] = element
                let new = Append(transaction: place, isOverwritten: false)
                guard let known = appends.updateValue(new, forKey: element) else { continue }
                hasOrder = false
                return [
                    AppendAnomaly(
                        .reusedValue, [transactions[known.transaction], transaction],
                        ["\(value) is appended to key \(key) more than once"])
                ]
            }
        }
        return []
    }

    private mutating func collectReads() {
        for (place, transaction) in transactions.enumerated() where transaction.outcome == .ok {
            for case .readList(let key, let values) in transaction.steps {
                reads[key, default: []].append(Read(transaction: place, values: values ?? []))
            }
        }
        keys = reads.keys.sorted()
        for key in keys {
            orders[key] = reads[key]?.map(\.values).max { $0.count < $1.count } ?? []
        }
    }

    private mutating func collectUnseen() {
        var isCommitted = transactions.map { $0.outcome == .ok }
        for key in keys {
            for value in orders[key] ?? [] {
                guard let append = appends[Element(key: key, value: value)] else { continue }
                isCommitted[append.transaction] = true
            }
        }
        let shown = Set(
            keys.flatMap { key in (orders[key] ?? []).map { Element(key: key, value: $0) } })
        for (place, transaction) in transactions.enumerated() where isCommitted[place] {
            for case .append(let key, let value) in transaction.steps
            where orders[key] != nil && !shown.contains(Element(key: key, value: value)) {
                unseen[key, default: []].append((value, place))
            }
        }
        for key in keys {
            unseen[key]?.sort { one, other in
                let ends = (
                    transactions[one.transaction].completed ?? .max,
                    transactions[other.transaction].completed ?? .max
                )
                return ends.0 != ends.1 ? ends.0 < ends.1 : one.value < other.value
            }
        }
    }

    // MARK: What is wrong by itself

    /// Whether a transaction sees what it wrote, and from a snapshot twice the same.
    private func selfContradiction(of place: Int) -> AppendAnomaly? {
        var known: [Int: [Int]] = [:]
        var own: [Int: [Int]] = [:]
        for step in transactions[place].steps {
            switch step {
            case .append(let key, let value):
                own[key, default: []].append(value)
                known[key]?.append(value)
            case .readList(let key, let values):
                let values = values ?? []
                let mine = own[key] ?? []
                if !values.suffix(mine.count).elementsEqual(mine) {
                    return AppendAnomaly(
                        .internal, [transactions[place]],
                        ["it appended \(mine) to key \(key) and then read \(values)"])
                }
                if level >= .snapshotIsolation, let expected = known[key], expected != values {
                    return AppendAnomaly(
                        .internal, [transactions[place]],
                        ["it read \(values) of key \(key), where it knew of \(expected)"])
                }
                known[key] = values
            case .readRegister, .write: break
            }
        }
        return nil
    }

    private func duplicates(of key: Int) -> [AppendAnomaly] {
        for read in reads[key] ?? [] where Set(read.values).count < read.values.count {
            return [
                AppendAnomaly(
                    .duplicateWrite, [transactions[read.transaction]],
                    ["T1 read key \(key) as \(read.values)"])
            ]
        }
        return []
    }

    private func incompatibleReads(of key: Int) -> AppendAnomaly? {
        guard let order = orders[key], let reads = reads[key] else { return nil }
        for read in reads where !order.prefix(read.values.count).elementsEqual(read.values) {
            let longest = reads.first { $0.values == order }?.transaction ?? read.transaction
            return AppendAnomaly(
                .incompatibleOrder, [transactions[read.transaction], transactions[longest]],
                ["T1 read key \(key) as \(read.values)", "T2 read key \(key) as \(order)"])
        }
        return nil
    }

    /// Reads of what failed, of what was written over, and of what nobody wrote; one of each kind.
    private func dirtyReads(of key: Int) -> [AppendAnomaly] {
        var found: [AppendAnomaly.Kind: AppendAnomaly] = [:]
        var isKnown: Set<Int> = []
        for read in reads[key] ?? [] {
            for value in read.values where isKnown.insert(value).inserted {
                guard let append = appends[Element(key: key, value: value)] else {
                    found[.unwrittenRead] = AppendAnomaly(
                        .unwrittenRead, [transactions[read.transaction]],
                        ["T1 read key \(key) as \(read.values), and nobody appended \(value)"])
                    continue
                }
                let writer = transactions[append.transaction]
                if writer.outcome == .fail, found[.g1a] == nil {
                    found[.g1a] = AppendAnomaly(
                        .g1a, [transactions[read.transaction], writer],
                        ["T1 read \(value) of key \(key), which T2 appended before it failed"])
                }
            }
            guard let last = read.values.last, found[.g1b] == nil,
                let append = appends[Element(key: key, value: last)],
                append.isOverwritten, append.transaction != read.transaction
            else { continue }
            found[.g1b] = AppendAnomaly(
                .g1b, [transactions[read.transaction], transactions[append.transaction]],
                ["T1 read key \(key) up to \(last), after which T2 appended more to it"])
        }
        return [.unwrittenRead, .g1a, .g1b].compactMap { found[$0] }
    }

    private func lostWrite(of key: Int) -> AppendAnomaly? {
        guard let read = reads[key]?.max(by: { began($0) < began($1) }) else { return nil }
        for (value, place) in unseen[key] ?? [] where transactions[place].outcome == .ok {
            guard let completed = transactions[place].completed, completed < began(read) else {
                continue
            }
            return AppendAnomaly(
                .lostWrite, [transactions[place], transactions[read.transaction]],
                [
                    "T1 appended \(value) to key \(key) and had ended when T2 began",
                    "T2 read key \(key) as \(read.values), and no other read shows it either",
                ])
        }
        return nil
    }

    private func began(_ read: Read) -> Int { transactions[read.transaction].invoked }

    /// Two that read the same version of a key before they appended to it.
    private func lostUpdate(of key: Int) -> AppendAnomaly? {
        var updaters: [Int: Read] = [:]
        var lastReader = -1
        for read in reads[key] ?? [] where read.transaction != lastReader {
            lastReader = read.transaction
            let steps = transactions[read.transaction].steps
            // Only what came before its own appends is the version that it wrote upon.
            let first = steps.first { step in
                switch step {
                case .append(key, _), .readList(key, _): true
                default: false
                }
            }
            guard case .readList? = first,
                steps.contains(where: { if case .append(key, _) = $0 { true } else { false } })
            else { continue }
            if let other = updaters.updateValue(read, forKey: read.values.count) {
                return AppendAnomaly(
                    .lostUpdate,
                    [transactions[other.transaction], transactions[read.transaction]],
                    ["both read key \(key) as \(read.values) and appended to it"])
            }
        }
        return nil
    }

    // MARK: Dependencies

    /// Adds what the reads tell of who came before whom.
    func addDependencies(to graph: inout DependencyGraph) {
        for key in keys {
            guard let order = orders[key] else { continue }
            let writers = order.map { appends[Element(key: key, value: $0)]?.transaction }
            let later = (unseen[key] ?? []).prefix(Self.unseenPerKey)
            for position in order.indices.dropLast() {
                guard let one = writers[position], let other = writers[position + 1] else {
                    continue
                }
                graph.add(
                    .init(
                        from: one, to: other, kind: .writeWrite, key: key,
                        before: order[position], value: order[position + 1]))
            }
            if let writer = writers.last.flatMap({ $0 }) {
                for (value, place) in later {
                    graph.add(
                        .init(
                            from: writer, to: place, kind: .writeWrite, key: key,
                            before: order.last, value: value))
                }
            }
            for read in reads[key] ?? [] {
                addDependencies(of: read, key, order, writers, later, to: &graph)
            }
        }
    }

    private func addDependencies(
        of read: Read, _ key: Int, _ order: [Int], _ writers: [Int?],
        _ later: ArraySlice<(value: Int, transaction: Int)>, to graph: inout DependencyGraph
    ) {
        let count = read.values.count
        if count > 0, let writer = writers[count - 1] {
            // Of what it wrote itself the order of the writes tells.
            if writer == read.transaction { return }
            graph.add(
                .init(
                    from: writer, to: read.transaction, kind: .writeRead, key: key,
                    value: read.values.last))
        }
        if count < order.count {
            guard let writer = writers[count] else { return }
            graph.add(
                .init(
                    from: read.transaction, to: writer, kind: .readWrite, key: key,
                    before: read.values.last, value: order[count]))
        } else {
            for (value, place) in later {
                graph.add(
                    .init(
                        from: read.transaction, to: place, kind: .readWrite, key: key,
                        before: read.values.last, value: value))
            }
        }
    }
}
