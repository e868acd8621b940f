import SteleBase

@testable import SteleRaft

/// Replicas of one group and the network between them, driven by the directives of a script.
final class InteractionEnvironment {
    struct Failure: Error, CustomStringConvertible {
        let description: String

        init(_ description: String) { self.description = description }
    }

    final class Node {
        let group: RaftGroup
        let storage: MemoryStorage
        var appendWork: [Message] = []
        var applyWork: [Message] = []
        /// The state machine at every index applied so far.
        var history: [Snapshot]

        init(group: RaftGroup, storage: MemoryStorage, snapshot: Snapshot) {
            self.group = group
            self.storage = storage
            history = [snapshot]
        }
    }

    private(set) var nodes: [Node] = []
    private var inFlight: [Message] = []
    private var output = ""
    private var isQuiet = false

    func handle(_ directive: Directive) -> String {
        output = ""
        do {
            try run(directive)
        } catch {
            if isQuiet { return "\(error)" }
            output += "\(error)"
        }
        return isQuiet || output.isEmpty ? "ok" : output
    }

    private func run(_ directive: Directive) throws {
        switch directive.command {
        case "add-nodes": try addNodes(directive)
        case "campaign": try node(directive).group.campaign()
        case "compact": try compact(directive)
        case "deliver-msgs": try deliver(directive)
        case "forget-leader": try node(directive).group.forgetLeader()
        case "log-level": try setLevel(directive.words.first ?? "")
        case "process-append-thread":
            try each(directive, "processing append thread") { try processAppendThread($0) }
        case "process-apply-thread":
            try each(directive, "processing apply thread") { try processApplyThread($0) }
        case "process-ready": try each(directive, "handling Ready") { try processReady($0) }
        case "propose":
            guard directive.words.count == 2 else { throw Failure("propose needs id and data") }
            try node(directive).group.propose([Array(directive.words[1].utf8)[...]])
        case "propose-conf-change": try proposeConfChange(directive)
        case "raft-log": printLog(try node(directive))
        case "raft-state": printStates()
        case "report-unreachable":
            let peer = try node(directive, at: 1).group.id
            try node(directive).group.reportUnreachable(peer)
        case "send-snapshot": try sendSnapshot(directive)
        case "set-randomized-election-timeout":
            guard let ticks = directive.value("timeout").flatMap({ Int($0) }) else {
                throw Failure("timeout= is missing")
            }
            try node(directive).group.fixElectionTimeout(ticks)
        case "stabilize": try stabilize(directive)
        case "status":
            for progress in try node(directive).group.progress {
                output += "\(progress.id.rawValue): \(progress)\n"
            }
        case "tick-election":
            let group = try node(directive).group
            for _ in 0..<group.configuration.electionTicks { group.tick() }
        case "tick-heartbeat":
            let group = try node(directive).group
            for _ in 0..<group.configuration.heartbeatTicks { group.tick() }
        case "transfer-leadership":
            guard let from = directive.value("from").flatMap({ Int($0) }),
                let to = directive.value("to").flatMap({ UInt64($0) })
            else { throw Failure("from= and to= are needed") }
            try node(number: from).group.transferLeader(to: ReplicaID(to))
        default: throw Failure("unknown command")
        }
    }

    private func setLevel(_ name: String) throws {
        let levels = ["debug", "info", "warn", "error", "fatal", "none"]
        guard levels.contains(name.lowercased()) else {
            let known = levels.map { $0.uppercased() }.joined(separator: " ")
            throw Failure("log levels must be either of [\(known)]")
        }
        isQuiet = name.lowercased() == "none"
    }

    // MARK: Nodes

    private func node(_ directive: Directive, at position: Int = 0) throws -> Node {
        guard position < directive.words.count, let number = Int(directive.words[position]) else {
            throw Failure("\(directive.text): a node's number is missing")
        }
        return try node(number: number)
    }

