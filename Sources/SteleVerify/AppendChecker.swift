/// Judges whether a history of transactions on lists keeps to the isolation level that was claimed.
///
/// The method is Elle's (Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies from
/// Experimental Observations", VLDB 2020). Transactions append values to lists, no value twice to
/// the same list, and read whole lists. A list names all its versions in their order, so every read
/// tells who wrote what it saw, whose writes came before, and whose came after; a circle of such
/// dependencies is an anomaly, and which dependencies it takes says what kind of anomaly it is.
///
/// Sound: whatever is reported cannot happen at the level claimed. A transaction of unknown outcome
/// counts as committed if anything that it wrote was seen, and its reads count for nothing. Time and
/// memory are linear in the size of the history for a bounded number of concurrent processes.
public struct AppendChecker: Sendable {
    /// What is claimed.
    public enum Level: Int, Hashable, Sendable, CaseIterable, Comparable {
        /// Nothing uncommitted is seen, and writes have one order (PL-2).
        case readCommitted
        /// Reads come from one snapshot, and of two that write the same key one fails (PL-SI).
        case snapshotIsolation
        /// As if one after the other (PL-3).
        case serializable
        /// The same, in an order that agrees with time.
        case strictSerializable

        public static func < (one: Level, other: Level) -> Bool { one.rawValue < other.rawValue }
    }

    /// Which order in time the transactions must agree with.
    public enum Order: Int, Hashable, Sendable, CaseIterable {
        case none
        /// That of each process.
        case process
        /// That of all: who began after another one's end comes after it.
        case realTime
    }

    /// What was found.
    public enum Verdict: Hashable, Sendable {
        case consistent
        /// At least one anomaly, the worst ones first.
        case violated([AppendAnomaly])
    }

    public let level: Level
    public let order: Order

    /// - Parameter order: nil is real time for ``Level/strictSerializable`` and none for the others.
    ///   A system that always takes a fresh snapshot keeps real time at every level.
    public init(level: Level, order: Order? = nil) {
        self.level = level
        self.order = order ?? (level == .strictSerializable ? .realTime : .none)
    }

    /// The verdict on all transactions of a history; other operations count for nothing.
    public func check(_ history: History) -> Verdict {
        let transactions = history.transactions()
        var observations = AppendObservations(transactions, level: level)
        let anomalies = observations.findAnomalies()
        // What shows in no one order has no dependencies that could be relied on.
        if observations.hasOrder, let cycle = worstCycle(in: graph(observations)) {
            return .violated(anomalies + [anomaly(cycle, transactions)])
        }
        return anomalies.isEmpty ? .consistent : .violated(anomalies)
    }

    private func graph(_ observations: AppendObservations) -> DependencyGraph {
        var graph = DependencyGraph(nodes: observations.transactions.count)
        observations.addDependencies(to: &graph)
        if order != .none { addProcessOrder(observations.transactions, to: &graph) }
        if order == .realTime { addRealTime(observations.transactions, to: &graph) }
        return graph
    }

    // MARK: Order in time

    private func addProcessOrder(
        _ transactions: [AppendTransaction], to graph: inout DependencyGraph
    ) {
        var last: [Int: Int] = [:]
        for (place, transaction) in transactions.enumerated() where transaction.outcome != .fail {
            if let earlier = last[transaction.process] {
                graph.add(.init(from: earlier, to: place, kind: .process))
            }
            last[transaction.process] = transaction.outcome == .ok ? place : nil
        }
    }

