/// One connection to what is put under load.
package protocol BenchTarget: Sendable {
    func get(_ key: [UInt8]) async throws
    func put(_ key: [UInt8], _ value: [UInt8]) async throws
    /// Reads all keys from `start` up to, not including, `end`.
    func scan(from start: [UInt8], to end: [UInt8]) async throws
    /// Writes all of them or none.
    func write(_ pairs: [(key: [UInt8], value: [UInt8])]) async throws
    func close()
}
