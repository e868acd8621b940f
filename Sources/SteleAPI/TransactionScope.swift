import Synchronization

/// One run of a closure of ``Database/write(_:_:)`` or ``Database/read(timeout:_:)``, as the tasks
/// within it know it.
///
/// A task that is made in the closure and outlives it knows it for ever, and is not within it any
/// more; so a scope says whether it is open.
final class TransactionScope: Sendable {
    enum Kind { case read, write }

    @TaskLocal private static var current: TransactionScope?

    private let database: ObjectIdentifier
    private let kind: Kind
    /// That of a transaction of another database around this one.
    private let outer: TransactionScope?
    private let isOpen = Atomic(true)

    private init(_ database: Database, _ kind: Kind) {
        self.database = ObjectIdentifier(database)
        self.kind = kind
        outer = Self.current
    }

    /// Which closure of this database's the present task is within, the innermost of several.
    static func around(_ database: Database) -> Kind? {
        var scope = current
        while let next = scope {
            if next.database == ObjectIdentifier(database), next.isOpen.load(ordering: .acquiring) {
                return next.kind
            }
            scope = next.outer
        }
        return nil
    }

    static func run<R>(
        _ kind: Kind, in database: Database, _ body: nonisolated(nonsending) () async throws -> R
    ) async throws -> R {
        let scope = TransactionScope(database, kind)
        defer { scope.isOpen.store(false, ordering: .releasing) }
        return try await $current.withValue(scope) { try await body() }
    }
}
