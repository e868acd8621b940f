/// Something in a history of list appends that the level claimed does not allow.
public struct AppendAnomaly: Hashable, Sendable, CustomStringConvertible {
    /// What it is: the names of Adya, and of Elle where he has none.
    public enum Kind: String, Hashable, Sendable {
        /// Transactions overwrote each other in a circle.
        case g0 = "G0"
        /// A read saw what an aborted transaction had written.
        case g1a = "G1a"
        /// A read saw what its writer wrote over before it committed.
        case g1b = "G1b"
        /// Transactions wrote over or read what each other wrote, in a circle.
        case g1c = "G1c"
        /// A circle with one anti-dependency.
        case gSingle = "G-single"
        /// A circle with several anti-dependencies, no two of them next to each other.
        case gNonadjacent = "G-nonadjacent"
        /// A circle with anti-dependencies next to each other.
        case g2Item = "G2-item"
        /// A transaction did not see what it had read or written itself.
        case `internal` = "internal"
        /// Two reads show versions of which none can have come from the other.
        case incompatibleOrder = "incompatible order"
        /// One append shows twice.
        case duplicateWrite = "duplicate write"
        /// A read saw what nobody wrote.
        case unwrittenRead = "read of what nobody wrote"
        /// An acknowledged append shows in no read, though some read began later.
        case lostWrite = "lost write"
        /// Two transactions read the same version of a key and both wrote the key.
        case lostUpdate = "lost update"
        /// The history itself appends a value to a key twice, and cannot be judged.
        case reusedValue = "value appended by two transactions"
    }

    public var kind: Kind
    /// The order in time that the circle needs, if it is one and needs any.
    public var order: AppendChecker.Order
    /// Those that took part, in the order of the circle if it is one.
    public var transactions: [AppendTransaction]
    /// What is wrong, a line each; transactions are called T1, T2, … as in `transactions`.
    public var explanation: [String]

    init(
        _ kind: Kind, order: AppendChecker.Order = .none, _ transactions: [AppendTransaction],
        _ explanation: [String]
    ) {
        self.kind = kind
        self.order = order
        self.transactions = transactions
        self.explanation = explanation
    }

    public var description: String {
        let suffix =
            switch order {
            case .none: ""
            case .process: "-process"
            case .realTime: "-realtime"
            }
        let names = transactions.enumerated().map { "  T\($0.offset + 1) = \($0.element)" }
        return (["\(kind.rawValue)\(suffix)"] + names + explanation.map { "  " + $0 })
            .joined(separator: "\n")
    }
}

/// One transaction of a history.
public struct AppendTransaction: Hashable, Sendable, CustomStringConvertible {
    /// How it ended, as far as its client knows.
    public enum Outcome: String, Hashable, Sendable {
        case ok
        case fail
        case info
    }

    public var process: Int
    /// The index of its invocation.
    public var invoked: Int
    /// The index of its end; nil if it never ended.
    public var completed: Int?
    public var outcome: Outcome
    /// With results if it is `ok`.
    public var steps: [History.Step]

    public var description: String {
        "process \(process), events \(invoked)…\(completed.map(String.init) ?? "∞"), "
            + "\(outcome.rawValue): " + steps.map(\.edn).joined(separator: " ")
    }
}

extension History {
    /// All transactions, those that failed included, by ascending invocation.
    public func transactions() -> [AppendTransaction] {
        var transactions: [AppendTransaction] = []
        var open: [Int: Int] = [:]
        for event in events {
            guard case .transaction(let steps) = event.operation else { continue }
            if event.type == .invoke {
                open[event.process] = transactions.count
                transactions.append(
                    AppendTransaction(
                        process: event.process, invoked: event.index, completed: nil,
                        outcome: .info, steps: steps))
                continue
            }
            guard let place = open.removeValue(forKey: event.process) else { continue }
            transactions[place].completed = event.index
            if event.type == .ok {
                transactions[place].outcome = .ok
                transactions[place].steps = steps
            } else if event.type == .fail {
                transactions[place].outcome = .fail
            }
        }
        return transactions
    }
}
