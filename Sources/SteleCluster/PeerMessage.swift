import SteleBase
import SteleClock
import SteleRaft
import SteleTablet

/// What nodes say to each other. All messages of a turn to one peer travel in one frame.
package enum PeerMessage: Sendable {
    /// Every heartbeat interval to every peer: "I am here; grant me your lease."
    case heartbeat(Heartbeat)
    case heartbeatReply(HeartbeatReply)
    case raft(TabletID, Message, acknowledgedUnder: GrantEpoch?)
    /// Nobody is waited for up to here: who does not hold the log so far is not caught up any more.
    case truncation(TabletID, LogPosition)
    /// The nodes whose replicas lack entries that the leader's log has given up; never empty.
    case outrun(TabletID, [NodeID])
    /// The oldest timestamp at which a transaction of the sender reads; ``Timestamp/max`` if none
    /// does. Every heartbeat interval to every peer.
    case readers(Timestamp)
    /// "I stand by you as the leader of this term, but have not heard from you as such for long."
    case standing(TabletID, Term)
    /// "I do not lead in this term, and never will again": said by a leader that stops leading, and
    /// in answer to `standing`.
    case notLeading(TabletID, Term)
    case request(RequestHeader, TabletRequest)
    /// The next reads, locks and writes of a large commit, which itself comes last and names none of
    /// them.
    case requestPart(RequestAttempt, number: Int, TabletRequest)
    /// A transaction of the receiver holds or awaits locks here, one near the key: is it over?
    case holding(TransactionID, near: KeyBytes)
    /// So many parts of a request have been taken in.
    case partsTaken(RequestAttempt, count: Int)
    case reply(RequestAttempt, TabletReply)
    /// The sender's run with the first number of its transactions, and the latest run of the receiver
    /// that it has heard of: the first message of every frame.
    case run(NodeRun, yours: NodeRun?, firstTransaction: UInt64)

    package struct Heartbeat: Hashable, Sendable {
        /// The sender's monotonic clock, plus a number of its run; echoed in the reply.
        package var sentAt: UInt64
        /// Counts the sender's starts.
        package var boot: UInt64
        /// The sender's physical clock.
        package var physical: UInt64
        /// `sentAt` of the receiver's newest heartbeat that the sender has got; 0 if there is none.
        package var heard: UInt64
        /// What its peers say of it.
        package var clock = ClockStanding.unheard
        /// How often it has made something durable in this run.
        package var syncs: UInt64 = 0

        package init(
            sentAt: UInt64, boot: UInt64, physical: UInt64, heard: UInt64,
            clock: ClockStanding = .unheard, syncs: UInt64 = 0
        ) {
            self.sentAt = sentAt
            self.boot = boot
            self.physical = physical
            self.heard = heard
            self.clock = clock
            self.syncs = syncs
        }
    }

    /// A lease grant, counted from when the heartbeat was sent.
    package struct HeartbeatReply: Hashable, Sendable {
        package var sentAt: UInt64
        package var epoch: GrantEpoch
        /// Nothing may be served or written above this on the strength of the grant.
        package var bound: Timestamp
        package var boot: UInt64
        /// The sender's physical clock, read after the heartbeat had arrived; 0 if it is about to be
        /// set, and nobody is to go by it.
        package var physical: UInt64

        package init(
            sentAt: UInt64, epoch: GrantEpoch, bound: Timestamp, boot: UInt64, physical: UInt64
        ) {
            self.sentAt = sentAt
            self.epoch = epoch
            self.bound = bound
            self.boot = boot
            self.physical = physical
        }
    }
}

/// Names an uninterrupted stretch of grants from one node to another.
///
/// A new stretch begins whenever a grant has lapsed, because the giver may have voted for somebody
/// else in between.
package struct GrantEpoch: Hashable, Sendable {
    package var boot: UInt64
    package var counter: UInt64

    package init(boot: UInt64, counter: UInt64) {
        self.boot = boot
        self.counter = counter
    }
}

