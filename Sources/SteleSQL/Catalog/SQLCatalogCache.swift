import SteleAPI
import SteleBase
import Synchronization

/// The tables that a node knows, shared by its sessions.
///
/// What is here may be out of date: another node may have changed a table. Statements are planned
/// with it all the same and find out when they run, see `SessionTransaction+Tables`.
package final class SQLCatalogCache: Sendable {
    private struct State {
        var tables: [String: TableDefinition] = [:]
        var ids: Range<UInt32> = 0..<0
    }

    private let state = Mutex(State())
    private let changes = Atomic<UInt64>(1)

    package init() {}

    /// Rises with every change, so that plans know that nothing has changed.
    var epoch: UInt64 { changes.load(ordering: .acquiring) }

    func table(_ name: String) -> TableDefinition? { state.withLock { $0.tables[name] } }

    func keep(_ table: TableDefinition) {
        state.withLock { $0.tables[table.name] = table }
        changes.add(1, ordering: .releasing)
    }

    func forget(_ name: String) {
        state.withLock { _ = $0.tables.removeValue(forKey: name) }
        changes.add(1, ordering: .releasing)
    }

    // MARK: Ids

    /// How many ids a node takes at a time. Those that it does not use are lost when it stops.
    private static let blockSize: UInt32 = 16

    /// An id that no table, storage or version has had.
    func nextID(
        _ database: any DatabaseBackend, _ cancellation: Cancellation
    ) async throws(SQLError) -> UInt32 {
        while true {
            let id = state.withLock { $0.ids.popFirst() }
            if let id { return id }
            let block = try await takeBlock(database, cancellation)
            // A block that another session fetched meanwhile is lost, which does no harm.
            state.withLock { $0.ids = block }
        }
    }

    /// Moves the counter in a transaction of its own, so that nobody waits for a long one.
    private func takeBlock(
        _ database: any DatabaseBackend, _ cancellation: Cancellation
    ) async throws(SQLError) -> Range<UInt32> {
        var attempts = 0
        while true {
            let kernel = try Self.begin(database)
            try cancellation.beginWait(of: kernel, forLocks: true)
            defer { cancellation.endWait() }
            do throws(SteleError) {
                let locked = try await kernel.lock([CatalogKeys.counter], .exclusive, .wait)
                let first = locked.first?.value.flatMap(CatalogKeys.id) ?? CatalogKeys.firstID
                let next = first.addingReportingOverflow(Self.blockSize)
                guard !next.overflow else {
                    throw SteleError(.limitExceeded, "there are no more ids for tables")
                }
                try kernel.write(CatalogKeys.counter, CatalogKeys.value(next.partialValue))
                try await kernel.commit()
                return first..<next.partialValue
            } catch {
                kernel.rollback()
                if let reason = cancellation.reason { throw reason }
                attempts += 1
                guard error.isRetryable, attempts < 10 else { throw SQLError(error) }
            }
        }
    }

    private static func begin(
        _ database: any DatabaseBackend
    ) throws(SQLError) -> any TransactionBackend {
        do { return try database.begin(TransactionOptions()) } catch { throw SQLError(error) }
    }
}
