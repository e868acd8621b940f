import Logging
import Stele
import SteleAPI

/// A node's Postgres front (stub while the SQL engine is under way).
struct PostgresFront {
    static func start(on node: Node, address: String?, logger: Logger) async throws -> PostgresFront? { nil }
    func stop() async {}
}
