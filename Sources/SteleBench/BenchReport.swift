import Histogram
import SteleBase

/// What clients saw: how many calls succeeded, when, and how long they took.
package struct BenchReport: Sendable {
    /// Of calls that succeeded, in microseconds, to two digits.
    private(set) var latency: Histogram<UInt64>
    /// How many calls succeeded in each second since the start.
    package private(set) var perSecond: [Int] = []
    package private(set) var failures = 0
    package private(set) var firstFailure: String?
    var duration = Duration.zero

    init() {
        latency = Histogram(numberOfSignificantValueDigits: .two)
        latency.autoResize = true
    }

    package var count: Int { Int(latency.totalCount) }
    var rate: Double { Double(count) / max(Double(duration.microseconds) / 1e6, 1e-6) }

    mutating func add(microseconds: Int, second: Int) {
        let isRecorded = latency.record(UInt64(max(microseconds, 0)))
        invariant(isRecorded, "a histogram that grows records every latency")
        add(1, to: second)
    }

    mutating func addFailure(_ text: @autoclosure () -> String) {
        failures += 1
        if firstFailure == nil { firstFailure = text() }
    }

    mutating func add(_ other: BenchReport) {
        latency.add(other.latency)
        for (second, count) in other.perSecond.enumerated() { add(count, to: second) }
        failures += other.failures
        firstFailure = firstFailure ?? other.firstFailure
    }

    private mutating func add(_ count: Int, to second: Int) {
        while perSecond.count <= second { perSecond.append(0) }
        perSecond[second] += count
    }
}

/// A report with what it is about, for people and for programs.
package struct BenchResult: Sendable {
    let work: BenchWork
    let clients: Int
    let connections: Int
    package let report: BenchReport
    /// What the calls cost this process.
    let processorSeconds: Double

    private static let shares: [(share: Double, name: String)] = [
        (0.5, "50 %"), (0.95, "95 %"), (0.99, "99 %"), (0.999, "99.9 %"),
    ]

    package var text: String {
        let latency = report.latency
        let parts =
            ["mean \(Self.milliseconds(latency.mean))"]
            + Self.shares.map {
                "\($0.name) within \(Self.milliseconds(Double(latency.valueAtPercentile($0.share * 100))))"
            } + ["longest \(Self.milliseconds(Double(latency.maxRecorded)))"]
        var lines = [
            "\(work.rawValue)      \(Int(report.rate.rounded()))/s: \(report.count) calls in "
                + "\(Self.short(Double(report.duration.microseconds) / 1e6)) s, \(clients) clients on "
                + "\(connections) connections",
            "latency  " + parts.joined(separator: ", "),
            "client   \(Self.short(clientMicroseconds)) µs of processor time a call",
        ]
        if let first = report.firstFailure {
            lines.append("failed   \(report.failures) calls, the first: \(first)")
        }
        return lines.joined(separator: "\n")
    }

    /// Latencies are in microseconds.
    package var json: String {
        let latency = report.latency
        let percentiles = Self.shares.map {
            "\"p\(Self.digits($0.share))\":\(latency.valueAtPercentile($0.share * 100))"
        }
        return "{\"work\":\"\(work.rawValue)\",\"clients\":\(clients),"
            + "\"connections\":\(connections),"
            + "\"seconds\":\(Double(report.duration.microseconds) / 1e6),"
            + "\"count\":\(report.count),\"rate\":\(report.rate),\"failed\":\(report.failures),"
            + "\"latency\":{\"mean\":\(latency.mean),\(percentiles.joined(separator: ",")),"
            + "\"max\":\(latency.maxRecorded)},\"clientMicroseconds\":\(clientMicroseconds),"
            + "\"perSecond\":[\(report.perSecond.map { "\($0)" }.joined(separator: ","))]}"
    }

    private var clientMicroseconds: Double {
        processorSeconds * 1e6 / Double(max(report.count, 1))
    }

    private static func milliseconds(_ microseconds: Double) -> String {
        short(microseconds / 1_000) + " ms"
    }

    /// With two digits behind the point.
    private static func short(_ value: Double) -> String {
        "\((value * 100).rounded() / 100)"
    }

    /// "50", "95", "99", "999".
    private static func digits(_ share: Double) -> String {
        let thousandths = Int((share * 1_000).rounded())
        return thousandths % 10 == 0 ? "\(thousandths / 10)" : "\(thousandths)"
    }
}
