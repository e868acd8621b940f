/// Looks for an order of the operations on one register that explains what they returned.
///
/// Wing and Gong, "Testing and Verifying Concurrent Objects" (1993), with Lowe's memoisation of
/// configurations ("Testing for Linearizability", 2017): calls and returns form a list; an
/// operation whose call stands before the first return may be next. It is taken out of the list and
/// the search goes on; at a return whose operation was not taken, the last choice is undone. A configuration,
/// the set of operations taken together with the value that they left, is never visited twice.
///
/// Invariant: operations of unknown outcome have no return in the list. They may be taken at any
/// time or stay, and the search ends when every return is gone.
struct LinearizationSearch {
    enum Outcome {
        case found
        case impossible(History.Span, value: Int?)
        case gaveUp
    }

    private struct Node {
        var operation: Int
        var isReturn: Bool
        var previous: Int
        var next: Int
    }

    private struct Configuration: Hashable {
        var taken: [UInt64]
        var value: Int?
    }

    private struct Choice {
        var call: Int
        var valueBefore: Int?
    }

    private let operations: [History.Span]
    /// A doubly linked list in which node 0 is the head; -1 is the end.
    private var nodes: [Node] = []
    /// For each operation, its return's node; -1 for an unknown outcome.
    private var returns: [Int]
    private var value: Int?
    private var taken: [UInt64]
    private var remainingReturns = 0

    init(_ operations: [History.Span], initial: Int?) {
        self.operations = operations
        value = initial
        returns = Array(repeating: -1, count: operations.count)
        taken = Array(repeating: 0, count: operations.count / 64 + 1)
        var events: [(index: Int, operation: Int, isReturn: Bool)] = []
        for (position, operation) in operations.enumerated() {
            events.append((operation.invoked, position, false))
            if let completed = operation.completed { events.append((completed, position, true)) }
        }
        events.sort { $0.index < $1.index }
        nodes.append(Node(operation: -1, isReturn: false, previous: -1, next: -1))
        for event in events {
            let node = nodes.count
            nodes[node - 1].next = node
            nodes.append(
                Node(
                    operation: event.operation, isReturn: event.isReturn, previous: node - 1,
                    next: -1))
            if event.isReturn {
                returns[event.operation] = node
                remainingReturns += 1
            }
        }
    }

    mutating func run(limit: Int) -> Outcome {
        var visited: Set<Configuration> = []
        var choices: [Choice] = []
        var longest = (count: -1, operation: 0, value: Int?.none)
        var current = nodes[0].next
        while remainingReturns > 0 {
            if current != -1, !nodes[current].isReturn {
                let operation = nodes[current].operation
                if let result = Self.apply(operations[operation].operation, to: value) {
                    mark(operation)
                    if visited.insert(Configuration(taken: taken, value: result)).inserted {
                        if visited.count > limit { return .gaveUp }
                        choices.append(Choice(call: current, valueBefore: value))
                        value = result
                        lift(current)
                        current = nodes[0].next
                        continue
                    }
                    unmark(operation)
                }
                current = nodes[current].next
                continue
            }
            if current != -1, choices.count > longest.count {
                longest = (choices.count, nodes[current].operation, value)
            }
            guard let choice = choices.popLast() else {
                return .impossible(operations[longest.operation], value: longest.value)
            }
            unlift(choice.call)
            unmark(nodes[choice.call].operation)
            value = choice.valueBefore
            current = nodes[choice.call].next
        }
        return .found
    }

    /// What the register holds afterwards; nil if the operation cannot have come out as it did.
    private static func apply(_ operation: History.Operation, to value: Int?) -> Int?? {
        switch operation {
        case .read(_, let seen): seen == value ? .some(value) : nil
        case .write(_, let new): .some(new)
        case .compareAndSet(_, let expected, let new): expected == value ? .some(new) : nil
        case .transaction: nil
        }
    }

    private mutating func mark(_ operation: Int) { taken[operation >> 6] |= 1 << (operation & 63) }

    private mutating func unmark(_ operation: Int) {
        taken[operation >> 6] &= ~(1 << (operation & 63))
    }

    /// Takes an operation's call, and its return if it has one, out of the list.
    private mutating func lift(_ call: Int) {
        unlink(call)
        let end = returns[nodes[call].operation]
        if end != -1 {
            unlink(end)
            remainingReturns -= 1
        }
    }

    /// The reverse of ``lift(_:)``; only valid in reverse order.
    private mutating func unlift(_ call: Int) {
        let end = returns[nodes[call].operation]
        if end != -1 {
            relink(end)
            remainingReturns += 1
        }
        relink(call)
    }

    private mutating func unlink(_ node: Int) {
        let (previous, next) = (nodes[node].previous, nodes[node].next)
        nodes[previous].next = next
        if next != -1 { nodes[next].previous = previous }
    }

    private mutating func relink(_ node: Int) {
        let (previous, next) = (nodes[node].previous, nodes[node].next)
        nodes[previous].next = node
        if next != -1 { nodes[next].previous = node }
    }
}
