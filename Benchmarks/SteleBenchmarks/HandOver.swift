import Glibc
import SteleBase
import SteleLog

/// What a log with a thread of its own can reach at most: one thread asks another one to write and
/// sync a sector, waits, and asks again. No record, no engine, no queue.
///
/// A lone writer waits for the disk and for two threads to wake, and where an idle processor is
/// slow to wake (a virtual machine that halts it), the waking is the larger part of what Stele adds
/// to the disk. This figure tells a slow machine from a slow log.
struct HandOver: Sendable {
    let directory: String
    private static let sector = 512

    func run(seconds: Int) throws -> Cost {
        try removeAll(directory)
        mkdir(directory, 0o755)
        let file = try SystemFileSystem().open(directory + "/sectors", create: true)
        let bytes = [UInt8](repeating: 0, count: 16 << 20)
        try write(bytes[...], to: file, at: 0)
        let (asked, done) = (Signal(), Signal())
        let until = time(CLOCK_MONOTONIC) + Double(seconds) * 1e9
        var count = 0
        let total = timed(1) {
            count = inThreads(2) { number in
                preferPromptness()
                var count = 0
                while time(CLOCK_MONOTONIC) < until {
                    if number == 0 {
                        asked.send()
                        done.wait()
                    } else {
                        asked.wait()
                        let offset = count * Self.sector % bytes.count
                        do {
                            try write(bytes[..<Self.sector], to: file, at: offset)
                        } catch {
                            end("\(error)", status: 1)
                        }
                        done.send()
                    }
                    count += 1
                }
                // Whoever saw the end last still waits for the other one.
                (number == 0 ? asked : done).send()
                return count
            }[0]
        }
        return Cost(
            nanoseconds: total.nanoseconds / Double(count),
            processorMicroseconds: (total.processorMicroseconds ?? 0) / Double(count))
    }

    private func write(_ bytes: ArraySlice<UInt8>, to file: any File, at offset: Int) throws {
        try bytes.withUnsafeBytes { try file.write($0, at: offset) }
        try file.sync()
    }
}
