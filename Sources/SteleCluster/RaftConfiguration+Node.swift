import SteleBase
import SteleRaft

extension RaftConfiguration {
    /// How a node runs the groups of its tablets.
    static func forNode(
        replica: ReplicaID, applied: LogIndex, electionTicks: Int, seed: UInt64
    ) -> RaftConfiguration {
        var configuration = RaftConfiguration(
            id: replica, electionTicks: electionTicks, heartbeatTicks: 1)
        configuration.applied = applied
        configuration.asyncStorageWrites = true
        configuration.maxBytesPerMessage = 1 << 20
        configuration.maxCommittedBytesPerReady = 4 << 20
        configuration.maxUncommittedBytes = Limits.logInFlightBytes
        configuration.maxInflightMessages = 256
        configuration.maxInflightBytes = 32 << 20
        configuration.checkQuorum = true
        configuration.preVote = true
        configuration.hibernationTicks = 25
        configuration.disableProposalForwarding = true
        configuration.seed = seed
        return configuration
    }
}
