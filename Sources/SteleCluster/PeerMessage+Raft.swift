import SteleBase
import SteleClock
import SteleRaft

/// Which Raft messages nodes send to each other.
extension Message {
    /// Refuses what no node of this version sends, though Raft knows it.
    ///
    /// Commands and reads travel as requests to the leader, who alone makes entries of them, and
    /// replicas are neither changed nor made from snapshots: a follower would take such a message
    /// and could do nothing with what it leads to.
    func checkForPeers() throws(DecodingError) {
        switch type {
        case .append, .appendResponse, .vote, .voteResponse, .preVote, .preVoteResponse, .heartbeat,
            .heartbeatResponse, .timeoutNow:
            break
        default: throw DecodingError("a Raft message of type \(type) does not travel")
        }
        _ = try Timestamp(rawValue: bound).checked()
    }
}