    private func node(number: Int) throws -> Node {
        guard nodes.indices.contains(number - 1) else {
            throw Failure("there is no node \(number)")
        }
        return nodes[number - 1]
    }

    private func selected(_ directive: Directive) throws -> [Node] {
        try directive.words.map { word in
            guard let number = Int(word) else { throw Failure("\(word) is no node's number") }
            return try node(number: number)
        }
    }

    private func each(
        _ directive: Directive, _ title: String, _ body: (Node) throws -> Void
    ) throws {
        let nodes = try selected(directive)
        if nodes.count == 1 { return try body(nodes[0]) }
        for node in nodes { try titled(node, title) { try body(node) } }
    }

    private func titled(_ node: Node, _ title: String, _ body: () throws -> Void) rethrows {
        output += "> \(node.group.id.rawValue) \(title)\n"
        try indented(body)
    }

    private func indented(_ body: () throws -> Void) rethrows {
        let before = output
        output = ""
        defer {
            let inner = output.split(separator: "\n", omittingEmptySubsequences: true)
            output = before + inner.map { "  \($0)\n" }.joined()
        }
        try body()
    }

    private func addNodes(_ directive: Directive) throws {
        guard let count = directive.words.first.flatMap({ Int($0) }) else {
            throw Failure("how many nodes?")
        }
        func ids(_ key: String) -> [ReplicaID] {
            directive.values(key).compactMap { UInt64($0).map { ReplicaID($0) } }.sorted()
        }
        var configuration = RaftConfiguration(
            id: ReplicaID(1), electionTicks: 3, maxInflightMessages: Int(Int32.max))
        var snapshot = Snapshot(
            confState: ConfState(voters: ids("voters"), learners: ids("learners")))
        for argument in directive.arguments.dropFirst() {
            guard let value = argument.values.first else { continue }
            switch argument.key {
            case "voters", "learners": break
            case "index":
                snapshot.index = UInt64(value) ?? 0
                configuration.applied = snapshot.index
            case "content": snapshot.data = Array(value.utf8)[...]
            case "inflight":
                guard let count = Int(value), count > 0 else {
                    throw Failure("max inflight messages must be greater than 0")
                }
                configuration.maxInflightMessages = count
            case "prevote": configuration.preVote = isTrue(value)
            case "checkquorum": configuration.checkQuorum = isTrue(value)
            case "async-storage-writes": configuration.asyncStorageWrites = isTrue(value)
            case "max-committed-size-per-ready":
                // 0 is no limit, as the limit of messages then counts, of which there is none.
                configuration.maxCommittedBytesPerReady = Int(value).flatMap { $0 > 0 ? $0 : nil } ?? .max
            case "disable-conf-change-validation":
                configuration.disableConfChangeValidation = isTrue(value)
            case "read-only":
                configuration.readOnlyOption = value == "safe" ? .safe : .leaseBased
            case "step-down-on-removal": configuration.stepDownOnRemoval = isTrue(value)
            default: throw Failure("unknown option \(argument.key)")
            }
        }
        let isBootstrap = snapshot != Snapshot()
        guard !isBootstrap || snapshot.index > 1 else {
            throw Failure("index must be specified as > 1 due to bootstrap")
        }
        guard configuration.readOnlyOption == .safe || configuration.checkQuorum else {
            throw Failure("CheckQuorum must be enabled when ReadOnlyOption is ReadOnlyLeaseBased")
        }
        for _ in 0..<count {
            let storage = MemoryStorage()
            if isBootstrap {
                snapshot.term = 1
                storage.restore(snapshot)
            }
            configuration.id = ReplicaID(UInt64(nodes.count + 1))
            configuration.seed = configuration.id.rawValue
            let group = RaftGroup(configuration, storage: storage)
            nodes.append(Node(group: group, storage: storage, snapshot: snapshot))
        }
    }

    // MARK: Work

