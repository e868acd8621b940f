import SteleBase

@testable import SteleRaft

/// Network, disks and state machines.
extension SimulatedGroup {
    // MARK: Network

    func transmit(_ message: Message) throws {
        try checkPromise(message)
        transmissions += 1
        let (from, to) = (Int(message.from.rawValue) - 1, Int(message.to.rawValue) - 1)
        guard members.indices.contains(to) else { return }
        guard isFaulty else { return post(message, to: to, after: Int(random.uniform(1...20))) }
        if cut[from] & (1 << UInt64(to)) != 0 || happens(swarm.loss) {
            reportSnapshot(message, ok: false)
            return
        }
        for _ in 0..<(happens(swarm.duplication) ? 2 : 1) {
            let limit: UInt64 = happens(swarm.slowness) ? 3_000 : 20
            post(message, to: to, after: Int(random.uniform(1...limit)))
        }
        if happens(swarm.staleness) {
            post(message, to: to, after: Int(random.uniform(5_000...UInt64(Swarm.minute))))
        }
    }

    private func post(_ message: Message, to slot: Int, after delay: Int) {
        let packet: Int
        if let free = freePackets.popLast() {
            packet = free
            packets[packet] = message
        } else {
            packet = packets.count
            packets.append(message)
        }
        events.add(.packet, at: now + delay, member: slot, detail: packet)
    }

    func deliver(_ packet: Int) {
        var message = packets[packet]
        packets[packet] = Message(type: .beat)
        freePackets.append(packet)
        if swarm.encodes {
            var writer = ByteWriter()
            message.encode(into: &writer)
            var reader = ByteReader(writer.bytes)
            guard let read = try? Message(from: &reader), reader.isAtEnd, read == message else {
                invariantFailed("\(message) does not come back from its wire format")
            }
            message = read
        }
        note(UInt64(message.type.rawValue) | message.from.rawValue << 8 | message.to.rawValue << 16)
        note(UInt64(now) ^ message.term << 32 ^ message.index << 40)
        note(message.commit << 32 | UInt64(message.entries.count) << 1 | (message.reject ? 1 : 0))
        let receiver = members[Int(message.to.rawValue) - 1].group
        try? receiver?.step(message)
        reportSnapshot(message, ok: receiver != nil)
    }

    /// What became of a snapshot is for the sender's transport to find out.
    private func reportSnapshot(_ message: Message, ok: Bool) {
        guard message.type == .snapshot else { return }
        members[Int(message.from.rawValue) - 1].group?.reportSnapshot(message.to, ok: ok)
    }

    // MARK: What a replica wants done

    func takeReady(_ slot: Int) throws {
        let member = members[slot]
        guard let group = member.group else { return }
        group.ready(into: &member.ready)
        for answer in member.ready.readStates { try checkRead(answer) }
        try checkProposedChanges(member.ready.entries, of: group)
        if !swarm.asyncStorageWrites {
            // Everything in it waits for the disk, then happens at once.
            member.openReady = member.ready
            events.add(.disk, at: now + diskDelay(member), member: slot, detail: member.life)
            return
        }
        for message in member.ready.messages {
            switch message.to {
            case .appendThread:
                member.appendWork.append(message)
                if member.appendWork.count == 1 {
                    events.add(
                        .disk, at: now + diskDelay(member), member: slot, detail: member.life)
                }
            case .applyThread:
                member.applyWork.append(message)
                if member.applyWork.count == 1 {
                    events.add(
                        .apply, at: now + applyDelay(member), member: slot, detail: member.life)
                }
            default: try transmit(message)
            }
        }
    }

    private func diskDelay(_ member: SimulatedMember) -> Int {
        Int(random.below(member.slowDiskUntil > now ? 3_000 : 10))
    }

    private func applyDelay(_ member: SimulatedMember) -> Int {
        member.slowApplyUntil > now ? member.slowApplyUntil - now : Int(random.below(10))
    }