extension PeerMessage {
    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .heartbeat(let heartbeat):
            writer.write(UInt8(1))
            writer.write(heartbeat.sentAt)
            writer.writeVarint(heartbeat.boot)
            writer.write(heartbeat.physical)
            writer.write(heartbeat.heard)
            writer.write(heartbeat.clock.rawValue)
            writer.writeVarint(heartbeat.syncs)
        case .heartbeatReply(let reply):
            writer.write(UInt8(2))
            writer.write(reply.sentAt)
            writer.write(epoch: reply.epoch)
            writer.write(reply.bound.rawValue)
            writer.writeVarint(reply.boot)
            writer.write(reply.physical)
        case .raft(let tablet, let message, let epoch):
            writer.write(UInt8(3))
            writer.writeVarint(tablet.rawValue)
            writer.write(epoch != nil)
            if let epoch { writer.write(epoch: epoch) }
            message.encode(into: &writer)
        case .truncation(let tablet, let position):
            writer.write(UInt8(4))
            writer.writeVarint(tablet.rawValue)
            writer.writeVarint(position.index)
            writer.writeVarint(position.term)
        case .outrun(let tablet, let nodes):
            writer.write(UInt8(20))
            writer.writeVarint(tablet.rawValue)
            writer.writeVarint(UInt64(nodes.count))
            for node in nodes { writer.writeVarint(node.rawValue) }
        case .readers(let oldest):
            writer.write(UInt8(21))
            writer.write(oldest.rawValue)
        case .standing(let tablet, let term):
            writer.write(UInt8(7))
            writer.writeVarint(tablet.rawValue)
            writer.writeVarint(term)
        case .notLeading(let tablet, let term):
            writer.write(UInt8(8))
            writer.writeVarint(tablet.rawValue)
            writer.writeVarint(term)
        case .request(let header, let request):
            writer.write(UInt8(5))
            header.encode(into: &writer)
            request.encode(into: &writer)
        case .requestPart(let attempt, let number, let request):
            writer.write(UInt8(10))
            attempt.encode(into: &writer)
            writer.writeVarint(UInt64(number))
            request.encode(into: &writer)
        case .holding(let transaction, let key):
            writer.write(UInt8(12))
            writer.writeVarint(transaction.rawValue)
            writer.writeBytes(key)
        case .partsTaken(let attempt, let count):
            writer.write(UInt8(11))
            attempt.encode(into: &writer)
            writer.writeVarint(UInt64(count))
        case .reply(let attempt, let reply):
            writer.write(UInt8(6))
            attempt.encode(into: &writer)
            reply.encode(into: &writer)
        case .run(let run, let yours, let firstTransaction):
            writer.write(UInt8(9))
            writer.write(run: run)
            writer.writeVarint(firstTransaction)
            writer.write(yours != nil)
            if let yours { writer.write(run: yours) }
        }
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        let kind = try reader.read(UInt8.self)
        switch kind {
        case 1:
            let sentAt = try reader.read(UInt64.self)
            let boot = try reader.readVarint()
            let physical = try reader.read(UInt64.self)
            let heard = try reader.read(UInt64.self)
            guard let clock = ClockStanding(rawValue: try reader.read(UInt8.self)) else {
                throw DecodingError("no standing of a clock")
            }
            self = .heartbeat(
                Heartbeat(
                    sentAt: sentAt, boot: boot, physical: physical, heard: heard, clock: clock,
                    syncs: try reader.readVarint()))
        case 2:
            let sentAt = try reader.read(UInt64.self)
            let epoch = try reader.readEpoch()
            let bound = try reader.readTimestamp()
            let boot = try reader.readVarint()
            self = .heartbeatReply(
                HeartbeatReply(
                    sentAt: sentAt, epoch: epoch, bound: bound, boot: boot,
                    physical: try reader.read(UInt64.self)))
        case 3:
            let tablet = TabletID(try reader.readVarint())
            let epoch = try reader.readBool() ? try reader.readEpoch() : nil
            let message = try Message(from: &reader)
            try message.checkForPeers()
            self = .raft(tablet, message, acknowledgedUnder: epoch)
        case 4:
            let tablet = TabletID(try reader.readVarint())
            let index = try reader.readVarint()
            self = .truncation(tablet, LogPosition(index: index, term: try reader.readVarint()))
        case 5:
            let header = try RequestHeader(from: &reader)
            self = .request(header, try TabletRequest(from: &reader))
        case 6:
            let attempt = try RequestAttempt(from: &reader)
            self = .reply(attempt, try TabletReply(from: &reader))
        case 7:
            let tablet = TabletID(try reader.readVarint())
            self = .standing(tablet, try reader.readVarint())
        case 8:
            let tablet = TabletID(try reader.readVarint())
            self = .notLeading(tablet, try reader.readVarint())
        case 9:
            let run = try reader.readRun()
            let firstTransaction = try reader.readVarint()
            self = .run(
                run, yours: try reader.readBool() ? try reader.readRun() : nil,
                firstTransaction: firstTransaction)
        case 10:
            let attempt = try RequestAttempt(from: &reader)
            let number = Int(clamping: try reader.readVarint())
            self = .requestPart(attempt, number: number, try TabletRequest(from: &reader))
        case 11:
            let attempt = try RequestAttempt(from: &reader)
            self = .partsTaken(attempt, count: Int(clamping: try reader.readVarint()))
        case 12:
            let transaction = TransactionID(try reader.readVarint())
            self = .holding(transaction, near: KeyBytes(try reader.readBytes()))
        case 20:
            let tablet = TabletID(try reader.readVarint())
            var nodes: [NodeID] = []
            for _ in 0..<(try reader.readCount()) {
                nodes.append(NodeID(try reader.readVarint()))
            }
            self = .outrun(tablet, nodes)
        case 21: self = .readers(Timestamp(rawValue: try reader.read(UInt64.self)))
        default: throw DecodingError("\(kind) is no kind of message between nodes")
        }
    }
}

extension ByteWriter {
    fileprivate mutating func write(epoch: GrantEpoch) {
        writeVarint(epoch.boot)
        writeVarint(epoch.counter)
    }

    fileprivate mutating func write(run: NodeRun) {
        writeVarint(run.boot)
        write(run.mark)
    }
}

extension ByteReader {
    fileprivate mutating func readEpoch() throws(DecodingError) -> GrantEpoch {
        let boot = try readVarint()
        return GrantEpoch(boot: boot, counter: try readVarint())
    }

    fileprivate mutating func readRun() throws(DecodingError) -> NodeRun {
        let boot = try readVarint()
        return NodeRun(boot: boot, mark: try read(UInt64.self))
    }
}
