/// One execution of `COPY … FROM STDIN`.
struct CopyRun {
    private let table: TableDefinition
    private let columns: [Int]
    private let options: CopyOptions
    private let context: StatementContext
    /// The values of the columns that the data does not have.
    private let template: [BoundExpression]?

    init(
        _ syntax: CopySyntax, _ table: TableDefinition, _ context: StatementContext
    ) throws(SQLError) {
        self.table = table
        self.context = context
        options = try CopyOptions(syntax.options)
        var columns: [Int] = []
        if let names = syntax.columns {
            for name in names {
                guard let index = table.columnIndex(name) else {
                    throw SQLError(
                        "42703",
                        "column \"\(name)\" of relation \"\(table.name)\" does not exist")
                }
                guard !columns.contains(index) else {
                    throw SQLError("42701", "column \"\(name)\" specified more than once")
                }
                columns.append(index)
            }
        } else {
            columns = Array(table.columns.indices)
        }
        self.columns = columns
        for (option, names) in [
            ("FORCE_NULL", options.forceNull), ("FORCE_NOT_NULL", options.forceNotNull),
        ] {
            var seen: Set<String> = []
            for name in names where seen.insert(name).inserted {
                guard let index = table.columnIndex(name) else {
                    throw SQLError(
                        "42703",
                        "column \"\(name)\" of relation \"\(table.name)\" does not exist")
                }
                guard columns.contains(index) else {
                    throw SQLError(
                        "42P10", "\(option) column \"\(name)\" not referenced by COPY")
                }
            }
        }
        template =
            columns.count == table.columns.count
            ? nil : table.columns.map { $0.initial?.expression(as: $0.type) ?? .null }
    }

    /// Reads all data, writes the rows, and returns how many there were.
    func run(
        _ transaction: SessionTransaction, _ sink: any ResultSink
    ) async throws(SQLError) -> Int {
        try transaction.checkWritable()
        try await transaction.pin(table)
        var writer = RowWriter(table, context, transaction)
        var decoder = CopyDecoder(options, columns: columns.map { table.columns[$0].name })
        sink.copyIn(columns: columns.count, binary: false)
        while true {
            let data = try await sink.nextCopyData()
            // What follows the end that the data itself says is read and left alone.
            if decoder.isFinished, data != nil { continue }
            // What is little is taken apart here; a worker has the time for a long line, and for data
            // that comes in large pieces.
            let bytes = decoder.unreadBytes + (data?.count ?? 0)
            if bytes <= Self.largeBytes {
                if let data { try decoder.append(data) }
                while !decoder.isFinished, let row = try nextRow(&decoder, isAtEnd: data == nil) {
                    try await writer.add(row)
                }
                try await context.meter.takeTurn(after: WorkMeter.copied * bytes)
            } else {
                try await addLarge(data, &decoder, &writer)
            }
            if data == nil { break }
        }
        try await writer.flush()
        return writer.count
    }

    private func addLarge(
        _ data: ArraySlice<UInt8>?, _ decoder: inout CopyDecoder, _ writer: inout RowWriter
    ) async throws(SQLError) {
        // Taken out for as long as a worker has it; a copy would copy what has not been read.
        var taken = exchange(&decoder, with: CopyDecoder(options, columns: []))
        var rest = data
        while true {
            let (rows, isAll, failure) = try await context.meter.compute(isDeep: true) {
                [self] () throws(SQLError) in
                if let data = exchange(&rest, with: nil) { try taken.append(data) }
                return nextRows(&taken, isAtEnd: data == nil)
            }
            for row in rows { try await writer.add(row) }
            if let failure { throw failure }
            if isAll { break }
        }
        decoder = taken
    }

    /// What drivers send at once is less.
    private static let largeBytes = 1 << 17
    private static let batchBytes = 1 << 20

    /// The next rows of the data up to about a megabyte, whether those are all that are there, and
    /// what is wrong with the one after them.
    private func nextRows(
        _ decoder: inout CopyDecoder, isAtEnd: Bool
    ) -> (rows: [[Datum]], isAll: Bool, failure: SQLError?) {
        var rows: [[Datum]] = []
        var bytes = 0
        do throws(SQLError) {
            while bytes < Self.batchBytes, !decoder.isFinished,
                let row = try nextRow(&decoder, isAtEnd: isAtEnd)
            {
                bytes += MemoryMeter.size(of: row)
                rows.append(row)
            }
            return (rows, bytes < Self.batchBytes, nil)
        } catch {
            return (rows, true, error)
        }
    }

    /// The next row of the data, if it is there; errors say on which line.
    private func nextRow(
        _ decoder: inout CopyDecoder, isAtEnd: Bool
    ) throws(SQLError) -> [Datum]? {
        do {
            guard let fields = try decoder.next(isAtEnd: isAtEnd) else { return nil }
            let row = try row(fields)
            try table.checkNotNull(row)
            return row
        } catch {
            var error = error
            let column = error.context ?? ": \"\(decoder.shownLine)\""
            error.context = "COPY \(table.name), line \(decoder.lines)\(column)"
            throw error
        }
    }

    private func row(_ fields: [CopyDecoder.Field]) throws(SQLError) -> [Datum] {
        guard fields.count >= columns.count else {
            throw SQLError(
                "22P04",
                "missing data for column \"\(table.columns[columns[fields.count]].name)\"",
                table: table.name)
        }
        guard fields.count == columns.count else {
            throw SQLError("22P04", "extra data after last expected column", table: table.name)
        }
        var row = [Datum](repeating: .null, count: table.columns.count)
        if let template {
            row = try BoundExpression.row(template, of: [], context)
        }
        for (field, column) in zip(fields, columns) {
            guard let field else {
                row[column] = .null
                continue
            }
            do {
                row[column] = try Datum.parse(
                    text: field, as: table.types[column], time: context.time)
            } catch {
                var error = error
                error.context =
                    ", column \(table.columns[column].name): \"\(CopyDecoder.shown(field))\""
                throw error
            }
        }
        return row
    }
}
