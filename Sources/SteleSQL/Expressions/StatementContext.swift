import SteleBase

/// What expressions depend on besides the row: parameters, clock, session.
final class StatementContext {
    let parameters: [Datum]
    /// The start of the transaction, and the session's zone.
    let time: TimeContext
    /// The start of the statement.
    let statementTime: Int64
    let environment: SQLEnvironment
    /// The settings as the statement has changed them so far, and as it found them.
    private var settings: SessionSettings
    private let settingsBefore: SessionSettings
    /// What a setting returns to.
    private let defaults: SessionSettings
    /// The milliseconds that `pg_sleep` asked for and that were not waited yet.
    var sleep = 0.0
    /// What `set_config` has changed, to be taken over by the session.
    var changes: [SettingChange] = []
    /// Whether the session still takes over changes.
    var takesChanges = true
    /// What the values take up that were computed before there was a row.
    var foldedBytes = 0
    /// What the values take up that were computed for the present row and are still needed.
    var held = 0
    let meter: WorkMeter
    /// Whether the statement nests so deeply that only a worker can evaluate it.
    private let isDeep: Bool
    /// Whether it has turned out to take long: then workers do all the rest.
    private var isLong = false
    /// What the rows before the present one left behind.
    private var before: (sleep: Double, changes: Int) = (0, 0)

    struct SettingChange {
        var name: String
        /// nil is the default.
        var value: String?
        var isLocal: Bool
    }

    init(
        parameters: [Datum], time: TimeContext, statementTime: Int64,
        environment: SQLEnvironment, settings: SessionSettings, defaults: SessionSettings,
        meter: WorkMeter, isDeep: Bool = false
    ) {
        self.meter = meter
        self.isDeep = isDeep
        self.parameters = parameters
        self.time = time
        self.statementTime = statementTime
        self.environment = environment
        self.settings = settings
        settingsBefore = settings
        self.defaults = defaults
    }

    /// What `current_setting` says.
    func value(ofSetting name: String) throws(SQLError) -> String {
        try settings.value(of: name)
    }

    /// Changes a setting for the rest of the statement; the session takes it over at the end.
    func change(_ change: SettingChange) throws(SQLError) {
        guard takesChanges else {
            throw .unsupported("set_config after the first rows of a result")
        }
        guard changes.count < Limits.settings else {
            throw SQLError("54000", "a statement changes more than \(Limits.settings) settings")
        }
        try apply(change)
        changes.append(change)
    }

    private func apply(_ change: SettingChange) throws(SQLError) {
        try settings.set(change.name, change.value.map { [$0] }, defaults: defaults)
    }

    /// Counts a value as long as others are computed beside it.
    func hold(_ value: Datum) throws(SQLError) {
        held += value.outsideBytes
        if held > Limits.statementBytes { throw MemoryMeter.exceeded }
    }

    /// The start of the transaction in microseconds since 2000.
    var now: Int64 { time.now ?? statementTime }

    // MARK: Rows

    /// From here on a row is evaluated, maybe a second time.
    @inline(__always)
    func beginRow() { before = (sleep, changes.count) }

    /// Takes back what a row has done that was not evaluated to its end.
    private func undoRow() {
        sleep = before.sleep
        held = 0
        guard changes.count > before.changes else { return }
        changes.removeLast(changes.count - before.changes)
        settings = settingsBefore
        for change in changes { try? apply(change) }
    }

    /// Evaluates: here if it takes little, else in a worker, from the last row on that was begun.
    ///
    /// - Parameter body: calls ``beginRow()`` before each row, and keeps what it has of a row only
    ///   when that is whole.
    func compute<Result>(
        _ body: @escaping () throws(SQLError) -> Result
    ) async throws(SQLError) -> Result {
        beginRow()
        let result = try await meter.compute(isDeep: isDeep || isLong) {
            [self] () throws(SQLError) in
            undoRow()
            return try body()
        }
        isLong = isLong || meter.wasLong
        return result
    }

    /// What becomes of each of some rows.
    ///
    /// - Parameter size: how many bytes a result takes up, all of which are held together.
    func map<Row, Result>(
        _ rows: [Row], size: @escaping (Result) -> Int = { _ in 0 },
        _ transform: @escaping (Row) throws(SQLError) -> Result
    ) async throws(SQLError) -> [Result] {
        guard !rows.isEmpty else { return [] }
        var results: [Result] = []
        results.reserveCapacity(rows.count)
        var memory = MemoryMeter()
        try await compute { [self] () throws(SQLError) in
            while results.count < rows.count {
                beginRow()
                let result = try transform(rows[results.count])
                try meter.charge(WorkMeter.row)
                try memory.add(bytes: size(result))
                results.append(result)
            }
        }
        return results
    }

    /// The values of the first rows of some expressions: so many that they are worth while, and
    /// together not much more than a mebibyte. What is wrong with a row is told when it is the first.
    func values(
        _ rows: ArraySlice<[BoundExpression]>
    ) async throws(SQLError) -> [[Datum]] {
        var values: [[Datum]] = []
        var bytes = 0
        do {
            try await compute { [self] () throws(SQLError) in
                while values.count < min(rows.count, Self.batch), bytes < Self.batchBytes {
                    beginRow()
                    let row = try BoundExpression.row(
                        rows[rows.startIndex + values.count], of: [], self)
                    try meter.charge(WorkMeter.row)
                    bytes += MemoryMeter.size(of: row)
                    values.append(row)
                }
            }
        } catch where error.isOfValue && !values.isEmpty {}
        return values
    }

    private static let batch = 256
    private static let batchBytes = 1 << 20
}
