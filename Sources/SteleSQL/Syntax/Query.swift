/// `SELECT` or `VALUES`.
struct SelectSyntax: Sendable {
    var targets: [Target] = []
    var source: Source = .none
    var condition: Expression?
    var grouping: [Expression] = []
    var groupCondition: Expression?
    var isDistinct = false
    var sorting: [SortKey] = []
    var limit: Expression?
    var offset: Expression?
    var locking: Locking?

    /// One item of a select list, `RETURNING` list, or the value of a column.
    struct Target: Sendable {
        /// From `AS`, or the column that is set.
        var name: String?
        var value: Expression
        var at: Int
    }

    /// What the rows are taken from.
    enum Source: Sendable {
        /// No `FROM`: one row without columns.
        case none
        case table(TableName)
        case values([[Expression]])
        case function(Function)
    }

    /// A function that returns rows.
    struct Function: Sendable {
        var call: Expression.FunctionCall
        var alias: String?
        var columnAlias: String?
    }

    struct SortKey: Sendable {
        var value: Expression
        var isDescending: Bool
        var nullsFirst: Bool
    }

    /// `FOR UPDATE` and `FOR SHARE`.
    struct Locking: Sendable {
        enum Wait: Sendable { case wait, fail, skip }

        var isExclusive: Bool
        var wait: Wait
    }
}

/// `INSERT`.
struct InsertSyntax: Sendable {
    var table: TableName
    /// nil means all columns in order.
    var columns: [Column]?
    /// nil is `DEFAULT VALUES`.
    var source: SelectSyntax?
    var conflict: Conflict?
    var returning: [SelectSyntax.Target]

    struct Column: Sendable {
        var name: String
        var at: Int
    }

    /// `ON CONFLICT`.
    struct Conflict: Sendable {
        /// The columns or the constraint that it names, if it does.
        var columns: [String]?
        var constraint: String?
        /// nil is `DO NOTHING`.
        var assignments: [SelectSyntax.Target]?
        var condition: Expression?
        var at: Int
    }
}

/// `UPDATE`.
struct UpdateSyntax: Sendable {
    var table: TableName
    var assignments: [SelectSyntax.Target]
    var condition: Expression?
    var returning: [SelectSyntax.Target]
}

/// `DELETE`.
struct DeleteSyntax: Sendable {
    var table: TableName
    var condition: Expression?
    var returning: [SelectSyntax.Target]
}
