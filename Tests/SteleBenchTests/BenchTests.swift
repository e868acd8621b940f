import ArgumentParser
import SteleBase
import SteleBench
import Synchronization
import Testing

struct BenchLoadTests {
    /// Notes what it is asked, and fails every third call.
    final class Target: BenchTarget {
        struct Refusal: Error {}
        struct Seen {
            var calls: [String: Int] = [:]
            var filled: [[UInt8]: Int] = [:]
            var fails = false
            var count = 0
        }
        let seen = Mutex(Seen())

        private func note(_ call: String, _ keys: [[UInt8]]) throws {
            let fails = seen.withLock { seen in
                seen.count += 1
                if seen.fails, seen.count % 3 == 0 { return true }
                seen.calls[call, default: 0] += 1
                for key in keys { seen.filled[key, default: 0] += 1 }
                return false
            }
            if fails { throw Refusal() }
        }

        func get(_ key: [UInt8]) async throws { try note("get", [key]) }
        func put(_ key: [UInt8], _ value: [UInt8]) async throws { try note("put", [key]) }
        func scan(from start: [UInt8], to end: [UInt8]) async throws { try note("scan", [start, end]) }
        func write(_ pairs: [(key: [UInt8], value: [UInt8])]) async throws {
            try note("txn", pairs.map(\.key))
        }
        func close() {}
    }

    @Test(arguments: [1, 16, 99, 1_000, 12_345]) func fillingWritesEveryKeyOnce(count: Int) async throws {
        let targets = [Target(), Target(), Target()]
        let keys = BenchKeys(prefix: Array("k/".utf8), count: count)
        let progress = BenchProgress()
        let load = BenchLoad(targets: targets, clients: 32, keys: keys, valueBytes: 10)
        try await load.fill(progress)
        var all: [[UInt8]: Int] = [:]
        for target in targets {
            all.merge(target.seen.withLock { $0.filled }, uniquingKeysWith: +)
        }
        #expect(all.count == count && all.values.allSatisfy { $0 == 1 })
        #expect(all.keys.sorted { $0.lexicographicallyPrecedes($1) } == (0..<count).map(keys.key))
        #expect(progress.count == count)
    }

    @Test(arguments: BenchWork.allCases) func whatSucceedsIsCounted(work: BenchWork) async {
        let target = Target()
        target.seen.withLock { $0.fails = true }
        let keys = BenchKeys(prefix: [], count: 500)
        let progress = BenchProgress()
        let load = BenchLoad(targets: [target], clients: 8, keys: keys, valueBytes: 100)
        let report = await load.run(work, for: .milliseconds(150), progress)
        let seen = target.seen.withLock { $0 }
        let succeeded = seen.calls.values.reduce(0, +)
        #expect(succeeded > 0 && report.count == succeeded && progress.count == succeeded)
        #expect(report.failures == seen.count - succeeded && report.failures > 0)
        #expect(report.firstFailure == "Refusal()")
        #expect(report.perSecond.reduce(0, +) == succeeded)
        let names: Set<String> = work == .mixed ? ["get", "put", "txn"] : [work.rawValue]
        #expect(Set(seen.calls.keys).isSubset(of: names))
        let known = Set((0...500).map(keys.key))
        #expect(seen.filled.keys.allSatisfy(known.contains))
    }

    @Test(arguments: [0, 1, 2, 7, 128, 100_000]) func valuesAreHalfRandom(bytes: Int) {
        var random = SeededRandom(seed: 3)
        let values = BenchValues(bytes: bytes)
        let (one, other) = (values.next(&random), values.next(&random))
        #expect(one.count == bytes && other.count == bytes)
        #expect(one.dropFirst((bytes + 1) / 2).allSatisfy { $0 == 0 })
        if bytes >= 100 { #expect(one != other) }
    }

    @Test(arguments: [
        ["--clients", "0"], ["--clients", "10001"], ["--connections", "0"],
        ["--connections", "33"], ["--seconds", "0"], ["--seconds", "86401"], ["--value-size=-1"],
        ["--value-size", "4194305"], ["--keys", "0"], ["--keys", "1000000001"], ["--host", ","],
    ])
    func optionsOutOfRangeAreRefused(options: [String]) {
        #expect(throws: (any Error).self) { try BenchOptions.parse(["get"] + options) }
        #expect(throws: Never.self) { try BenchOptions.parse(["get"]) }
    }
}
