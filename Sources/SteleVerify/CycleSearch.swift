/// Looks for a short cycle in a part of a dependency graph.
///
/// Strongly connected components first (Tarjan, 1972), in time linear in the graph and without
/// recursion; then the shortest way back to a node within one of them, breadth first.
///
/// With `apart`, no two anti-dependencies may follow one another: a history is explained by snapshot
/// isolation exactly if it has no such cycle (Fekete et al., "Making Snapshot Isolation
/// Serializable", 2005). Each node is then two states: whether it was reached by an
/// anti-dependency or not. What is found that way is a closed walk, which may touch a node twice.
struct CycleSearch {
    private let graph: DependencyGraph
    private let kinds: DependencyGraph.Kinds
    private let apart: Bool
    private let width: Int

    /// Edges that are looked at for the shortest of all cycles, before the best so far will do.
    private static let budget = 4_000_000

    init(_ graph: DependencyGraph, _ kinds: DependencyGraph.Kinds, apart: Bool = false) {
        self.graph = graph
        self.kinds = kinds
        self.apart = apart
        width = apart ? 2 : 1
    }

    /// The edges of a short cycle, in order; nil if there is none.
    func run() -> [DependencyGraph.Edge]? {
        let (component, sizes) = components()
        let starts = component.indices.filter { sizes[component[$0]] > 1 }
        guard !starts.isEmpty else { return nil }
        var best: [Int32]?
        var work = 0
        var visited = [Int32](repeating: -1, count: component.count)
        var arrivedBy = [(state: Int, edge: Int32)](
            repeating: (-1, -1), count: component.count)
        for (round, start) in starts.enumerated() where work < Self.budget || best == nil {
            let limit = best?.count ?? .max
            if limit <= 2 { break }
            if let path = shortest(
                from: start, Int32(round), component, limit, &visited, &arrivedBy, &work)
            {
                best = path
            }
        }
        return best?.map { graph.edges[Int($0)] }
    }

    // MARK: Steps

    private func next(_ state: Int, _ edge: Int32) -> Int? {
        let edge = graph.edges[Int(edge)]
        guard kinds.contains(DependencyGraph.Kinds(edge.kind)) else { return nil }
        guard apart else { return edge.to }
        if edge.kind == .readWrite { return state & 1 == 1 ? nil : edge.to * 2 + 1 }
        return edge.to * 2
    }

    /// The shortest way from a state back to it that is shorter than `limit`.
    private func shortest(
        from start: Int, _ round: Int32, _ component: [Int], _ limit: Int,
        _ visited: inout [Int32], _ arrivedBy: inout [(state: Int, edge: Int32)],
        _ work: inout Int
    ) -> [Int32]? {
        var frontier = [start]
        var length = 0
        while !frontier.isEmpty, length + 1 < limit {
            length += 1
            var reached: [Int] = []
            for state in frontier {
                for edge in graph.outgoing[state / width] {
                    work += 1
                    guard let to = next(state, edge), component[to] == component[start] else {
                        continue
                    }
                    if to == start { return path(to: state, edge, from: start, arrivedBy) }
                    guard visited[to] != round else { continue }
                    visited[to] = round
                    arrivedBy[to] = (state, edge)
                    reached.append(to)
                }
            }
            frontier = reached
        }
        return nil
    }

    private func path(
        to last: Int, _ closing: Int32, from start: Int,
        _ arrivedBy: [(state: Int, edge: Int32)]
    ) -> [Int32] {
        var edges = [closing]
        var state = last
        while state != start {
            edges.append(arrivedBy[state].edge)
            state = arrivedBy[state].state
        }
        return edges.reversed()
    }

    // MARK: Components

    /// For each state its component, and how many states each component has.
    private func components() -> (component: [Int], sizes: [Int]) {
        let count = graph.nodes * width
        var component = [Int](repeating: -1, count: count)
        var sizes: [Int] = []
        var order = [Int](repeating: -1, count: count)
        var low = [Int](repeating: 0, count: count)
        var open: [Int] = []
        var calls: [(state: Int, edge: Int)] = []
        var visited = 0
        func enter(_ state: Int) {
            order[state] = visited
            low[state] = visited
            visited += 1
            open.append(state)
            calls.append((state, 0))
        }
        for root in 0..<count where order[root] == -1 {
            enter(root)
            while let (state, position) = calls.last {
                let edges = graph.outgoing[state / width]
                if position < edges.count {
                    calls[calls.count - 1].edge += 1
                    guard let to = next(state, edges[position]) else { continue }
                    if order[to] == -1 {
                        enter(to)
                    } else if component[to] == -1 {
                        low[state] = min(low[state], order[to])
                    }
                    continue
                }
                calls.removeLast()
                if let caller = calls.last?.state { low[caller] = min(low[caller], low[state]) }
                guard low[state] == order[state] else { continue }
                var size = 0
                while let member = open.popLast() {
                    component[member] = sizes.count
                    size += 1
                    if member == state { break }
                }
                sizes.append(size)
            }
        }
        return (component, sizes)
    }
}
