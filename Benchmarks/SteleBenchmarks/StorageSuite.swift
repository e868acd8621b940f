import Glibc

/// The engine and the log against RocksDB's own benchmark on the same disk.
func storageSuite() throws -> [Row] {
    let directory = ".build-benchmarks/storage"
    try removeAll(directory)
    mkdir(".build-benchmarks", 0o755)
    mkdir(directory, 0o755)
    defer { try? removeAll(directory) }
    return try durableWrites(directory) + engineWork(directory)
}
