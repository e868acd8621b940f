import SteleVerify

/// A history of list appends in the making.
struct AppendHistory {
    private(set) var history = History()
    private var time: UInt64 = 0

    mutating func begin(_ process: Int, _ steps: [History.Step]) {
        time += 1
        history.invoke(.transaction(steps), process: process, time: time)
    }

    /// - Parameter steps: with results; nil leaves them as they were.
    mutating func end(
        _ process: Int, _ type: History.EventType = .ok, _ steps: [History.Step]? = nil
    ) {
        time += 1
        history.complete(
            type, steps.map { .transaction($0) }, process: process, time: time)
    }

    /// A transaction that nothing overlaps.
    mutating func alone(
        _ process: Int, _ steps: [History.Step], _ type: History.EventType = .ok
    ) {
        begin(process, steps)
        end(process, type, steps)
    }

    /// Transactions that all overlap each other, of processes 0, 1, …
    mutating func together(_ transactions: [History.Step]...) {
        for (process, steps) in transactions.enumerated() { begin(process, steps) }
        for (process, steps) in transactions.enumerated() { end(process, .ok, steps) }
    }
}

extension History.Step {
    static func append(_ key: Int, _ value: Int) -> Self { .append(key: key, value: value) }
    static func read(_ key: Int, _ values: [Int]) -> Self { .readList(key: key, values: values) }
}

extension AppendChecker.Verdict {
    var kinds: [AppendAnomaly.Kind] {
        switch self {
        case .consistent: []
        case .violated(let anomalies): anomalies.map(\.kind)
        }
    }

    var first: AppendAnomaly? {
        switch self {
        case .consistent: nil
        case .violated(let anomalies): anomalies.first
        }
    }
}

extension AppendHistory {
    func kinds(_ level: AppendChecker.Level, _ order: AppendChecker.Order? = nil)
        -> [AppendAnomaly.Kind]
    {
        AppendChecker(level: level, order: order).check(history).kinds
    }
}
