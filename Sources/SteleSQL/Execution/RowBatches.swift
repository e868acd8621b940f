/// Rows in the order in which they came, in batches.
///
/// An array of millions of rows moves all of them whenever it grows, and takes as long to let go of.
/// Here both go batch by batch: what was taken is let go of with its batch, and what is left at once
/// only by a worker, see ``WorkMeter/letGo(of:)``.
///
/// Invariant: `count` is the number of rows that are left; `bytes` is what their batches were said to
/// take up when they came, whatever was taken of them since.
struct RowBatches<Row> {
    private struct Batch {
        var rows: ArraySlice<Row>
        var bytes: Int
    }

    /// Those before `head` are empty, none after it is.
    private var batches: [Batch] = []
    private var head = 0
    private(set) var count = 0
    private(set) var bytes = 0

    /// The rows and bytes of a batch that is filled row by row, but for its last row.
    private static var batchRows: Int { 1_024 }
    private static var batchBytes: Int { 1 << 20 }

    var isEmpty: Bool { count == 0 }

    /// Whether it takes long to let go of them.
    var isLarge: Bool { bytes > 1 << 18 || count > 4_096 }

    /// - Parameter bytes: what these rows take up.
    mutating func append(_ rows: [Row], bytes: Int) {
        guard !rows.isEmpty else { return }
        batches.append(Batch(rows: rows[...], bytes: bytes))
        count += rows.count
        self.bytes += bytes
    }

    mutating func append(_ row: Row, bytes: Int) {
        guard let last = batches.indices.last, batches[last].rows.count < Self.batchRows,
            batches[last].bytes < Self.batchBytes
        else { return append([row], bytes: bytes) }
        batches[last].rows.append(row)
        batches[last].bytes += bytes
        count += 1
        self.bytes += bytes
    }

    var first: Row? { isEmpty ? nil : batches[head].rows.first }

    /// The first rows, at least one unless there is none: as many as were asked for, or fewer.
    func prefix(_ most: Int) -> ArraySlice<Row> {
        isEmpty ? [] : batches[head].rows.prefix(most)
    }

    /// - Parameter taken: no more than ``prefix(_:)`` gave.
    mutating func removeFirst(_ taken: Int = 1) {
        batches[head].rows.removeFirst(taken)
        count -= taken
        guard batches[head].rows.isEmpty else { return }
        bytes -= batches[head].bytes
        batches[head] = Batch(rows: [], bytes: 0)
        head += 1
        guard head == batches.count else { return }
        batches.removeAll(keepingCapacity: batches.count < 64)
        head = 0
    }

    /// Takes the first rows.
    mutating func takeFirst(_ most: Int) -> ArraySlice<Row> {
        let taken = prefix(most)
        if !taken.isEmpty { removeFirst(taken.count) }
        return taken
    }

    /// All rows, some at a time.
    var slices: some Sequence<ArraySlice<Row>> { batches[head...].lazy.map(\.rows) }
}

extension WorkMeter {
    /// Empties what may hold very many rows; a worker lets go of those.
    func letGo<Row>(of rows: inout RowBatches<Row>) {
        if rows.isLarge {
            discard(exchange(&rows, with: RowBatches()))
        } else {
            rows = RowBatches()
        }
    }
}
