// What a statement does, with all names resolved. Plans are immutable and hold no state of a
// session, so that they can be kept and run again with other parameters.

/// A statement that is ready to run.
final class Plan: Sendable {
    enum Action: Sendable {
        case select(SelectPlan)
        case insert(InsertPlan)
        case update(UpdatePlan)
        case delete(DeletePlan)
    }

    let action: Action
    let parameters: [SQLType]
    /// nil if the statement returns no rows.
    let columns: [ResultColumn]?
    /// Whether something in it is the same for all rows and computed before they are read.
    let isWorthFolding: Bool
    /// What it reads, if it does nothing else and may do so outside of a transaction.
    let fastRead: FastRead?
    /// The definitions that it was made for.
    let tables: [TableDefinition]
    /// The state of the catalogue's cache when the plan was known to be current.
    let epoch: UInt64

    init(
        action: Action, parameters: [SQLType], columns: [ResultColumn]?,
        tables: [TableDefinition], epoch: UInt64
    ) {
        self.action = action
        isWorthFolding = action.isWorthFolding
        if case .select(let select) = action { fastRead = FastRead(select) } else { fastRead = nil }
        self.parameters = parameters
        self.columns = columns
        self.tables = tables
        self.epoch = epoch
    }
}

/// How a statement finds the rows of a table.
struct TableAccess: Sendable {
    var table: TableDefinition
    var keys: KeyCondition
    /// What the rows must fulfil; the part that the keys imply is included.
    var condition: BoundExpression?
    /// The columns that are needed.
    var wanted: [Bool]
    /// Whether the condition says no more than the keys.
    var isExact: Bool
}

/// What a condition says about the primary key, in terms that do not depend on the row.
enum KeyCondition: Sendable {
    case all
    /// For each column of the key the values that it may have.
    case points([[BoundExpression]])
    /// Equal leading columns, then bounds on the next one.
    case range(equal: [BoundExpression], lower: Bound?, upper: Bound?)

    struct Bound: Sendable {
        var value: BoundExpression
        var isInclusive: Bool
    }
}

/// `SELECT` and `VALUES`.
struct SelectPlan: Sendable {
    enum Source: Sendable {
        case single
        case table(TableAccess)
        case values([[BoundExpression]])
        /// `generate_series(start, stop, step)`.
        case series(start: BoundExpression, stop: BoundExpression, step: BoundExpression, SQLType)
    }

    struct Grouping: Sendable {
        var keys: [BoundExpression]
        var aggregates: [Aggregate]
        /// Over the keys followed by the aggregates, as everything after it.
        var condition: BoundExpression?
    }

    struct SortKey: Sendable {
        var value: BoundExpression
        var isDescending: Bool
        var nullsFirst: Bool
    }

    struct Locking: Sendable {
        var isExclusive: Bool
        var wait: SelectSyntax.Locking.Wait
    }

    var source: Source
    /// For sources other than tables, whose access has it.
    var condition: BoundExpression?
    var grouping: Grouping?
    var outputs: [BoundExpression]
    /// Over the row that the outputs are made from; empty if rows come in order.
    var sorting: [SortKey] = []
    /// Scans the table backwards, which makes sorting unnecessary.
    var isReversed = false
    var isDistinct = false
    var limit: BoundExpression?
    var offset: BoundExpression?
    var locking: Locking?
}

/// `INSERT`.
struct InsertPlan: Sendable {
    enum Source: Sendable {
        /// For each row all columns of the table.
        case rows([[BoundExpression]])
        /// The columns of the table over the rows of a query.
        case query(SelectPlan, [BoundExpression])
    }

    struct Conflict: Sendable {
        /// The new values of columns over the present row followed by the proposed one; nil
        /// leaves the present row alone.
        var assignments: [Assignment]?
        var condition: BoundExpression?
    }

    var table: TableDefinition
    var source: Source
    var conflict: Conflict?
    var returning: [BoundExpression]?
}

/// One column's new value.
struct Assignment: Sendable {
    var column: Int
    var value: BoundExpression
}

/// `UPDATE`.
struct UpdatePlan: Sendable {
    var access: TableAccess
    var assignments: [Assignment]
    var returning: [BoundExpression]?

    /// Whether rows may move to another key.
    var changesKey: Bool { assignments.contains { access.table.isKey($0.column) } }
}

/// `DELETE`.
struct DeletePlan: Sendable {
    var access: TableAccess
    var returning: [BoundExpression]?
}
