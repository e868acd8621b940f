/// A table as a statement names it.
struct TableName: Hashable, Sendable {
    /// Empty when the search path decides.
    var schema: String
    var name: String
    /// What the statement's expressions call it.
    var alias: String?
    /// Byte offset in the text, -1 if unknown.
    var at: Int

    /// The name as errors show it.
    var shown: String { schema.isEmpty ? name : "\(schema).\(name)" }
}

/// A statement as it was written.
indirect enum Statement: Sendable {
    case select(SelectSyntax)
    case insert(InsertSyntax)
    case update(UpdateSyntax)
    case delete(DeleteSyntax)
    case createTable(CreateTableSyntax)
    case dropTables([TableName], ifExists: Bool)
    case truncate([TableName])
    case addPrimaryKey(AddPrimaryKeySyntax)
    case transaction(TransactionSyntax)
    case set(SetSyntax)
    /// `SHOW name`; nil is `SHOW ALL`.
    case show(String?)
    case copyFrom(CopySyntax)
    /// `VACUUM` or `ANALYZE`.
    case vacuum(isVacuum: Bool, [TableName])
    case prepare(name: String, types: [SQLType], Statement)
    case execute(name: String, [Expression], at: Int)
    /// nil is all.
    case deallocate(String?)
    case discard(Discard)
    /// `CLOSE name`; nil is all.
    case closeCursor(String?)
    case unlisten

    enum Discard: Sendable { case all, plans, sequences, temporary }

    /// Whether nothing else may be part of its transaction.
    var mustBeAlone: Bool {
        switch self {
        case .vacuum(let isVacuum, _): isVacuum
        case .discard(let what): what == .all
        default: false
        }
    }

    /// Whether it fixes how the transaction sees the data, after which modes cannot be set.
    var takesSnapshot: Bool {
        switch self {
        case .transaction, .set, .show, .unlisten: false
        default: true
        }
    }

    /// Whether a failed transaction block still takes it.
    var endsFailedBlock: Bool {
        guard case .transaction(let transaction) = self else { return false }
        switch transaction {
        case .commit, .rollback, .rollbackTo: return true
        default: return false
        }
    }
}

/// `BEGIN`, `COMMIT` and their kin.
enum TransactionSyntax: Sendable {
    case begin(TransactionModes, isStart: Bool)
    case commit(andChain: Bool)
    case rollback(andChain: Bool)
    case savepoint(String)
    case release(String)
    case rollbackTo(String)
}

/// What `BEGIN` and `SET TRANSACTION` say about a transaction; nil leaves it as it is.
struct TransactionModes: Hashable, Sendable {
    /// One of the four names of SQL, in lower case.
    var isolation: String?
    var isReadOnly: Bool?
    var isDeferrable: Bool?
}

/// `SET`, `RESET`, `SET TRANSACTION`.
enum SetSyntax: Sendable {
    /// nil values mean the default.
    case value(name: String, [String]?, isLocal: Bool, isReset: Bool = false)
    case resetAll
    case transaction(TransactionModes)
    case sessionCharacteristics(TransactionModes)
    /// `SET CONSTRAINTS`: there are none that could be deferred.
    case constraints
}

/// `COPY … FROM STDIN`.
struct CopySyntax: Sendable {
    var table: TableName
    /// nil means all.
    var columns: [String]?
    var options: [Option]

    struct Option: Sendable {
        var name: String
        /// nil when the option stands alone, or has a list.
        var value: String?
        /// The names of a list.
        var list: [String]?
    }
}

/// `CREATE TABLE`.
struct CreateTableSyntax: Sendable {
    var table: TableName
    var ifNotExists: Bool
    var columns: [Column]
    var primaryKey: PrimaryKey?

    struct Column: Sendable {
        var name: String
        var type: SQLType
        var isNotNull: Bool
        var initial: Expression?
        var at: Int
    }

    struct PrimaryKey: Sendable {
        var name: String?
        var columns: [String]
        var at: Int
    }
}

/// `ALTER TABLE … ADD PRIMARY KEY`.
struct AddPrimaryKeySyntax: Sendable {
    var table: TableName
    var ifExists: Bool
    var key: CreateTableSyntax.PrimaryKey
}
