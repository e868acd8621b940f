import SteleBase

/// The wire format of messages between replicas.
///
/// A version byte, a type byte, a byte of flags that say which optional parts follow, then
/// variable-length integers. Everything is checked against the end of the input; payloads come out
/// as slices of it. Local messages have no encoding, so they cannot be injected from outside.
extension Message {
    private static let version: UInt8 = 1

    private struct Parts: OptionSet {
        let rawValue: UInt8
        static let reject = Parts(rawValue: 1)
        static let log = Parts(rawValue: 2)
        static let entries = Parts(rawValue: 4)
        static let snapshot = Parts(rawValue: 8)
        static let context = Parts(rawValue: 16)
        static let bound = Parts(rawValue: 32)
        static let all = Parts(rawValue: 63)
    }

    /// Appends the message; it must not be a local one.
    package func encode(into writer: inout ByteWriter) {
        invariant(!type.isLocal, "a local message must not leave the node")
        var parts: Parts = []
        if reject { parts.insert(.reject) }
        if logTerm != 0 || index != 0 { parts.insert(.log) }
        if !entries.isEmpty { parts.insert(.entries) }
        if snapshot != nil { parts.insert(.snapshot) }
        if !context.isEmpty { parts.insert(.context) }
        if bound != 0 { parts.insert(.bound) }
        writer.write(Message.version)
        writer.write(type.rawValue)
        writer.write(parts.rawValue)
        writer.writeVarint(from.rawValue)
        writer.writeVarint(to.rawValue)
        writer.writeVarint(term)
        writer.writeVarint(commit)
        if reject { writer.writeVarint(rejectHint) }
        if parts.contains(.log) {
            writer.writeVarint(logTerm)
            writer.writeVarint(index)
        }
        if !entries.isEmpty {
            writer.writeVarint(UInt64(entries.count))
            for entry in entries { entry.encode(into: &writer) }
        }
        if let snapshot { snapshot.encode(into: &writer) }
        if !context.isEmpty { writer.writeBytes(context) }
        if bound != 0 { writer.writeVarint(bound) }
    }

    /// Reads one message that `encode(into:)` wrote.
    package init(from reader: inout ByteReader) throws(DecodingError) {
        let version = try reader.read(UInt8.self)
        guard version == Message.version else {
            throw DecodingError("version \(version) of a raft message is not known")
        }
        let code = try reader.read(UInt8.self)
        guard let type = MessageType(rawValue: code), !type.isLocal else {
            throw DecodingError("\(code) is no type of a raft message")
        }
        let flags = try reader.read(UInt8.self)
        let parts = Parts(rawValue: flags)
        guard parts.isSubset(of: .all) else {
            throw DecodingError("flags \(flags) of a raft message are not known")
        }
        self.init(type: type)
        from = ReplicaID(try reader.readVarint())
        to = ReplicaID(try reader.readVarint())
        guard !from.isLocalTarget, !to.isLocalTarget else {
            throw DecodingError("a raft message names a local target")
        }
        term = try reader.readVarint()
        commit = try reader.readVarint()
        reject = parts.contains(.reject)
        if reject { rejectHint = try reader.readVarint() }
        if parts.contains(.log) {
            logTerm = try reader.readVarint()
            index = try reader.readVarint()
        }
        if parts.contains(.entries) {
            let count = try reader.readCount(ofAtLeast: Entry.minimumSize)
            entries.reserveCapacity(count)
            for _ in 0..<count { entries.append(try Entry(from: &reader)) }
        }
        if parts.contains(.snapshot) { snapshot = try Snapshot(from: &reader) }
        if parts.contains(.context) { context = try reader.readBytes() }
        if parts.contains(.bound) { bound = try reader.readVarint() }
    }
}

extension Entry {
    /// Type, term, index and the length of the payload, a byte each at least.
    static let minimumSize = 4

    /// Appends the entry.
    package func encode(into writer: inout ByteWriter) {
        writer.write(type.rawValue)
        writer.writeVarint(term)
        writer.writeVarint(index)
        writer.writeBytes(payload)
    }

    /// Reads one entry that `encode(into:)` wrote; the payload stays a slice of the input.
    package init(from reader: inout ByteReader) throws(DecodingError) {
        let code = try reader.read(UInt8.self)
        guard let type = EntryType(rawValue: code) else {
            throw DecodingError("\(code) is no type of a log entry")
        }
        self.type = type
        term = try reader.readVarint()
        index = try reader.readVarint()
        payload = try reader.readBytes()
    }
}

extension Snapshot {
    /// Appends the snapshot.
    package func encode(into writer: inout ByteWriter) {
        writer.writeVarint(index)
        writer.writeVarint(term)
        confState.encode(into: &writer)
        writer.writeBytes(data)
    }

    /// Reads one snapshot that `encode(into:)` wrote; the data stays a slice of the input.
    package init(from reader: inout ByteReader) throws(DecodingError) {
        index = try reader.readVarint()
        term = try reader.readVarint()
        confState = try ConfState(from: &reader)
        data = try reader.readBytes()
    }
}

extension ConfState {
    /// Appends the membership.
    package func encode(into writer: inout ByteWriter) {
        for list in [voters, votersOutgoing, learners, learnersNext] {
            writer.writeVarint(UInt64(list.count))
            for id in list { writer.writeVarint(id.rawValue) }
        }
        writer.write(autoLeave)
    }

    /// Reads a membership that `encode(into:)` wrote.
    package init(from reader: inout ByteReader) throws(DecodingError) {
        func list() throws(DecodingError) -> [ReplicaID] {
            let count = try reader.readCount()
            var ids: [ReplicaID] = []
            ids.reserveCapacity(count)
            for _ in 0..<count {
                let id = ReplicaID(try reader.readVarint())
                guard id != .none, !id.isLocalTarget, ids.last.map({ $0 < id }) ?? true else {
                    throw DecodingError("the members of a group are not in ascending order")
                }
                ids.append(id)
            }
            return ids
        }
        voters = try list()
        votersOutgoing = try list()
        learners = try list()
        learnersNext = try list()
        autoLeave = try reader.readBool()
    }
}
