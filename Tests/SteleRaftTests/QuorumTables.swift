import SteleBase
import Testing

@testable import SteleRaft

/// Tables of majority and joint decisions.
@Suite
struct QuorumTables {
    @Test(arguments: Script.own("quorum") + Script.shared("quorum"))
    func table(_ script: Script) throws { try script.run(decide) }

    private func decide(_ directive: Directive) throws -> String {
        func ids(_ key: String) -> [ReplicaID] {
            directive.values(key).compactMap { UInt64($0).map { ReplicaID($0) } }.sorted()
        }
        let quorum = JointQuorum(
            incoming: Quorum(ids("cfg")),
            outgoing: Quorum(directive.value("cfgj") == "zero" ? [] : ids("cfgj")))
        // Values are listed for the first configuration, then for those only in the second.
        let order =
            quorum.incoming.voters
            + quorum.outgoing.voters.filter { !quorum.incoming.contains($0) }
        func lookup(_ key: String) -> (ReplicaID) -> String? {
            let values = directive.values(key)
            return { id in
                guard let slot = order.firstIndex(of: id), slot < values.count else { return nil }
                return values[slot] == "_" ? nil : values[slot]
            }
        }
        switch directive.command {
        case "committed":
            let indices = lookup("idx")
            let acknowledged: (ReplicaID) -> LogIndex? = { indices($0).flatMap { UInt64($0) } }
            let index = quorum.committedIndex(acknowledged)
            #expect(
                index
                    == JointQuorum(incoming: quorum.outgoing, outgoing: quorum.incoming)
                    .committedIndex(acknowledged))
            return bars(quorum.ids, acknowledged) + (index == .max ? "∞" : String(index))
        case "vote":
            let votes = lookup("votes")
            switch quorum.voteResult({ votes($0).map { $0 == "y" } }) {
            case .pending: return "VotePending"
            case .lost: return "VoteLost"
            case .won: return "VoteWon"
            }
        default: return "unknown command \(directive.command)"
        }
    }

    /// A bar for each voter, as long as there are voters strictly below it.
    private func bars(
        _ ids: [ReplicaID], _ acknowledged: (ReplicaID) -> LogIndex?
    ) -> String {
        if ids.isEmpty { return "<empty majority quorum>" }
        let width = ids.count
        let sorted = ids.map { acknowledged($0) ?? 0 }.sorted()
        var text = String(repeating: " ", count: width) + "    idx\n"
        for id in ids {
            let index = acknowledged(id) ?? 0
            if acknowledged(id) == nil {
                text += "?" + String(repeating: " ", count: width)
            } else {
                let below = sorted.firstIndex(of: index) ?? 0
                text +=
                    String(repeating: "x", count: below) + ">"
                    + String(repeating: " ", count: width - below)
            }
            let digits = String(index)
            text += " " + String(repeating: " ", count: max(0, 5 - digits.count)) + digits
            text += "    (id=\(id.rawValue))\n"
        }
        return text
    }
}