    private func processReady(_ node: Node) throws {
        let ready = node.group.ready()
        output += Describe.ready(ready)
        let isAsync = node.group.configuration.asyncStorageWrites
        if !isAsync {
            append(node, ready.hardState, ready.entries, ready.snapshot)
            try apply(node, ready.committedEntries)
        }
        for message in ready.messages {
            switch message.to {
            case .appendThread: node.appendWork.append(message)
            case .applyThread: node.applyWork.append(message)
            default: inFlight.append(message)
            }
        }
        if !isAsync { node.group.advance(ready) }
    }

    private func append(
        _ node: Node, _ hardState: HardState?, _ entries: [Entry], _ snapshot: Snapshot?
    ) {
        if let hardState { node.storage.set(hardState) }
        if let snapshot {
            node.storage.restore(snapshot)
            node.history.append(snapshot)
        }
        node.storage.append(entries)
    }

    private func apply(_ node: Node, _ entries: [Entry]) throws {
        for entry in entries {
            var state = node.history.last ?? Snapshot()
            if entry.type == .normal {
                state.data += entry.payload
            } else {
                let change = try ConfChange(decoding: entry)
                state.data += change.context
                state.confState = node.group.applyConfChange(change)
            }
            state.index = entry.index
            state.term = entry.term
            node.history.append(state)
            node.storage.latestSnapshot = state
        }
    }

    private func processAppendThread(_ node: Node) throws {
        guard !node.appendWork.isEmpty else {
            output += "no append work to perform"
            return
        }
        let message = node.appendWork.removeFirst()
        show(message)
        let state = HardState(term: message.term, vote: message.vote, commit: message.commit)
        append(node, state == .empty ? nil : state, message.entries, message.snapshot)
        respond(message)
    }

    private func processApplyThread(_ node: Node) throws {
        guard !node.applyWork.isEmpty else {
            output += "no apply work to perform"
            return
        }
        let message = node.applyWork.removeFirst()
        show(message)
        try apply(node, message.entries)
        respond(message)
    }

    private func show(_ message: Message) {
        var request = message
        request.responses = []
        output += "Processing:\n\(Describe.message(request))\n"
    }

    private func respond(_ message: Message) {
        output += "Responses:\n"
        for response in message.responses { output += Describe.message(response) + "\n" }
        inFlight += message.responses
    }

    private func stabilize(_ directive: Directive) throws {
        let wasQuiet = isQuiet
        defer { isQuiet = wasQuiet }
        let before = output
        if let level = directive.value("log-level") { try setLevel(level) }
        let nodes = directive.words.isEmpty ? self.nodes : try selected(directive)
        while try stabilizeOnce(nodes) {}
        if isQuiet { output = before }
    }

    private func stabilizeOnce(_ nodes: [Node]) throws -> Bool {
        var didSomething = false
        for node in nodes where node.group.hasReady {
            didSomething = true
            try titled(node, "handling Ready") { try processReady(node) }
        }
        for node in nodes where inFlight.contains(where: { $0.to == node.group.id }) {
            didSomething = true
            titled(node, "receiving messages") { _ = deliver(to: node.group.id) }
        }
        for node in nodes where !node.appendWork.isEmpty {
            didSomething = true
            output += "> \(node.group.id.rawValue) processing append thread\n"
            while !node.appendWork.isEmpty { try indented { try processAppendThread(node) } }
        }
        for node in nodes where !node.applyWork.isEmpty {
            didSomething = true
            output += "> \(node.group.id.rawValue) processing apply thread\n"
            while !node.applyWork.isEmpty { try indented { try processApplyThread(node) } }
        }
        return didSomething
    }

    // MARK: Network

    private func deliver(_ directive: Directive) throws {
        var type: MessageType?
        if let name = directive.value("type") {
            type = MessageType.allCases.first { Describe.type($0) == name }
            if type == nil { throw Failure("unknown message type \(name)") }
        }
        var count = 0
        for argument in directive.arguments where argument.key != "type" {
            let isDrop = argument.key == "drop"
            for word in isDrop ? argument.values : [argument.key] {
                guard let id = UInt64(word) else { throw Failure("\(word) is no node's number") }
                count += deliver(to: ReplicaID(id), type: type, drop: isDrop)
            }
        }
        if count == 0 { output += "no messages\n" }
    }

