import ArgumentParser
import SteleBase
import SteleClient
import SteleWire

/// Shows the nodes of a cluster and who leads its tablets, as one node sees it.
struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows the nodes and the leader of each tablet.")
    @OptionGroup var target: HostOption
    @Flag(help: "Print one JSON object.") var json = false

    func run() async throws {
        let report = try await target.withClient(isAnswer: { $0.cluster != .none }) {
            try await $0.status()
        }
        try printLine(json ? report.json : Self.table(report))
    }

    static func table(_ report: StatusReport) -> String {
        guard report.cluster != .none else {
            return "The node belongs to no cluster yet: run `stele init` on one of its nodes."
        }
        guard !report.nodes.isEmpty else {
            return "The node is starting: it reads its log. It is of cluster \(report.cluster)."
        }
        var lines = [
            "node  address                postgres               pid      up         live  clock"
        ]
        for node in report.nodes {
            lines.append(
                column("\(node.id.rawValue)", 6) + column(node.address, 23) + column(node.postgres, 23)
                    + column("\(node.pid)", 9) + column(node.uptime.map(Self.duration) ?? "?", 11)
                    + column(node.isOutdated ? "old" : node.isLive ? "yes" : "no", 6)
                    + Self.clock(node.clock))
        }
        lines.append("")
        lines.append("tablet  leader  replicas       lag            range")
        for tablet in report.tablets {
            let replicas = tablet.replicas.map { "\($0.rawValue)" }.joined(separator: ",")
            lines.append(
                column("\(tablet.id.rawValue)", 8)
                    + column(tablet.leader == .none ? "none" : "\(tablet.leader.rawValue)", 8)
                    + column(replicas, 15) + column(Self.lag(tablet), 15) + KeyRange(start: tablet.start, end: tablet.end).description)
        }
        for tablet in report.tablets {
            for node in tablet.outrun {
                lines.append(
                    "node \(node.rawValue) is too far behind in tablet \(tablet.id.rawValue) to be "
                        + "caught up: rebuild it")
            }
        }
        lines.append("")
        let versions = Set(report.nodes.map(\.version).filter { !$0.isEmpty }).sorted()
        lines.append("version " + versions.joined(separator: " and "))
        if let storage = report.storage {
            let writes = storage.writes == .normal ? "" : "; writes are \(storage.writes)"
            lines.append(
                "disk    \(storage.storeBytes >> 20) MiB of data, \(storage.logBytes >> 20) MiB of log, "
                    + "\(storage.freeBytes >> 20) of \(storage.totalBytes >> 20) MiB free\(writes)")
        }
        if let turns = report.turns {
            lines.append(
                "turns   99.9 % below \(turns.percentile(0.999)) µs, "
                    + "longest \(turns.longest) µs (\(turns.longestWork))")
        }
        return lines.joined(separator: "\n")
    }

    /// Such as `3d 4h`, with the two largest units.
    static func duration(_ seconds: UInt64) -> String {
        switch seconds {
        case ..<60: "\(seconds)s"
        case ..<3_600: "\(seconds / 60)m \(seconds % 60)s"
        case ..<86_400: "\(seconds / 3_600)h \(seconds / 60 % 60)m"
        default: "\(seconds / 86_400)d \(seconds / 3_600 % 24)h"
        }
    }

    /// How many committed entries each replica lacks, if the node that was asked knows.
    private static func lag(_ tablet: StatusReport.Tablet) -> String {
        tablet.lag.isEmpty
            ? "-" : tablet.lag.map { $0.map { "\($0)" } ?? "?" }.joined(separator: ",")
    }

    /// Whether a clock is good, and if not, who says so and how far it is off.
    private static func clock(_ clock: StatusReport.Clock) -> String {
        var text =
            switch clock.standing {
            case .confirmed, .alone: "good"
            case .doubted: "doubted"
            case .unheard: "unknown"
            }
        if !clock.doubtedBy.isEmpty {
            let doubters = clock.doubtedBy.map { "\($0.rawValue)" }.joined(separator: ",")
            text += ", not that of \(doubters)"
        }
        if let offset = clock.offset, clock.standing == .doubted || !clock.doubtedBy.isEmpty {
            let middle = offset.lowerBound / 2 + offset.upperBound / 2
            if middle != 0 { text += ", \(middle / 1_000) ms ahead" }
        }
        if clock.wait > 0 { text += ", waits for \(clock.wait / 1_000) ms" }
        return text
    }

    private static func column(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }
}
