// The messages of the extended protocol.

extension SQLSession {
    // MARK: Statements

    /// Prepares a statement; the empty name stands for one that is replaced without asking.
    package func prepare(
        _ name: String, _ text: String, parameterTypes: [UInt32]
    ) async throws(SQLError) {
        cancellation.reset()
        if name.isEmpty { statements.remove("") }
        let (parsed, isDeep) = try await parse(text)
        guard parsed.count <= 1 else {
            throw SQLError(
                "42601", "cannot insert multiple commands into a prepared statement")
        }
        var declared: [SQLType?] = []
        for oid in parameterTypes {
            if oid == 0 || oid == SQLType.unknown.oid {
                declared.append(nil)
            } else if let type = SQLType(oid: oid) {
                declared.append(type)
            } else {
                throw .unsupported("a parameter of the type with OID \(oid)")
            }
        }
        let prepared = PreparedStatement(
            parsed.first, source: SourceText(text), isDeep: isDeep, declared: declared,
            mayAddParameters: true, meter: meter)
        let end = cancellation.limit(settings.statementTimeout, environment)
        defer { end() }
        try await keep(prepared, as: name)
    }

    /// Plans a statement and keeps it under a name.
    func keep(_ prepared: PreparedStatement, as name: String) async throws(SQLError) {
        guard name.isEmpty || statements[name] == nil else {
            throw SQLError("42P05", "prepared statement \"\(name)\" already exists")
        }
        if let statement = prepared.statement {
            try checkBlock(statement)
            if Planner.plans(statement) {
                _ = try await currentPlan(of: prepared)
            } else if prepared.declared.contains(where: { $0 == nil }) {
                throw SQLError("42P18", "could not determine data type of parameter $1")
            }
        }
        try statements.keep(prepared, as: name)
    }

    private func statement(_ name: String) throws(SQLError) -> PreparedStatement {
        guard let prepared = statements[name] else { throw .noStatement(name) }
        return prepared
    }

    /// The parameters and columns of a prepared statement; nil columns if it returns no rows.
    package func describeStatement(
        _ name: String
    ) async throws(SQLError) -> (parameterTypes: [UInt32], columns: [ResultColumn]?) {
        let prepared = try statement(name)
        let types = parameterTypes(of: prepared)
        return (types.map(\.oid), try await columns(of: prepared))
    }

    private func parameterTypes(of prepared: PreparedStatement) -> [SQLType] {
        if let types = prepared.inferred { return types }
        return prepared.declared.map { $0 ?? .text }
    }

    private func columns(
        of prepared: PreparedStatement
    ) async throws(SQLError) -> [ResultColumn]? {
        guard let statement = prepared.statement else { return nil }
        try checkBlock(statement)
        let end = cancellation.limit(settings.statementTimeout, environment)
        defer { end() }
        switch statement {
        case .show(let name): return Self.columns(ofShow: name)
        case .execute(let name, _, _):
            guard let inner = statements[name] else { throw .noStatement(name) }
            return try await currentPlan(of: inner).columns
        case _ where Planner.plans(statement):
            return try await currentPlan(of: prepared).columns
        default: return nil
        }
    }

    /// Forgets a prepared statement, if there is one of this name.
    package func closeStatement(_ name: String) { statements.remove(name) }

    // MARK: Portals

    /// Makes a portal of a prepared statement and values for its parameters.
    package func bind(
        portal name: String, statement: String, parameterFormats: [Int16],
        parameters: [ArraySlice<UInt8>?], resultFormats: [Int16]
    ) async throws(SQLError) {
        cancellation.reset()
        let prepared = try self.statement(statement)
        if let statement = prepared.statement { try checkBlock(statement) }
        guard name.isEmpty || portals[name] == nil else {
            throw SQLError("42P03", "cursor \"\(name)\" already exists")
        }
        let types = parameterTypes(of: prepared)
        guard types.count == parameters.count else {
            throw SQLError(
                "08P01",
                "bind message supplies \(parameters.count) parameters, but prepared statement "
                    + "\"\(statement)\" requires \(types.count)")
        }
        guard parameterFormats.count <= 1 || parameterFormats.count == parameters.count else {
            throw SQLError(
                "08P01",
                "bind message has \(parameterFormats.count) parameter formats but "
                    + "\(parameters.count) parameters")
        }
        let end = cancellation.limit(settings.statementTimeout, environment)
        defer { end() }
        let time = timeContext
        let values = try await meter.compute { [meter] () throws(SQLError) in
            var values: [Datum] = []
            values.reserveCapacity(parameters.count)
            for (index, bytes) in parameters.enumerated() {
                let format =
                    parameterFormats.isEmpty
                    ? 0 : parameterFormats[parameterFormats.count == 1 ? 0 : index]
                try meter.charge(WorkMeter.row + 8 * (bytes?.count ?? 0))
                values.append(try Self.value(bytes, types[index], format, time))
            }
            return values
        }
        let portal = Portal(
            prepared, parameters: values, formats: resultFormats, meter: meter)
        if resultFormats.count > 1 {
            let count = try await columns(of: prepared)?.count ?? 0
            guard resultFormats.count == count else {
                throw SQLError(
                    "08P01",
                    "bind message has \(resultFormats.count) result formats but query has "
                        + "\(count) columns")
            }
        }
        portal.number = portalCount
        portalCount += 1
        try portals.keep(portal, as: name)
    }