    private func deliver(to id: ReplicaID, type: MessageType? = nil, drop: Bool = false) -> Int {
        var delivered: [Message] = []
        inFlight.removeAll { message in
            // What a node tells itself does not cross the network, so it cannot be dropped.
            let isLocal = message.from == message.to || message.from.isLocalTarget
            guard message.to == id, !(drop && isLocal), type == nil || type == message.type else {
                return false
            }
            delivered.append(message)
            return true
        }
        for message in delivered {
            output += (drop ? "dropped: " : "") + Describe.message(message) + "\n"
            if drop { continue }
            guard let node = try? node(number: Int(id.rawValue)) else { continue }
            do { try node.group.step(message) } catch { output += "\(error)\n" }
        }
        return delivered.count
    }

    private func sendSnapshot(_ directive: Directive) throws {
        let (from, to) = (try node(directive), try node(directive, at: 1))
        let message = Message(
            type: .snapshot, from: from.group.id, to: to.group.id, term: from.group.term,
            snapshot: from.history.last)
        inFlight.append(message)
        output += Describe.message(message)
    }

    private func proposeConfChange(_ directive: Directive) throws {
        var transition = ConfChangeTransition.auto
        switch directive.value("transition") {
        case nil, "auto"?: break
        case "implicit"?: transition = .jointImplicit
        case "explicit"?: transition = .jointExplicit
        case let other?: throw Failure("unknown transition \(other)")
        }
        let change = ConfChange(try memberChanges(directive.input), transition: transition)
        let isV1 = isTrue(directive.value("v1") ?? "false")
        guard !isV1 || (change.changes.count == 1 && transition == .auto) else {
            throw Failure("v1 conf change can only have one operation and no transition")
        }
        try node(directive).group.proposeConfChange(change, v1: isV1)
    }

    // MARK: Inspection

    private func compact(_ directive: Directive) throws {
        guard directive.words.count == 2, let index = UInt64(directive.words[1]) else {
            throw Failure("compact needs id and index")
        }
        let node = try node(directive)
        guard node.storage.compact(through: index) else {
            throw Failure("requested index is unavailable due to compaction")
        }
        printLog(node)
    }

    private func printLog(_ node: Node) {
        let (first, last) = (node.storage.firstIndex, node.storage.lastIndex)
        if last < first {
            output += "log is empty: first index=\(first), last index=\(last)"
            return
        }
        let entries = try? node.storage.entries(from: first, upTo: last + 1, maxBytes: .max)
        output += Describe.entries(entries ?? [])
    }

    private func printStates() {
        for node in nodes {
            let group = node.group
            let isVoter = group.membership.voters.contains(group.id)
            output +=
                "\(group.id.rawValue): \(Describe.role(group.role))"
                + " (\(isVoter ? "Voter" : "Non-Voter")) Term:\(group.term)"
                + " Lead:\(group.lead.rawValue)\n"
        }
    }
}

/// What the language of the scripts takes for true.
func isTrue(_ word: String) -> Bool { ["1", "t", "T", "true", "TRUE", "True"].contains(word) }

/// `v1 l2 r3 u4`
func memberChanges(_ text: String) throws -> [MemberChange] {
    try text.split(whereSeparator: \.isWhitespace).map { word in
        guard let id = UInt64(word.dropFirst()) else {
            throw InteractionEnvironment.Failure("unknown input: \(word)")
        }
        switch word.first {
        case "v": return MemberChange(.addVoter, ReplicaID(id))
        case "l": return MemberChange(.addLearner, ReplicaID(id))
        case "r": return MemberChange(.remove, ReplicaID(id))
        case "u": return MemberChange(.update, ReplicaID(id))
        default: throw InteractionEnvironment.Failure("unknown input: \(word)")
        }
    }
}
