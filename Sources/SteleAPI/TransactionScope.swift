import Synchronization

/// One run of a closure of ``Database/write(_:_:)``, as the tasks within it know it.
///
/// A task that is made in the closure and outlives it knows it for ever, and is not within it any
/// more; so a scope says whether it is open.
final class TransactionScope: Sendable {
    @TaskLocal private static var current: TransactionScope?

    private let database: ObjectIdentifier
    /// That of a transaction of another database around this one.
    private let outer: TransactionScope?
    private let isOpen = Atomic(true)

    private init(_ database: Database) {
        self.database = ObjectIdentifier(database)
        outer = Self.current
    }

    /// Whether the present task is within a closure of this database's.
    static func isInside(_ database: Database) -> Bool {
        var scope = current
        while let next = scope {
            if next.database == ObjectIdentifier(database), next.isOpen.load(ordering: .acquiring) {
                return true
            }
            scope = next.outer
        }
        return false
    }

    static func run<R>(
        in database: Database, _ body: nonisolated(nonsending) () async throws -> R
    ) async throws -> R {
        let scope = TransactionScope(database)
        defer { scope.isOpen.store(false, ordering: .releasing) }
        return try await $current.withValue(scope) { try await body() }
    }
}
