/// What clients did and saw, in the order in which it happened.
///
/// A history is Jepsen's: each process has at most one operation under way; an operation that was
/// invoked ends as `ok`, `fail` (certainly without effect) or `info` (nobody knows), and a process
/// whose operation ended as `info` does nothing any more.
///
/// Invariant: the position of an event is its place in real time. Two events with equal `time` are
/// still ordered by `index`, and the checkers go by the index alone.
public struct History: Sendable {
    /// One line of the history.
    public struct Event: Hashable, Sendable {
        /// The position within the history.
        public var index: Int
        /// Nanoseconds since the beginning of the run.
        public var time: UInt64
        /// Who did it.
        public var process: Int
        /// Which end of the operation this is.
        public var type: EventType
        /// What was asked for, or what came of it.
        public var operation: Operation

        public init(
            index: Int, time: UInt64, process: Int, type: EventType, operation: Operation
        ) {
            self.index = index
            self.time = time
            self.process = process
            self.type = type
            self.operation = operation
        }
    }

    /// The kinds of events.
    public enum EventType: String, Hashable, Sendable {
        case invoke
        case ok
        case fail
        case info
    }

    /// An operation on registers, or a transaction over several keys.
    public enum Operation: Hashable, Sendable {
        /// `value` is what was read, nil for an absent key, and means nothing in an invocation.
        case read(key: Int, value: Int?)
        case write(key: Int, value: Int)
        /// Writes `new` if the register holds `expected`, nil standing for an absent key.
        case compareAndSet(key: Int, expected: Int?, new: Int)
        case transaction([Step])
    }

    /// One step of a transaction, in Elle's vocabulary.
    public enum Step: Hashable, Sendable {
        case append(key: Int, value: Int)
        /// A read of a list; nil in an invocation.
        case readList(key: Int, values: [Int]?)
        case readRegister(key: Int, value: Int?)
        case write(key: Int, value: Int)
    }

    /// The events so far.
    public private(set) var events: [Event] = []
    /// For each process, the position of its invocation that has not ended.
    private var open: [Int: Int] = [:]

    public init() {}

    /// Begins an operation of `process`.
    public mutating func invoke(_ operation: Operation, process: Int, time: UInt64) {
        open[process] = events.count
        append(.invoke, operation, process, time)
    }

    /// Ends the operation of `process`; does nothing if it has none under way.
    ///
    /// - Parameter operation: the operation with its results; nil leaves it as it was invoked.
    public mutating func complete(
        _ type: EventType, _ operation: Operation? = nil, process: Int, time: UInt64
    ) {
        guard let invocation = open.removeValue(forKey: process) else { return }
        append(type, operation ?? events[invocation].operation, process, time)
    }

    private mutating func append(
        _ type: EventType, _ operation: Operation, _ process: Int, _ time: UInt64
    ) {
        events.append(
            Event(
                index: events.count, time: time, process: process, type: type,
                operation: operation))
    }
}

extension History {
    /// An operation from its invocation to its end.
    public struct Span: Hashable, Sendable {
        public var process: Int
        /// The index of the invocation.
        public var invoked: Int
        /// The index of the end; nil if the outcome is not known.
        public var completed: Int?
        /// With its results, if it completed, and with what is known of it if nobody knows the rest.
        public var operation: Operation
    }

    /// All operations that took effect or may have, by ascending invocation.
    ///
    /// Those that failed are left out, since nothing can be learnt from them.
    public func spans() -> [Span] {
        var spans: [Span?] = []
        var open: [Int: Int] = [:]
        for event in events {
            switch event.type {
            case .invoke:
                open[event.process] = spans.count
                spans.append(
                    Span(
                        process: event.process, invoked: event.index, completed: nil,
                        operation: event.operation))
            case .ok:
                guard let place = open.removeValue(forKey: event.process) else { continue }
                spans[place]?.completed = event.index
                spans[place]?.operation = event.operation
            case .fail:
                guard let place = open.removeValue(forKey: event.process) else { continue }
                spans[place] = nil
            case .info:
                guard let place = open.removeValue(forKey: event.process) else { continue }
                spans[place]?.operation = event.operation
            }
        }
        return spans.compactMap { $0 }
    }
}
