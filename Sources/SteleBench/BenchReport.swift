/// What clients saw: how many calls succeeded, when, and how long they took.
package struct BenchReport: Sendable {
    package private(set) var latency = LatencyHistogram()
    /// How many calls succeeded in each second since the start.
    package private(set) var perSecond: [Int] = []
    package private(set) var failures = 0
    package private(set) var firstFailure: String?
    var duration = Duration.zero

    package var count: Int { latency.count }
    var rate: Double { Double(count) / max(Double(duration.microseconds) / 1e6, 1e-6) }

    mutating func add(microseconds: Int, second: Int) {
        latency.add(microseconds)
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

/// How often calls took how long, to within 3 %.
///
/// Buckets of equal width within each power of two, as in HdrHistogram.
package struct LatencyHistogram: Sendable {
    private static let bits = 5
    private static let width = 1 << bits

    private var counts: [Int] = []
    package private(set) var count = 0
    package private(set) var longest = 0
    private var total = 0

    package init() {}

    package mutating func add(_ microseconds: Int) {
        let value = max(microseconds, 0)
        add(1, to: Self.bucket(of: value))
        count += 1
        total += value
        longest = max(longest, value)
    }

    package mutating func add(_ other: LatencyHistogram) {
        for (bucket, count) in other.counts.enumerated() where count > 0 { add(count, to: bucket) }
        count += other.count
        total += other.total
        longest = max(longest, other.longest)
    }

    /// In microseconds.
    package var mean: Double { count == 0 ? 0 : Double(total) / Double(count) }

    /// The microseconds within which this share of the calls succeeded.
    package func percentile(_ share: Double) -> Int {
        var rest = Int((Double(count) * share).rounded(.up))
        for (bucket, count) in counts.enumerated() {
            rest -= count
            if rest <= 0, count > 0 { return min(Self.end(of: bucket), longest) }
        }
        return longest
    }

    private mutating func add(_ count: Int, to bucket: Int) {
        if counts.count <= bucket {
            counts += Array(repeating: 0, count: bucket + 1 - counts.count)
        }
        counts[bucket] += count
    }

    private static func bucket(of value: Int) -> Int {
        guard value >= width else { return value }
        let shift = Int.bitWidth - 1 - value.leadingZeroBitCount - bits
        return (shift << bits) + (value >> shift)
    }

    /// The largest value of a bucket.
    private static func end(of bucket: Int) -> Int {
        guard bucket >= 2 * width else { return bucket }
        let shift = (bucket >> bits) - 1
        return ((bucket - (shift << bits)) << shift) + (1 << shift) - 1
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
                "\($0.name) within \(Self.milliseconds(Double(latency.percentile($0.share))))"
            } + ["longest \(Self.milliseconds(Double(latency.longest)))"]
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
            "\"p\(Self.digits($0.share))\":\(latency.percentile($0.share))"
        }
        return "{\"work\":\"\(work.rawValue)\",\"clients\":\(clients),"
            + "\"connections\":\(connections),"
            + "\"seconds\":\(Double(report.duration.microseconds) / 1e6),"
            + "\"count\":\(report.count),\"rate\":\(report.rate),\"failed\":\(report.failures),"
            + "\"latency\":{\"mean\":\(latency.mean),\(percentiles.joined(separator: ",")),"
            + "\"max\":\(latency.longest)},\"clientMicroseconds\":\(clientMicroseconds),"
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
