/// The tables that a node knows.
package final class SQLCatalogCache: Sendable {
    package init() {}
}
