/// Which transaction depends on which: the direct serialization graph of Adya, Liskov and O'Neil,
/// "Generalized Isolation Level Definitions" (2000), with edges for the order in time besides.
///
/// Nodes are numbered from 0. Invariant: no edge leads from a node to itself.
public struct DependencyGraph: Sendable {
    /// Why one transaction comes before another.
    public enum Kind: UInt8, Hashable, Sendable, CaseIterable {
        /// It wrote the version that the other one's version follows.
        case writeWrite
        /// It wrote the version that the other one read.
        case writeRead
        /// It read the version that the other one's version follows.
        case readWrite
        /// The same process did it earlier.
        case process
        /// It had ended before the other one began.
        case realTime
    }

    /// A set of kinds.
    public struct Kinds: OptionSet, Hashable, Sendable {
        public let rawValue: UInt8

        public init(rawValue: UInt8) { self.rawValue = rawValue }

        public init(_ kind: Kind) { rawValue = 1 << kind.rawValue }

        public static let writeWrite = Kinds(.writeWrite)
        public static let writeRead = Kinds(.writeRead)
        public static let readWrite = Kinds(.readWrite)
        public static let process = Kinds(.process)
        public static let realTime = Kinds(.realTime)
    }

    /// One dependency.
    public struct Edge: Hashable, Sendable {
        public var from: Int
        public var to: Int
        public var kind: Kind
        /// The key that both touched; means nothing for an order in time.
        public var key: Int
        /// What was appended last before, of a `readWrite` what was read last; nil for nothing.
        public var before: Int?
        /// What was appended by the later one of two writers; of a `writeRead` what was read.
        public var value: Int?

        public init(
            from: Int, to: Int, kind: Kind, key: Int = 0, before: Int? = nil, value: Int? = nil
        ) {
            self.from = from
            self.to = to
            self.kind = kind
            self.key = key
            self.before = before
            self.value = value
        }
    }

    public private(set) var edges: [Edge] = []
    /// For each node, the positions in `edges` of those that leave it.
    private(set) var outgoing: [[Int32]]

    public init(nodes: Int) { outgoing = Array(repeating: [], count: nodes) }

    public var nodes: Int { outgoing.count }

    /// Adds an edge; one from a node to itself says nothing and is left out.
    public mutating func add(_ edge: Edge) {
        guard edge.from != edge.to else { return }
        outgoing[edge.from].append(Int32(edges.count))
        edges.append(edge)
    }
}
