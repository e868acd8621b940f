import SteleBase
import SteleClock
import SteleEngine
import SteleRaft

/// The parts of a command that are in the log, on every replica.
struct CommandParts {
    let transaction: TransactionID
    /// The term in which they were proposed.
    let term: Term
    /// Mutation lists without timestamps.
    var lists: [ArraySlice<UInt8>]
}

/// How far a leader has come with putting a commit into the log in parts.
///
/// By reference: it is what its commit holds that tells the tablet's apart from another one.
final class CommandUpload {
    /// Writes and parts that were proposed.
    var writes = 0
    var parts = 0
    /// Bytes that were proposed and are not applied yet.
    var pendingBytes = 0
    /// Its commit has ended without a command; the parts are to be dropped.
    var isAbandoned = false

    init() {}
}

/// How the writes of a very large commit get into the log: in parts, in front of its command.
///
/// As one entry they would hold up all that is proposed behind them, for as long as they travel and
/// are synced. So the leader proposes a small part after the other, without timestamps, and others'
/// commands come in between. That decides nothing: replicas keep the parts and do not apply them.
/// Once all are in the log the commit is evaluated as any other is. Its command is small; it says
/// when the parts were written, and is then applied as any large entry is.
///
/// Invariants:
/// - A log has parts of one commit at a time: the leader proposes others once the command is applied,
///   or an entry that drops them. The first entry of the next term drops them too, since the leader of
///   theirs proposes nothing behind it.
/// - As long as parts are kept, the applied index stays before the first of them, so that they are
///   read from the log again after a restart. Only commands that may be applied again are proposed
///   between the first part and what ends them.
extension Tablet {
    /// A commit of more bytes than this gets into the log in parts.
    private static let uploadedBytes = 512 << 10
    /// One part of it.
    private static let uploadPartBytes = 64 << 10
    /// What of it may be proposed and not applied.
    private static let uploadWindow = 1 << 20

    // MARK: The leader

    func isUploaded(_ commit: TabletRequest.CommitRequest) -> Bool {
        commit.sizeHint > Self.uploadedBytes || faultPoint("tablet: a commit is proposed in parts")
    }

    /// Proposes the next parts of a commit; nil when all of them are applied.
    func upload(
        _ commit: TabletRequest.CommitRequest, of transaction: TransactionID,
        _ progress: CommitProgress
    ) -> Outcome? {
        if progress.upload == nil {
            guard upload == nil else { return .wait(.upload) }
            upload = CommandUpload()
            progress.upload = upload
        }
        guard let upload = progress.upload else { return .wait(.upload) }
        var isFirst = true
        while upload.writes < commit.writes.count {
            if upload.pendingBytes > Self.uploadWindow { return .wait(.upload) }
            if !isFirst, work.isLongWorkOver { return .wait(.turn) }
            isFirst = false
            let (payload, count) = part(of: commit, transaction, from: upload)
            work.add(count, at: TurnWork.Cost.writtenKey)
            work.copied(bytes: payload.count)
            countInFlight()
            guard nodeInFlight.hasRoom(for: payload.count), (try? group.propose([payload])) != nil
            else {
                if upload.pendingBytes > 0 { return .wait(.upload) }
                releaseLocksTaken(by: commit, transaction)
                let excess = LimitExceeded(
                    .logInFlightBytes, count: nodeInFlight.total + payload.count,
                    allowed: nodeInFlight.limit)
                return .reply(.failed(.init(.overloaded, excess.description)), servedAt: nil)
            }
            countInFlight()
            upload.parts += 1
            upload.writes += count
            upload.pendingBytes += payload.count
        }
        if upload.pendingBytes > 0 { return .wait(.upload) }
        mark("tablet: all parts of a command are in the log")
        return nil
    }

    private func part(
        of commit: TabletRequest.CommitRequest, _ transaction: TransactionID,
        from upload: CommandUpload
    ) -> (payload: ArraySlice<UInt8>, count: Int) {
        var header = ByteWriter(reserving: Self.uploadPartBytes + 1_024)
        TabletCommand.writeHeader(
            upload.parts == 0 ? .firstPart : .part, generation: descriptor.generation,
            transaction: transaction, timestamp: .zero, into: &header)
        header.write(MutationList.version)
        var mutations = MutationList(appendingTo: header.bytes)
        header.bytes = []
        var limit = Self.uploadPartBytes
        if faultPoint("tablet: a small part of a command") { limit = 0 }
        var next = upload.writes
        repeat {
            let write = commit.writes[next]
            if let value = write.value {
                mutations.put(write.key, value, at: .zero, by: transaction)
            } else {
                mutations.delete(write.key, at: .zero, by: transaction)
            }
            next += 1
        } while next < commit.writes.count && mutations.byteCount < limit
        return (mutations.takeBytes()[...], next - upload.writes)
    }

