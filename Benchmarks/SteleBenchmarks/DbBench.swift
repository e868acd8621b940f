import Glibc

/// RocksDB's own benchmark, the rival of the storage suite; Debian has it in rocksdb-tools.
struct DbBench {
    /// A benchmark that ran: its speed, and what it cost.
    struct Outcome {
        var operationsPerSecond: Double
        var processorMicroseconds: Double
    }

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// Runs `db_bench` with arguments and reads the line of one benchmark.
    static func run(_ benchmark: String, _ arguments: [String]) throws -> Outcome {
        let command = (["db_bench", "--benchmarks=\(benchmark)"] + arguments + ["2>/dev/null"])
            .joined(separator: " ")
        let before = processorTime(RUSAGE_CHILDREN)
        guard let stream = popen(command, "r") else { throw Failure(description: "popen failed") }
        var lines: [String] = []
        var buffer = [CChar](repeating: 0, count: 4096)
        while fgets(&buffer, Int32(buffer.count), stream) != nil {
            let end = buffer.firstIndex(of: 0) ?? 0
            let line = buffer[..<end].map { UInt8(bitPattern: $0) }
            lines.append(String(decoding: line, as: UTF8.self))
        }
        guard pclose(stream) == 0 else {
            throw Failure(description: "\(command): failed; is rocksdb-tools installed?")
        }
        for line in lines where line.hasPrefix(benchmark) {
            let words = line.split(separator: " ")
            guard let unit = words.firstIndex(of: "ops/sec"), unit > 0,
                let rate = Double(words[unit - 1]),
                let total = words.firstIndex(of: "operations;"), total > 0,
                let count = Double(words[total - 1])
            else { continue }
            let used = processorTime(RUSAGE_CHILDREN) - before
            return Outcome(operationsPerSecond: rate, processorMicroseconds: used / count)
        }
        throw Failure(description: "\(command): printed no result of \(benchmark)")
    }
}

/// Microseconds of processor time, of this process or of the children that ended.
func processorTime(_ who: __rusage_who) -> Double {
    var usage = rusage()
    getrusage(who.rawValue, &usage)
    let seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
    return Double(seconds) * 1e6 + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)
}

extension [Double] {
    /// The middle value, or the mean of the two in the middle.
    var median: Double {
        let sorted = sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}