    // MARK: Disk

    func workOnDisk(_ slot: Int) throws {
        let member = members[slot]
        if let ready = member.openReady {
            member.openReady = nil
            try persist(ready.hardState, ready.entries, ready.snapshot, at: member)
            for message in ready.messages { try transmit(message) }
            for entry in ready.committedEntries { try apply(entry, at: member) }
            member.group?.advance(ready)
            return
        }
        guard !member.appendWork.isEmpty else { return }
        let message = member.appendWork.removeFirst()
        try persist(message, at: member)
        for response in message.responses { try respond(response, at: member) }
        if !member.appendWork.isEmpty {
            events.add(.disk, at: now + diskDelay(member), member: slot, detail: member.life)
        }
    }

    private func respond(_ response: Message, at member: SimulatedMember) throws {
        if response.to == member.id {
            try? member.group?.step(response)
        } else {
            try transmit(response)
        }
    }

    /// What a crashed process had asked its disk for may be there, or a beginning of it.
    func persistSome(of member: SimulatedMember) throws {
        if let ready = member.openReady, random.oneIn(2) {
            try persist(ready.hardState, ready.entries, ready.snapshot, at: member)
        }
        for message in member.appendWork {
            guard random.oneIn(2) else { return }
            try persist(message, at: member)
        }
    }

    private func persist(_ message: Message, at member: SimulatedMember) throws {
        let state = HardState(term: message.term, vote: message.vote, commit: message.commit)
        try persist(
            message.term > 0 ? state : nil, message.entries, message.snapshot, at: member)
    }

    private func persist(
        _ hardState: HardState?, _ entries: [Entry], _ snapshot: Snapshot?,
        at member: SimulatedMember
    ) throws {
        if let hardState { member.storage.set(hardState) }
        if let snapshot {
            try checkSnapshot(snapshot)
            member.storage.restore(snapshot)
            var reader = ByteReader(snapshot.data)
            member.state = SimulatedMember.State(
                index: snapshot.index, term: snapshot.term,
                hash: (try? reader.read(UInt64.self)) ?? 0, confState: snapshot.confState)
            member.durableState = member.state
            member.checksMembership = true
        }
        guard let first = entries.first else { return }
        try checkEntries(entries, after: (try? member.storage.term(at: first.index - 1)) ?? 0)
        member.storage.append(entries)
    }

    // MARK: State machine

    func workOnStateMachine(_ slot: Int) throws {
        let member = members[slot]
        guard !member.applyWork.isEmpty else { return }
        let message = member.applyWork.removeFirst()
        for entry in message.entries { try apply(entry, at: member) }
        for response in message.responses { try respond(response, at: member) }
        if !member.applyWork.isEmpty {
            events.add(.apply, at: now + applyDelay(member), member: slot, detail: member.life)
        }
    }

    private func apply(_ entry: Entry, at member: SimulatedMember) throws {
        // A snapshot may have overtaken entries that were on their way to the state machine.
        guard entry.index > member.state.index else { return }
        try verify(entry.index == member.state.index + 1, "an entry was left out")
        member.state.index = entry.index
        member.state.term = entry.term
        member.state.hash = (member.state.hash ^ hash(entry.payload)) &* 0x100_0000_01B3
        if entry.type != .normal, let change = try? ConfChange(decoding: entry),
            let group = member.group
        {
            let before = group.membership
            member.state.confState = group.applyConfChange(change, at: entry.index)
            member.checksMembership = true
            if group.membership != before {
                membershipChanged(Int(member.id.rawValue) - 1, from: before)
            }
        }
        try checkApplied(entry, at: member)
    }

    /// Proposals hold a number, so that this is quick; membership changes are short.
    func hash(_ payload: ArraySlice<UInt8>) -> UInt64 {
        var hash: UInt64 = UInt64(payload.count)
        for byte in payload { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash
    }
}
