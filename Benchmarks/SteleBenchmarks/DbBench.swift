import Glibc

/// RocksDB's own benchmark, the rival of the storage suite; Debian has it in rocksdb-tools.
struct DbBench {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// The store that it makes and reads.
    let directory: String
    /// Options of all its runs; what is not named keeps db_bench's default.
    let options: [String]

    /// Runs benchmarks one after another in one process, and returns the cost of the last one.
    ///
    /// The processor time is that of the whole process, so it is left out if others ran before.
    func run(_ benchmarks: String..., options more: [String] = []) throws -> Cost {
        let last = benchmarks[benchmarks.count - 1]
        let names = benchmarks.joined(separator: ",")
        let own = ["--progress_reports=false", "--benchmarks=\(names)", "--db=\(directory)"]
        let command = (["db_bench"] + own + options + more + ["2>&1"]).joined(separator: " ")
        let before = processorTime(RUSAGE_CHILDREN)
        let (lines, status) = try Self.output(of: command)
        let used = processorTime(RUSAGE_CHILDREN) - before
        // "readrandom   :   1.234 micros/op 810372 ops/sec 0.2 seconds 200000 operations; ..."
        let result = lines.last { $0.hasPrefix(last + " ") && $0.contains(" ops/sec ") }
        guard status == 0, let result, let rate = Self.number(before: "ops/sec", in: result),
            let count = Self.number(before: "operations;", in: result), rate > 0, count > 0
        else {
            throw Failure(
                description: "no result of db_bench, which is in rocksdb-tools: \(command)\n"
                    + lines.suffix(10).joined(separator: "\n"))
        }
        return Cost(
            nanoseconds: 1e9 / rate,
            processorMicroseconds: benchmarks.count == 1 ? used / count : nil, allocations: nil)
    }

    private static func number(before unit: String, in line: String) -> Double? {
        let words = line.split(separator: " ")
        guard let index = words.firstIndex(of: unit[...]), index > 0 else { return nil }
        return Double(words[index - 1])
    }

    private static func output(of command: String) throws -> (lines: [String], status: Int32) {
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
        let status = pclose(pipe)
        let lines = bytes.split { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
        return (lines.map { String(decoding: $0, as: UTF8.self) }, status)
    }
}
