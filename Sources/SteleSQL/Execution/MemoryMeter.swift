import SteleBase

/// Bounds what a statement holds in memory: sorts, groups, results that cannot be sent yet.
struct MemoryMeter {
    private(set) var bytes = 0

    mutating func add(_ row: [Datum]) throws(SQLError) { try add(bytes: Self.size(of: row)) }

    mutating func add(bytes added: Int) throws(SQLError) {
        bytes += added
        if bytes > Limits.statementBytes { throw Self.exceeded }
    }

    static func size(of row: [Datum]) -> Int {
        row.reduce(64 + 24 * row.count) { $0 + $1.outsideBytes }
    }

    static let exceeded = SQLError(
        "53200", "out of memory",
        detail: "The statement needs to hold more than \(Limits.statementBytes >> 20) MiB of rows.",
        hint: "Read fewer rows, or in the order of the primary key.")
}

extension Datum {
    /// About how many bytes show the value in a result, at the most.
    func shownBytes(as type: SQLType) -> Int {
        switch self {
        case .numeric(let number): number.shownBytes
        case .bytes(let content): 2 * content.count + 2
        case .text(let text):
            if case .char(let width?) = type {
                text.utf8.count + width
            } else {
                text.utf8.count
            }
        default: 32
        }
    }

    /// About what the value takes up beside itself.
    var outsideBytes: Int {
        switch self {
        case .text(let text): text.utf8.count
        case .bytes(let content): content.count
        case .numeric(let number): 32 + 2 * number.digits.count
        default: 0
        }
    }
}
