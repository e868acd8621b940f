import SteleAPI
import SteleBase
import SteleClock
import SteleCluster
import SteleEngine
import SteleRaft
import SteleTablet

private typealias RaftEntry = SteleRaft.Entry

/// One of every message there is between nodes.
package enum PeerSamples {
    private static let attempt = RequestAttempt(id: 0x0102_0304_0506_0708, number: 300)

    private static func header(_ passage: RequestHeader.Passage, parts: Int = 0) -> RequestHeader {
        var header = RequestHeader(attempt, term: 5, passage: passage)
        header.parts = parts
        return header
    }

    private static let commit = TabletRequest.CommitRequest(
        readTimestamp: Timestamp(rawValue: 5), readKeys: [[1]],
        readRanges: [KeyRange(start: [2], end: [3])], locks: [[9]],
        grant: LockGrant(term: 1, arrival: 2), expected: [.init(key: [1], value: nil)],
        firstCommitterWins: true,
        writes: [.init(key: [1], value: nil), .init(key: [2], value: [7, 8])])

    private static let requests: [TabletRequest.Body] = [
        .read(keys: [[1], [], [2, 3]], at: nil),
        .read(keys: [[1]], at: Timestamp(rawValue: 99)),
        .scan(
            .init(
                range: KeyRange(start: [1], end: []), timestamp: nil,
                limits: ScanLimits(rows: 10, bytes: 100, keys: 1_000), reverse: true)),
        .lock(
            .init(
                keys: [[4]], others: [[5], []], mode: .shared, wait: .skip, timeoutMicroseconds: 5,
                snapshot: Timestamp(rawValue: 3), grant: LockGrant(term: 3, arrival: 300))),
        .commit(commit), .release(near: [1, 2, 3]), .unlock(keys: [[1], [], [2, 3]], rollback: 300),
    ]

    private static let page: ScanPage = {
        var page = ScanPage(resumeKey: [5])
        page.append(
            key: [4] as KeyBytes, value: [1, 2] as [UInt8], timestamp: Timestamp(rawValue: 3))
        page.count = 1
        return page
    }()

    private static let replies: [TabletReply] = [
        .values([nil, [], [1, 2]], at: Timestamp(rawValue: 4)),
        .page(page, at: Timestamp(rawValue: 4)),
        .locked(
            [.init(isLocked: true, value: [1]), .init(isLocked: false, value: nil)],
            grant: LockGrant(term: 7, arrival: 1), clock: Timestamp(rawValue: 5)),
        .committed(Timestamp(rawValue: 6)), .released,
        .failed(.init(.conflict, "somebody was faster", leader: NodeID(3))),
    ]

    private static let entry = RaftEntry(
        term: 5, index: 8,
        payload: TabletCommand(
            generation: 1, transaction: TransactionID(1), timestamp: Timestamp(rawValue: 1 << 40),
            mutations: MutationList().bytes[...]
        ).payload)

    private static func raft(_ type: MessageType, _ entries: [RaftEntry] = []) -> PeerMessage {
        .raft(
            .firstData,
            Message(
                type: type, from: ReplicaID(2), to: ReplicaID(1), term: 5, logTerm: 4, index: 7,
                entries: entries, commit: 6, reject: type == .appendResponse, rejectHint: 3,
                bound: 1 << 40),
            acknowledgedUnder: type == .appendResponse ? GrantEpoch(boot: 1, counter: 2) : nil)
    }

    package static let messages: [PeerMessage] = control + rafts + forwarded

    private static let control: [PeerMessage] = [
        .run(NodeRun(boot: 3, mark: 77), yours: NodeRun(boot: 4, mark: 78), firstTransaction: 9),
        .run(NodeRun(boot: 3, mark: 77), yours: nil, firstTransaction: 9),
        .heartbeat(.init(sentAt: 1 << 40, boot: 3, physical: 1 << 50, heard: 7, syncs: 300)),
        .heartbeatReply(
            .init(
                sentAt: 1 << 40, epoch: GrantEpoch(boot: 1, counter: 2),
                bound: Timestamp(rawValue: 1 << 40), boot: 3, physical: 1 << 50)),
        .truncation(.firstData, LogPosition(index: 300, term: 5)),
        .outrun(.firstData, [NodeID(2), NodeID(3)]), .readers(Timestamp(rawValue: 1 << 40)),
        .standing(.firstData, 5), .notLeading(.firstData, 5),
        .holding(TransactionID(7), near: [1, 2]), .partsTaken(attempt, count: 300),
    ]

    private static let rafts: [PeerMessage] = [
        raft(.append, [entry, RaftEntry(term: 5, index: 9)]), raft(.appendResponse), raft(.vote),
        raft(.voteResponse), raft(.preVote), raft(.preVoteResponse), raft(.heartbeat),
        raft(.heartbeatResponse), raft(.timeoutNow),
    ]

    private static let forwarded: [PeerMessage] = {
        let release = TabletRequest(transaction: TransactionID(8), body: .release(near: []))
        let part = TabletRequest(transaction: TransactionID(8), body: .commit(commit))
        var messages: [PeerMessage] = [
            .request(header(.mayBePassedOn, parts: 2), release),
            .requestPart(attempt, number: 1, part),
        ]
        for body in requests {
            messages.append(
                .request(
                    header(.direct), TabletRequest(transaction: TransactionID(7), body: body)))
        }
        for reply in replies { messages.append(.reply(attempt, reply)) }
        return messages
    }()
}
