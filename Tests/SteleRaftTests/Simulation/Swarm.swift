import SteleBase

@testable import SteleRaft

/// What one run is like: which faults it has, how often, and how its group is configured.
///
/// Every seed draws a few kinds of faults and leaves the others out, because a run with all of them
/// at once hardly gets anywhere, and rare histories need one kind often.
struct Swarm {
    // Times are in milliseconds.
    static let tick = 500
    static let minute = 60_000

    var members: Int
    var voters: Int
    var duration: Int
    var electionTicks: Int

    var checkQuorum: Bool
    var preVote: Bool
    var asyncStorageWrites: Bool
    var stepDownOnRemoval: Bool
    /// Ticks without work until the group falls asleep, 0 for never.
    var hibernationTicks: Int
    var maxBytesPerMessage: Int
    var maxInflightMessages: Int
    var maxCommittedBytesPerReady: Int
    /// Whether messages go through the wire format.
    var encodes: Bool

    // One packet in so many, or never if 0.
    var loss: UInt64
    var duplication: UInt64
    var slowness: UInt64
    /// Copies that arrive up to a minute later.
    var staleness: UInt64

    // Whether the nemesis has these means.
    var crashes: Bool
    var pauses: Bool
    var partitions: Bool
    var slowDisks: Bool
    var compaction: Bool
    var transfers: Bool
    var voteLimits: Bool
    var fetching: Bool
    /// Cuts a new leader off from some of its followers, so that terms are short and logs differ.
    var shortTerms: Bool
    /// Milliseconds between proposed changes of the membership, 0 for none.
    var churn: Int
    /// Cuts old and new members apart when the membership changes, and delays what is applied.
    var splitsJoint: Bool

    init(_ random: inout SeededRandom) {
        voters = [1, 2, 3, 3, 3, 3, 4, 5, 5][Int(random.below(9))]
        churn = random.oneIn(2) ? 0 : Int(random.uniform(2_000...8_000))
        members = churn == 0 ? voters : max(voters, Int(random.uniform(3...6)))
        staleness = random.oneIn(16) ? 30 : 0
        duration = staleness > 0 ? 75_000 : Int(random.uniform(8_000...30_000))
        electionTicks = Int(random.uniform(3...5))

        checkQuorum = random.oneIn(2)
        // With neither, a replica that may not campaign and is ahead in term hears of no leader; only
        // changes of the membership make one.
        preVote = random.oneIn(2) || (churn > 0 && !checkQuorum)
        asyncStorageWrites = !random.oneIn(3)
        hibernationTicks =
            checkQuorum && preVote && random.oneIn(2) ? Int(random.uniform(1...4)) : 0
        stepDownOnRemoval = random.oneIn(2)
        maxBytesPerMessage = random.oneIn(2) ? 1 : Int(random.uniform(1...400))
        maxInflightMessages = Int(random.uniform(1...8))
        maxCommittedBytesPerReady = random.oneIn(2) ? .max : Int(random.uniform(1...200))
        encodes = random.oneIn(8)

        loss = random.oneIn(2) ? 0 : random.uniform(4...40)
        duplication = random.oneIn(2) ? 0 : random.uniform(4...40)
        slowness = random.oneIn(2) ? 0 : random.uniform(3...30)
        crashes = random.oneIn(2)
        pauses = random.oneIn(3)
        partitions = random.oneIn(2)
        slowDisks = random.oneIn(3)
        compaction = random.oneIn(2)
        transfers = random.oneIn(4)
        voteLimits = random.oneIn(6)
        fetching = random.oneIn(6)
        shortTerms = random.oneIn(3)
        splitsJoint = churn > 0 && random.oneIn(2)
    }

    func configuration(
        _ id: ReplicaID, applied: LogIndex, seed: UInt64
    ) -> RaftConfiguration {
        var configuration = RaftConfiguration(id: id)
        configuration.electionTicks = electionTicks
        configuration.applied = applied
        configuration.asyncStorageWrites = asyncStorageWrites
        configuration.checkQuorum = checkQuorum
        configuration.preVote = preVote
        configuration.maxInflightMessages = maxInflightMessages
        configuration.maxBytesPerMessage = maxBytesPerMessage
        // Else a small window would pile up proposals faster than it drains them.
        configuration.maxUncommittedBytes = 200
        configuration.maxCommittedBytesPerReady = maxCommittedBytesPerReady
        configuration.stepDownOnRemoval = stepDownOnRemoval
        configuration.hibernationTicks = hibernationTicks
        configuration.seed = seed
        return configuration
    }
}