    /// The command of a commit whose parts are in the log.
    func assembly(of transaction: TransactionID, at timestamp: Timestamp) -> ArraySlice<UInt8> {
        var count = ByteWriter(reserving: 4)
        count.write(UInt32(upload?.parts ?? 0))
        return TabletCommand(
            kind: .assemble, generation: descriptor.generation, transaction: transaction,
            timestamp: timestamp, mutations: count.bytes[...]
        ).payload
    }

    /// The commit of a request has ended, or waits for long: its parts are in the way.
    func abandonUpload(of waiter: WaitingRequest) {
        guard let own = waiter.progress?.upload else { return }
        waiter.progress?.upload = nil
        guard own === upload else { return }
        mark("tablet: parts of a command are in vain")
        own.isAbandoned = true
        dropAbandonedParts()
    }

    /// Has parts dropped that are in vain, as soon as anything can be proposed.
    func dropAbandonedParts() {
        guard let upload, upload.isAbandoned, group.isLeader else { return }
        if upload.parts == 0 { return endUpload() }
        let command = TabletCommand(
            kind: .dropParts, generation: descriptor.generation, timestamp: .zero)
        if (try? group.propose([command.payload])) != nil { upload.isAbandoned = false }
    }

    private func endUpload() {
        upload = nil
        awakened += uploadWaiters
        uploadWaiters = []
    }

    /// Takes in that an entry that has to do with parts was applied.
    func noteApplied(_ entry: Entry) {
        guard let upload, group.isLeader, entry.term == group.term else { return }
        switch TabletCommand.kind(of: entry.payload) {
        case .firstPart?, .part?:
            upload.pendingBytes -= entry.payload.count
            guard upload.pendingBytes <= Self.uploadWindow / 2 else { return }
            awakened += uploadWaiters
            uploadWaiters = []
        default: endUpload()
        }
    }

    // MARK: Every replica

    /// Whether an entry is part of a command, or ends its parts.
    func isPart(_ entry: Entry) -> Bool {
        switch TabletCommand.kind(of: entry.payload) {
        case .firstPart, .part, .assemble, .dropParts: true
        default: false
        }
    }

    /// Takes in such an entry, while none is applied in parts.
    func take(_ entry: Entry) throws(EngineError) {
        let position = LogPosition(index: entry.index, term: entry.term)
        let mutations = try mutations(of: entry)
        guard let command = try? TabletCommand(payload: entry.payload) else { return }
        switch command.kind {
        case .firstPart:
            parts = CommandParts(
                transaction: command.transaction, term: entry.term, lists: [mutations])
            reached = position
        case .part:
            try checkParts(of: command, entry, count: nil)
            parts?.lists.append(mutations)
            reached = position
        case .assemble:
            var reader = ByteReader(mutations)
            try checkParts(of: command, entry, count: try? reader.read(UInt32.self))
            let lists = parts?.lists ?? []
            parts = nil
            begin(LargeEntry(entry: entry, lists: lists.reversed(), stamp: command.timestamp))
            // Applied once all of it is.
            return
        default:
            let dropped = parts
            parts = nil
            do {
                try advance(to: position, applying: [])
            } catch {
                parts = dropped
                throw error
            }
        }
        finished(entry)
    }

    private func checkParts(
        of command: TabletCommand, _ entry: Entry, count: UInt32?
    ) throws(EngineError) {
        guard let parts, parts.transaction == command.transaction, parts.term == entry.term,
            count.map({ Int($0) == parts.lists.count }) ?? true
        else {
            throw EngineError(
                .corruption,
                "entry \(entry.index) of tablet \(descriptor.id) has no parts in front of it")
        }
    }

    /// The command that an entry stands for together with the parts in front of it.
    package static func assembled(
        _ command: TabletCommand, parts: [ArraySlice<UInt8>]
    ) throws(EngineError) -> TabletCommand {
        var bytes = [MutationList.version]
        for part in parts {
            bytes += try MutationList.stamped(
                part, from: 0, maxBytes: .max, at: command.timestamp
            ).list.dropFirst()
        }
        var command = command
        command.kind = .write
        command.mutations = bytes[...]
        return command
    }
}
