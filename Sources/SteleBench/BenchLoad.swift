import SteleBase
import Synchronization

/// What every client does over and over.
package enum BenchWork: String, Sendable, CaseIterable {
    case put, get, scan, txn, mixed
}

/// How many calls have succeeded, or keys been written, so far.
package final class BenchProgress: Sendable {
    private let total = Atomic<Int>(0)

    package init() {}

    package var count: Int { total.load(ordering: .relaxed) }

    func add(_ count: Int) { total.add(count, ordering: .relaxed) }
}

/// The keys of a load: a prefix and ten digits, so in the order of their numbers.
package struct BenchKeys: Sendable {
    package static let most = 1_000_000_000
    package static let longestPrefix = 1_000
    private static let digits = 10

    let prefix: [UInt8]
    let count: Int

    package init(prefix: [UInt8], count: Int) {
        self.prefix = prefix
        self.count = count
    }

    package func key(_ number: Int) -> [UInt8] {
        var key = prefix
        key.reserveCapacity(prefix.count + Self.digits)
        var scale = 1_000_000_000
        while scale > 0 {
            key.append(UInt8(ascii: "0") + UInt8(number / scale % 10))
            scale /= 10
        }
        return key
    }

    func random(_ random: inout SeededRandom) -> [UInt8] {
        key(Int(random.below(UInt64(count))))
    }
}

/// Clients that call, wait for the answer and call again.
package struct BenchLoad<Target: BenchTarget>: Sendable {
    /// Clients take turns among them.
    let targets: [Target]
    let clients: Int
    let keys: BenchKeys
    let values: BenchValues

    package init(targets: [Target], clients: Int, keys: BenchKeys, valueBytes: Int) {
        self.targets = targets
        self.clients = clients
        self.keys = keys
        values = BenchValues(bytes: valueBytes)
    }

    /// Keys that a scan reads.
    private static var scanned: Int { 100 }
    /// Bytes and keys of the transactions that fill the keyspace.
    private static var fillBytes: Int { 256 << 10 }
    private static var fillKeys: Int { 100 }

    /// Writes all keys, each client a part of them.
    package func fill(_ progress: BenchProgress) async throws {
        let writers = min(clients, 16)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<writers {
                group.addTask {
                    let last = keys.count * (writer + 1) / writers
                    try await fill(keys.count * writer / writers..<last, writer, progress)
                }
            }
            try await group.waitForAll()
        }
    }

    private func fill(_ numbers: Range<Int>, _ writer: Int, _ progress: BenchProgress) async throws {
        let step = max(1, min(Self.fillKeys, Self.fillBytes / max(values.bytes, 1)))
        var random = SeededRandom(seed: .random(in: 0 ... .max))
        for first in stride(from: numbers.lowerBound, to: numbers.upperBound, by: step) {
            let part = first..<min(first + step, numbers.upperBound)
            let pairs = part.map { (key: keys.key($0), value: values.next(&random)) }
            try await targets[writer % targets.count].write(pairs)
            progress.add(part.count)
        }
    }

    /// Runs all clients for so long. A call that is under way at the end counts if it succeeds,
    /// and so does the time that it takes longer.
    package func run(
        _ work: BenchWork, for duration: Duration, _ progress: BenchProgress
    ) async -> BenchReport {
        let start = ContinuousClock.now
        return await withTaskGroup { group in
            for number in 0..<clients {
                group.addTask {
                    await run(work, number, start, start.advanced(by: duration), progress)
                }
            }
            var report = BenchReport()
            for await part in group { report.add(part) }
            report.duration = start.duration(to: .now)
            return report
        }
    }

    private func run(
        _ work: BenchWork, _ number: Int, _ start: ContinuousClock.Instant,
        _ end: ContinuousClock.Instant, _ progress: BenchProgress
    ) async -> BenchReport {
        let target = targets[number % targets.count]
        var random = SeededRandom(seed: .random(in: 0 ... .max))
        var report = BenchReport()
        var began = ContinuousClock.now
        while began < end {
            do {
                try await call(work, target, &random)
                let now = ContinuousClock.now
                report.add(
                    microseconds: began.duration(to: now).microseconds,
                    second: start.duration(to: now).microseconds / 1_000_000)
                progress.add(1)
                began = now
            } catch {
                report.addFailure("\(error)")
                // A node that refuses everything at once is not asked as fast as it can refuse.
                try? await Task.sleep(for: .milliseconds(10))
                began = .now
            }
        }
        return report
    }

    private func call(
        _ work: BenchWork, _ target: Target, _ random: inout SeededRandom
    ) async throws {
        switch work {
        case .get:
            try await target.get(keys.random(&random))
        case .put:
            try await target.put(keys.random(&random), values.next(&random))
        case .scan:
            let first = Int(random.below(UInt64(max(1, keys.count - Self.scanned + 1))))
            try await target.scan(from: keys.key(first), to: keys.key(first + Self.scanned))
        case .txn:
            try await target.write(
                [
                    (keys.random(&random), values.next(&random)),
                    (keys.random(&random), values.next(&random)),
                ])
        case .mixed:
            let part: BenchWork =
                switch random.below(10) {
                case 0..<5: .get
                case 5..<9: .put
                default: .txn
                }
            try await call(part, target, &random)
        }
    }
}

/// Values of one size; half of each is random, the rest compresses to nothing.
package struct BenchValues: Sendable {
    private let pool: [UInt8]
    let bytes: Int
    private let randomBytes: Int

    package init(bytes: Int) {
        self.bytes = bytes
        randomBytes = (bytes + 1) / 2
        var random = SeededRandom(seed: 1)
        pool = (0..<randomBytes + (64 << 10)).map { _ in
            UInt8(truncatingIfNeeded: random.next())
        }
    }

    package func next(_ random: inout SeededRandom) -> [UInt8] {
        let start = Int(random.below(UInt64(pool.count - randomBytes + 1)))
        return [UInt8](unsafeUninitializedCapacity: bytes) { buffer, count in
            pool.withUnsafeBytes { pool in
                guard let from = pool.baseAddress, let to = buffer.baseAddress else { return }
                UnsafeMutableRawPointer(to).copyMemory(
                    from: from + start, byteCount: randomBytes)
                (to + randomBytes).update(repeating: 0, count: bytes - randomBytes)
            }
            count = bytes
        }
    }
}

extension Duration {
    /// Whole microseconds.
    var microseconds: Int {
        Int(components.seconds) * 1_000_000 + Int(components.attoseconds / 1_000_000_000_000)
    }
}