    private static func value(
        _ bytes: ArraySlice<UInt8>?, _ type: SQLType, _ format: Int16, _ time: TimeContext
    ) throws(SQLError) -> Datum {
        guard let bytes else { return .null }
        switch format {
        case 0: return try Datum.parse(text: bytes, as: type, time: time)
        case 1: return try Datum.decode(binary: bytes, as: type)
        default: throw SQLError("22023", "unsupported format code: \(format)")
        }
    }

    private func portal(_ name: String) throws(SQLError) -> Portal {
        guard let portal = portals[name] else {
            // Those of a failed block are gone with it.
            if transaction?.isFailed == true { throw .failedBlock }
            throw SQLError("34000", "portal \"\(name)\" does not exist")
        }
        return portal
    }

    /// The columns of a portal; nil if it returns no rows.
    package func describePortal(_ name: String) async throws(SQLError) -> [ResultColumn]? {
        let portal = try portal(name)
        if let columns = portal.columns {
            if transaction?.isFailed == true { throw .failedBlock }
            return columns
        }
        if portal.isStarted, !portal.hasFailed { return nil }
        return try portal.formatted(try await columns(of: portal.prepared))
    }

    /// Runs a portal, or goes on with it; 0 rows at most means all.
    package func execute(
        portal name: String, maxRows: Int, into sink: any ResultSink
    ) async throws(SQLError) {
        cancellation.reset()
        let end = cancellation.limit(settings.statementTimeout, environment)
        defer { end() }
        let portal = try portal(name)
        guard let statement = portal.prepared.statement else { return sink.emptyQuery() }
        try checkBlock(statement)
        if portal.hasFailed || portal.isStarted && portal.columns == nil {
            throw SQLError("55000", "portal \"\(name)\" cannot be run")
        }
        if maxRows == 0, let count = try fastRead(portal, into: sink) {
            hasReadAtOnce = true
            return sink.complete(tag: "SELECT \(count)")
        }
        let count: Int
        let isSuspended: Bool
        do throws(SQLError) {
            if !portal.isStarted {
                hasOutput = false
                portal.wanted = maxRows == 0 ? .max : maxRows
                portal.startNumber = portalCount
                portalCount += 1
                try await start(portal, sink)
            }
            (count, isSuspended) = try await fetch(portal, maxRows, sink)
        } catch {
            portal.fail()
            transaction?.tables.stale = nil
            throw error
        }
        if isSuspended {
            transaction?.hasExecuted = true
            return sink.suspended()
        }
        if statement.mustBeAlone {
            // What follows in the pipeline is another transaction.
            if transaction?.isExplicit != true { try await commit() }
        } else {
            transaction?.hasExecuted = true
        }
        sink.complete(tag: portal.tag.isEmpty ? "SELECT \(count)" : portal.tag)
    }

    /// Forgets a portal, if there is one of this name.
    package func closePortal(_ name: String) { portals.remove(name) }

    // MARK: The end of a series of messages

    /// Ends the implicit transaction of extended messages by committing it.
    package func sync() async throws(SQLError) {
        // What came while no statement ran was meant for one that is over.
        cancellation.reset()
        hasReadAtOnce = false
        if let transaction {
            guard !transaction.isExplicit else { return }
            let end = cancellation.limit(settings.statementTimeout, environment)
            defer { end() }
            try await commit()
        } else {
            dropPortals()
        }
    }

    /// A message failed: rolls the implicit transaction back, or fails the explicit one.
    package func fail() async { await abort() }
}
