/// A statement that was parsed and, if it is one of those, planned.
final class PreparedStatement: Keepable {
    /// nil is a text without a statement.
    private(set) var statement: Statement?
    let source: SourceText
    /// Whether it nests so deeply that only a worker can plan and evaluate it.
    let isDeep: Bool
    /// The types that the client declared; nil is to be inferred.
    let declared: [SQLType?]
    /// The present plan, made again when a table has changed.
    var plan: Plan? {
        didSet { if let plan { inferred = plan.parameters } }
    }
    /// The types that the first plan gave the parameters. Later plans keep them: clients were told
    /// of them, and portals hold values of them.
    private(set) var inferred: [SQLType]?
    /// Whether there may be more parameters than were declared.
    let mayAddParameters: Bool
    /// Nobody was told which columns the result has.
    let mayChangeShape: Bool
    /// Its parameters stand for the literals of a text, whose types depend on the tables.
    let isTemplate: Bool
    /// A table has changed, and a template with it: the text itself is to be run.
    var isOutdated = false

    /// The text, and what was made of it.
    let keptBytes: Int
    /// Lets go of a large one.
    private let meter: WorkMeter?

    init(
        _ statement: Statement?, source: SourceText, isDeep: Bool, declared: [SQLType?],
        mayAddParameters: Bool = false, mayChangeShape: Bool = false, isTemplate: Bool = false,
        meter: WorkMeter? = nil
    ) {
        self.meter = meter
        self.statement = statement
        self.source = source
        self.isDeep = isDeep
        self.declared = declared
        self.mayAddParameters = mayAddParameters
        self.mayChangeShape = mayChangeShape
        self.isTemplate = isTemplate
        keptBytes = 4_096 + 16 * source.text.utf8.count + 16 * declared.count
    }

    deinit {
        guard let meter, isLarge else { return }
        meter.discard((exchange(&statement, with: nil), exchange(&plan, with: nil)))
    }

    var isLarge: Bool { source.text.utf8.count > Self.largeText }

    /// What is made of a text of so many bytes takes long to let go of.
    private static let largeText = 1 << 16
}

/// A prepared statement with values for its parameters, and how far its execution has come.
final class Portal: Keepable {
    let prepared: PreparedStatement
    let parameters: [Datum]
    /// Portals of a session are numbered as they come, and again when they are run.
    var number = 0
    var startNumber = -1
    /// One for all columns, one for each, or none for text.
    let formats: [Int16]
    /// The columns with their formats; nil if there are no rows.
    var columns: [ResultColumn]?

    var isStarted = false
    /// All rows are there or in `waiting`; nothing more will come.
    var isFinished = false
    /// Its execution ended with an error. What was fetched is not all that it would return, so that to
    /// go on after a return to a savepoint would lose rows unseen.
    private(set) var hasFailed = false
    /// What ends it behind the rows that wait; found out before they were asked for.
    private(set) var failure: SQLError?
    /// The query in progress.
    var run: SelectRun?
    /// How many rows the present execution may still send, so that no more than these are locked.
    var wanted = Int.max
    /// Rows that were fetched and not sent.
    private var waiting = RowBatches<[Datum]>()
    private let meter: WorkMeter
    /// What the tag says without a count of rows that are sent.
    var tag = ""

    /// The values that the client bound.
    let keptBytes: Int

    init(
        _ prepared: PreparedStatement, parameters: [Datum] = [], formats: [Int16] = [],
        meter: WorkMeter
    ) {
        self.prepared = prepared
        self.meter = meter
        self.parameters = parameters
        self.formats = formats
        keptBytes = 4_096 + MemoryMeter.size(of: parameters) + 2 * formats.count
    }

    deinit { meter.letGo(of: &waiting) }

    /// Rows were fetched.
    ///
    /// - Parameter bytes: what they take up; nil has it counted.
    func hold(_ rows: [[Datum]], bytes: Int? = nil) {
        let bytes = bytes ?? rows.reduce(0) { $0 + MemoryMeter.size(of: $1) }
        waiting.append(rows, bytes: bytes)
    }

    /// Takes over rows that were fetched.
    func hold(_ rows: RowBatches<[Datum]>) { waiting = rows }

    /// Takes over what another one holds.
    func takeRows(of other: Portal) {
        waiting = exchange(&other.waiting, with: RowBatches())
    }

    /// The next row that was fetched; it counts as sent after ``dropRow()``.
    var nextRow: [Datum]? { waiting.first }

    func dropRow() { waiting.removeFirst() }

    /// How many rows were fetched and not sent.
    var waitingCount: Int { waiting.count }

    /// All rows were sent, and no more come.
    func finish() {
        isFinished = true
        run = nil
        meter.letGo(of: &waiting)
    }

    /// Nothing more comes behind the rows that wait, but for an error.
    func end(with failure: SQLError?) {
        run = nil
        self.failure = failure
    }

    /// Its execution ended with an error: it cannot go on.
    func fail() {
        hasFailed = true
        finish()
    }

    /// Gives up the rows that wait.
    func dropRows() { meter.letGo(of: &waiting) }

    /// What waits in it while it is suspended.
    var heldBytes: Int {
        // What waits has come out of the run, which may know it still.
        (run?.waitingBytes ?? 0) + max(waiting.bytes, run?.seenBytes ?? 0)
    }

    /// Whether rows are still to come.
    var isSuspended: Bool { isStarted && run != nil && !isFinished }

    /// Whether its query is of that table.
    func reads(_ table: TableName) -> Bool {
        (table.schema.isEmpty || table.schema == "public")
            && run?.table?.name == table.name
    }

    /// Whether it has to be read ahead when its snapshot ends.
    var isToBeReadAhead: Bool { isSuspended && run?.hasReadAhead == false }

    /// The columns as this portal sends them.
    ///
    /// - Throws: 0A000 if there are no longer as many columns as when formats were chosen.
    func formatted(_ columns: [ResultColumn]?) throws(SQLError) -> [ResultColumn]? {
        guard var columns, !formats.isEmpty, formats != [0] else { return columns }
        guard formats.count == 1 || formats.count == columns.count else { throw .changedShape }
        for index in columns.indices {
            columns[index].format = formats.count == 1 ? formats[0] : formats[index]
        }
        return columns
    }
}
