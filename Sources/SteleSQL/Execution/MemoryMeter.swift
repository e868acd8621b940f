/// Bounds what a statement holds in memory: sorts, groups, results that cannot be sent yet.
struct MemoryMeter {
    private var bytes = 0

    /// A quarter of a gigabyte for one statement.
    private static let limit = 256 << 20

    mutating func add(_ row: [Datum]) throws(SQLError) {
        bytes += 64 + 24 * row.count
        for value in row {
            switch value {
            case .text(let text): bytes += text.utf8.count
            case .bytes(let content): bytes += content.count
            case .numeric: bytes += 32
            default: break
            }
        }
        if bytes > Self.limit {
            throw SQLError(
                "53200", "out of memory",
                detail: "The statement needs to hold more than \(Self.limit >> 20) MiB of rows.",
                hint: "Read fewer rows, or in the order of the primary key.")
        }
    }
}