    /// Adds an edge from each transaction to those that began after its end, but for what follows
    /// from other edges: of what has ended, only those count that nobody who ended later had seen.
    private func addRealTime(
        _ transactions: [AppendTransaction], to graph: inout DependencyGraph
    ) {
        var events: [(index: Int, transaction: Int, isEnd: Bool)] = []
        for (place, transaction) in transactions.enumerated() where transaction.outcome != .fail {
            events.append((transaction.invoked, place, false))
            if transaction.outcome == .ok, let completed = transaction.completed {
                events.append((completed, place, true))
            }
        }
        events.sort { $0.index < $1.index }
        var ended: [Int] = []
        var seen: [Int: [Int]] = [:]
        for event in events {
            if event.isEnd {
                let earlier = Set(seen.removeValue(forKey: event.transaction) ?? [])
                ended.removeAll { earlier.contains($0) }
                ended.append(event.transaction)
            } else {
                for earlier in ended {
                    graph.add(.init(from: earlier, to: event.transaction, kind: .realTime))
                }
                if transactions[event.transaction].outcome == .ok {
                    seen[event.transaction] = ended
                }
            }
        }
    }

    // MARK: Circles

    /// The worst circle that the level does not allow: of those that need fewer kinds of edges.
    private func worstCycle(in graph: DependencyGraph) -> [DependencyGraph.Edge]? {
        var searches: [(kinds: DependencyGraph.Kinds, apart: Bool)] = [
            (.writeWrite, false), ([.writeWrite, .writeRead], false),
        ]
        if level >= .snapshotIsolation {
            searches.append(([.writeWrite, .writeRead, .readWrite], true))
        }
        if level >= .serializable {
            searches.append(([.writeWrite, .writeRead, .readWrite], false))
        }
        var orders: [DependencyGraph.Kinds] = [[]]
        if order != .none { orders.append(.process) }
        if order == .realTime { orders.append([.process, .realTime]) }
        // Everything at once tells whether there is anything to be found.
        guard let widest = searches.last, let order = orders.last,
            let any = CycleSearch(graph, widest.kinds.union(order), apart: widest.apart).run()
        else { return nil }
        for order in orders {
            for search in searches {
                let kinds = search.kinds.union(order)
                if let cycle = CycleSearch(graph, kinds, apart: search.apart).run() {
                    return cycle
                }
            }
        }
        return any
    }

    private func anomaly(
        _ cycle: [DependencyGraph.Edge], _ transactions: [AppendTransaction]
    ) -> AppendAnomaly {
        var places: [Int] = []
        for edge in cycle where !places.contains(edge.from) { places.append(edge.from) }
        let names = Dictionary(
            uniqueKeysWithValues: places.enumerated().map { ($0.element, "T\($0.offset + 1)") })
        let kinds = cycle.map(\.kind)
        let antiDependencies = kinds.count { $0 == .readWrite }
        let areAdjacent = kinds.indices.contains {
            kinds[$0] == .readWrite && kinds[($0 + 1) % kinds.count] == .readWrite
        }
        let kind: AppendAnomaly.Kind =
            switch antiDependencies {
            case 0: kinds.contains(.writeRead) ? .g1c : .g0
            case 1: .gSingle
            default: areAdjacent ? .g2Item : .gNonadjacent
            }
        let order: Order =
            kinds.contains(.realTime) ? .realTime : kinds.contains(.process) ? .process : .none
        return AppendAnomaly(
            kind, order: order, places.map { transactions[$0] },
            cycle.map { edge in
                "\(names[edge.from] ?? "") before \(names[edge.to] ?? ""): \(edge.reason)"
            })
    }
}

extension DependencyGraph.Edge {
    fileprivate var reason: String {
        let last = before.map { "up to \($0)" } ?? "empty"
        switch kind {
        case .writeWrite:
            return "its append of \(before.map(String.init) ?? "nothing") to key \(key) was "
                + "followed by that of \(value.map(String.init) ?? "nothing")"
        case .writeRead:
            return "its append of \(value.map(String.init) ?? "nothing") to key \(key) was read"
        case .readWrite:
            return "it read key \(key) \(last), which was followed by the append of "
                + (value.map(String.init) ?? "nothing")
        case .process: return "the same process did it first"
        case .realTime: return "it had ended when the other one began"
        }
    }
}
