import SteleBase

/// What happens to one member.
package enum ConfChangeType: UInt8, Sendable {
    /// Becomes a voter, from nothing or from a learner.
    case addVoter = 0
    /// Leaves the group.
    case remove = 1
    /// Nothing that consensus would know of.
    case update = 2
    /// Becomes a learner, from nothing or from a voter.
    case addLearner = 3
}

/// One change of one member.
package struct MemberChange: Hashable, Sendable {
    /// What happens.
    package var type: ConfChangeType
    /// To whom; a change of replica 0 is skipped.
    package var replica: ReplicaID

    package init(_ type: ConfChangeType, _ replica: ReplicaID) {
        self.type = type
        self.replica = replica
    }
}

/// How a change of several members takes place.
package enum ConfChangeTransition: UInt8, Sendable {
    /// Directly where that is safe, else through a joint configuration that is left by itself.
    case auto = 0
    /// Through a joint configuration that is left by itself.
    case jointImplicit = 1
    /// Through a joint configuration that lasts until an empty change is proposed.
    case jointExplicit = 2
}

/// A change of a group's membership, the payload of a configuration entry.
///
/// An empty change with the transition `auto` leaves a joint configuration.
package struct ConfChange: Hashable, Sendable {
    /// How to get there.
    package var transition: ConfChangeTransition
    /// What changes, applied in this order.
    package var changes: [MemberChange]
    /// Opaque bytes for the owner of the group.
    package var context: ArraySlice<UInt8>

    package init(
        _ changes: [MemberChange] = [], transition: ConfChangeTransition = .auto,
        context: ArraySlice<UInt8> = []
    ) {
        self.changes = changes
        self.transition = transition
        self.context = context
    }

    /// Whether the change ends a joint configuration.
    package var leavesJoint: Bool { transition == .auto && changes.isEmpty }

    /// Whether the joint configuration that the change needs is left by itself; nil if none is.
    package var jointAutoLeave: Bool? {
        guard transition != .auto || changes.count > 1 else { return nil }
        return transition != .jointExplicit
    }

    /// The change as an entry to propose; a bare request to leave has an empty payload.
    ///
    /// The older form carries exactly one change and no transition.
    package func entry(v1: Bool = false) -> Entry {
        if v1 {
            invariant(
                changes.count == 1 && transition == .auto,
                "a v1 change has one operation and no transition")
        }
        if leavesJoint, context.isEmpty { return Entry(type: .confChangeV2) }
        var writer = ByteWriter()
        writer.write(ConfChange.version)
        writer.write(transition.rawValue)
        writer.writeVarint(UInt64(changes.count))
        for change in changes {
            writer.write(change.type.rawValue)
            writer.writeVarint(change.replica.rawValue)
        }
        writer.writeBytes(context)
        return Entry(type: v1 ? .confChange : .confChangeV2, payload: writer.bytes[...])
    }

    /// Reads the payload of a configuration entry.
    package init(decoding entry: Entry) throws(DecodingError) {
        self.init()
        guard entry.type != .normal else {
            throw DecodingError("the entry holds no configuration change")
        }
        if entry.type == .confChangeV2, entry.payload.isEmpty { return }
        var reader = ByteReader(entry.payload)
        let version = try reader.read(UInt8.self)
        guard version == ConfChange.version else {
            throw DecodingError("version \(version) of a configuration change is not known")
        }
        let transition = try reader.read(UInt8.self)
        guard let transition = ConfChangeTransition(rawValue: transition) else {
            throw DecodingError("\(transition) is no transition of a configuration change")
        }
        self.transition = transition
        for _ in 0..<(try reader.readCount(ofAtLeast: 2)) {
            let code = try reader.read(UInt8.self)
            guard let type = ConfChangeType(rawValue: code) else {
                throw DecodingError("\(code) is no type of a configuration change")
            }
            changes.append(MemberChange(type, ReplicaID(try reader.readVarint())))
        }
        context = try reader.readBytes()
        try reader.expectEnd()
        guard entry.type == .confChangeV2 || (changes.count == 1 && transition == .auto) else {
            throw DecodingError("a v1 configuration change has exactly one operation")
        }
    }

    private static let version: UInt8 = 1
}
