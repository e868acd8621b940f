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
        let report = try await target.withClient { try await $0.status() }
        printLine(json ? report.json : Self.table(report))
    }

    static func table(_ report: StatusReport) -> String {
        var lines = ["node  address                postgres               pid      live"]
        for node in report.nodes {
            lines.append(
                column("\(node.id.rawValue)", 6) + column(node.address, 23) + column(node.postgres, 23)
                    + column("\(node.pid)", 9) + (node.isLive ? "yes" : "no"))
        }
        lines.append("")
        lines.append("tablet  leader  replicas       range")
        for tablet in report.tablets {
            let replicas = tablet.replicas.map { "\($0.rawValue)" }.joined(separator: ",")
            lines.append(
                column("\(tablet.id.rawValue)", 8)
                    + column(tablet.leader == .none ? "none" : "\(tablet.leader.rawValue)", 8)
                    + column(replicas, 15) + KeyRange(start: tablet.start, end: tablet.end).description)
        }
        for tablet in report.tablets {
            for node in tablet.outrun {
                lines.append(
                    "node \(node.rawValue) is too far behind in tablet \(tablet.id.rawValue) to be "
                        + "caught up: rebuild it")
            }
        }
        if let turns = report.turns {
            lines.append("")
            lines.append(
                "turns   99.9 % below \(turns.percentile(0.999)) µs, "
                    + "longest \(turns.longest) µs (\(turns.longestWork))")
        }
        return lines.joined(separator: "\n")
    }

    private static func column(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }
}
