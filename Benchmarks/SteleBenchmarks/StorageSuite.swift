import Glibc

/// The log and the engine against RocksDB's own benchmark, on the same disk in the same run.
func storageSuite() throws -> [Row] { try logSuite() + engineSuite() }

func logSuite() throws -> [Row] { try inDirectory(durableWrites) }

func engineSuite() throws -> [Row] {
    try inDirectory(engineWork) + inDirectory(largeEngineWork)
}

func largeEngineSuite() throws -> [Row] { try inDirectory(largeEngineWork) }

/// Runs `body` with a fresh directory and removes that afterwards.
private func inDirectory(_ body: (String) throws -> [Row]) throws -> [Row] {
    let directory = ".build-benchmarks/storage"
    try removeAll(directory)
    for path in [".build-benchmarks", directory] where mkdir(path, 0o755) != 0 {
        guard errno == EEXIST else {
            throw DbBench.Failure(description: "cannot create \(path)")
        }
    }
    defer { try? removeAll(directory) }
    return try body(directory)
}

/// Runs db_bench and ours in turn, so that the moods of the machine hit both. Each figure is the
/// median of all rounds; the ratio is the median of the ratios of the rounds.
func contest(
    _ name: String, floor: Double?, rounds: Int, rivalName: String, rival: () throws -> Cost,
    ours: () throws -> Cost
) throws -> Row {
    var rivals: [Cost] = []
    var own: [Cost] = []
    for _ in 0..<rounds {
        rivals.append(try rival())
        own.append(try ours())
    }
    let ratio = zip(own, rivals).map { $1.nanoseconds / $0.nanoseconds }.median
    return Row(
        name, Cost.median(own).asRate, other: "\(rivalName): " + Cost.median(rivals).asRate,
        ratio: (ratio, floor))
}

extension Cost {
    /// "8120/s, 43 µs CPU, 12 allocations".
    fileprivate var asRate: String {
        var text = short(1e9 / nanoseconds) + "/s"
        if let processorMicroseconds { text += ", \(short(processorMicroseconds)) µs CPU" }
        if let allocations { text += ", \(short(allocations)) allocations" }
        return text
    }
}
