import SteleBase

@testable import SteleRaft

/// The text forms that scripts compare, in the words of etcd's raft.
enum Describe {
    static func ready(_ ready: Ready) -> String {
        if ready.isEmpty { return "<empty Ready>" }
        var text = "Ready MustSync=\(ready.mustSync):\n"
        if let state = ready.softState {
            text += "Lead:\(state.lead.rawValue) State:\(role(state.role))\n"
        }
        if let state = ready.hardState {
            text += "HardState Term:\(state.term)"
            if state.vote != .none { text += " Vote:\(state.vote.rawValue)" }
            text += " Commit:\(state.commit)\n"
        }
        if !ready.readStates.isEmpty {
            let states = ready.readStates.map { state in
                let context = state.context.map { String($0) }.joined(separator: " ")
                return "{\(state.index) [\(context)]}"
            }
            text += "ReadStates [\(states.joined(separator: " "))]\n"
        }
        if !ready.entries.isEmpty { text += "Entries:\n" + entries(ready.entries) }
        if let state = ready.snapshot { text += "Snapshot \(snapshot(state))\n" }
        if !ready.committedEntries.isEmpty {
            text += "CommittedEntries:\n" + entries(ready.committedEntries)
        }
        if !ready.messages.isEmpty {
            text += "Messages:\n"
            for sent in ready.messages { text += message(sent) + "\n" }
        }
        return text
    }

    static func message(_ message: Message, indent: String = "") -> String {
        var text =
            "\(indent)\(target(message.from))->\(target(message.to)) \(type(message.type))"
            + " Term:\(message.term) Log:\(message.logTerm)/\(message.index)"
        if message.reject { text += " Rejected (Hint: \(message.rejectHint))" }
        if message.commit != 0 { text += " Commit:\(message.commit)" }
        if message.vote != .none { text += " Vote:\(message.vote.rawValue)" }
        if message.entries.count == 1 {
            text += " Entries:[\(entry(message.entries[0]))]"
        } else if !message.entries.isEmpty {
            text += " Entries:["
            for sent in message.entries { text += "\n\(indent)  \(entry(sent))" }
            text += "\n\(indent)]"
        }
        if let sent = message.snapshot { text += "\n\(indent)  Snapshot: \(snapshot(sent))" }
        if !message.responses.isEmpty {
            text += " Responses:["
            for response in message.responses {
                text += "\n" + Describe.message(response, indent: indent + "  ")
            }
            text += "\n\(indent)]"
        }
        return text
    }

    static func entries(_ entries: [Entry]) -> String {
        entries.map { entry($0) + "\n" }.joined()
    }

    static func entry(_ entry: Entry) -> String {
        let head = "\(entry.term)/\(entry.index)"
        switch entry.type {
        case .normal: return "\(head) EntryNormal \(quoted(entry.payload))"
        case .confChange: return "\(head) EntryConfChange\(changes(entry))"
        case .confChangeV2: return "\(head) EntryConfChangeV2\(changes(entry))"
        }
    }

    private static func changes(_ entry: Entry) -> String {
        guard let change = try? ConfChange(decoding: entry) else { return " undecodable" }
        let words = change.changes.map { change in
            let letter =
                switch change.type {
                case .addVoter: "v"
                case .addLearner: "l"
                case .remove: "r"
                case .update: "u"
                }
            return letter + String(change.replica.rawValue)
        }
        return words.isEmpty ? "" : " " + words.joined(separator: " ")
    }

    static func snapshot(_ snapshot: Snapshot) -> String {
        func list(_ ids: [ReplicaID]) -> String {
            "[\(ids.map { String($0.rawValue) }.joined(separator: " "))]"
        }
        let state = snapshot.confState
        return "Index:\(snapshot.index) Term:\(snapshot.term) ConfState:"
            + "Voters:\(list(state.voters)) VotersOutgoing:\(list(state.votersOutgoing))"
            + " Learners:\(list(state.learners)) LearnersNext:\(list(state.learnersNext))"
            + " AutoLeave:\(state.autoLeave)"
    }

    static func role(_ role: Role) -> String {
        switch role {
        case .follower: "StateFollower"
        case .preCandidate: "StatePreCandidate"
        case .candidate: "StateCandidate"
        case .leader: "StateLeader"
        }
    }

    static func type(_ type: MessageType) -> String {
        switch type {
        case .hup: "MsgHup"
        case .beat: "MsgBeat"
        case .propose: "MsgProp"
        case .append: "MsgApp"
        case .appendResponse: "MsgAppResp"
        case .vote: "MsgVote"
        case .voteResponse: "MsgVoteResp"
        case .snapshot: "MsgSnap"
        case .heartbeat: "MsgHeartbeat"
        case .heartbeatResponse: "MsgHeartbeatResp"
        case .unreachable: "MsgUnreachable"
        case .snapshotStatus: "MsgSnapStatus"
        case .checkQuorum: "MsgCheckQuorum"
        case .transferLeader: "MsgTransferLeader"
        case .timeoutNow: "MsgTimeoutNow"
        case .readIndex: "MsgReadIndex"
        case .readIndexResponse: "MsgReadIndexResp"
        case .preVote: "MsgPreVote"
        case .preVoteResponse: "MsgPreVoteResp"
        case .storageAppend: "MsgStorageAppend"
        case .storageAppendResponse: "MsgStorageAppendResp"
        case .storageApply: "MsgStorageApply"
        case .storageApplyResponse: "MsgStorageApplyResp"
        case .forgetLeader: "MsgForgetLeader"
        }
    }

    private static func target(_ id: ReplicaID) -> String {
        switch id {
        case .none: "None"
        case .appendThread: "AppendThread"
        case .applyThread: "ApplyThread"
        default: String(id.rawValue, radix: 16)
        }
    }

    private static func quoted(_ bytes: ArraySlice<UInt8>) -> String {
        var text = "\""
        for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\t": text += "\\t"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + "\""
    }
}
