import Glibc

/// RocksDB's own benchmark, as the rival: `db_bench` of the package rocksdb-tools.
///
/// It is run with the options that the engine sets (see Options.cpp of CRocksDB), so that what
/// differs is the versioning, the intents and the language on top.
struct EngineRival {
    let directory: String
    let keys: Int
    let valueBytes: Int
    let cacheBytes: Int

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Runs some of its benchmarks one after another and returns the microseconds an operation of
    /// the last one took.
    func run(_ benchmarks: String, _ options: [String] = []) throws -> Double {
        let arguments =
            [
                "--benchmarks=\(benchmarks)", "--db=\(directory)", "--num=\(keys)",
                "--key_size=16", "--value_size=\(valueBytes)", "--cache_size=\(cacheBytes)",
                "--bloom_bits=10", "--block_size=16384", "--cache_index_and_filter_blocks=true",
                "--write_buffer_size=\(64 << 20)", "--max_write_buffer_number=4",
                "--max_background_jobs=2", "--level0_slowdown_writes_trigger=40",
                "--level0_stop_writes_trigger=200", "--level_compaction_dynamic_level_bytes=true",
                "--compression_type=lz4", "--min_level_to_compress=2",
                "--allow_concurrent_memtable_write=false", "--threads=1", "--seed=1",
            ] + options
        let output = try Self.output(of: "db_bench " + arguments.joined(separator: " ") + " 2>&1")
        let name = benchmarks.split(separator: ",").last.map(String.init) ?? benchmarks
        // "readrandom   :       1.234 micros/op 810372 ops/sec; ..."
        let lines = output.split(separator: "\n")
            .filter { $0.hasPrefix(name) && $0.contains(" micros/op") }
        guard let fields = lines.last?.split(separator: " "),
            let unit = fields.firstIndex(of: "micros/op"), unit > 0,
            let microseconds = Double(String(fields[unit - 1]))
        else {
            throw Failure(
                description: "db_bench (of rocksdb-tools) did not run \(name):\n\(output)")
        }
        return microseconds
    }

    private static func output(of command: String) throws -> String {
        guard let pipe = popen(command, "r") else {
            throw Failure(description: "no process could be started for db_bench")
        }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = fread(&buffer, 1, buffer.count, pipe)
            if count == 0 { break }
            bytes += buffer[..<count]
        }
        pclose(pipe)
        return String(decoding: bytes, as: UTF8.self)
    }
}
