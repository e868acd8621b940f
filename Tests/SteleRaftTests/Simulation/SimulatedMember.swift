import SteleBase

@testable import SteleRaft

/// A process that runs one replica, with a disk that loses what was not synced.
final class SimulatedMember {
    /// The state machine at some index, in short: a hash of all that it applied.
    struct State {
        var index: LogIndex = 0
        var term: Term = 0
        var hash: UInt64 = 0
        var confState = ConfState()
    }

    let id: ReplicaID
    /// What the disk holds.
    let storage = MemoryStorage()
    /// Nil while the process is down.
    var group: RaftGroup?
    /// Counts lives of the process; events of an earlier one are void.
    var life = 0

    /// What the disk was asked to make durable, in order.
    var appendWork: [Message] = []
    /// Committed entries on their way to the state machine.
    var applyWork: [Message] = []
    /// In classic mode, what was handed out and is not carried out yet.
    var openReady: Ready?
    /// Reused for what the replica wants done.
    var ready = Ready()

    var state = State()
    /// What of the state machine survives a crash.
    var durableState = State()

    var pausedUntil = 0
    var slowDiskUntil = 0
    var slowApplyUntil = 0
    /// Whether others get the last snapshot that was made instead of a new one.
    var sendsOldSnapshots = false
    /// Whether the own membership is to be compared with that of others at the next applied entry.
    var checksMembership = true
    /// When the own node last heard of each other one.
    var heard: [Int] = []
    /// In which life it was then.
    var lives: [Int] = []
    var seenAsleep = false
    var seenRole = Role.follower
    var seenHardState = HardState.empty

    init(id: ReplicaID, snapshot: Snapshot?) {
        self.id = id
        if let snapshot {
            storage.restore(snapshot)
            storage.set(HardState(term: snapshot.term, commit: snapshot.index))
            state.index = snapshot.index
            state.term = snapshot.term
            state.confState = snapshot.confState
        }
        durableState = state
        storage.makeSnapshot = { [unowned self] in
            sendsOldSnapshots ? storage.latestSnapshot : currentSnapshot()
        }
    }

    /// The state machine as of now.
    func currentSnapshot() -> Snapshot {
        var writer = ByteWriter()
        writer.write(state.hash)
        return Snapshot(
            index: state.index, term: state.term, confState: state.confState,
            data: writer.bytes[...])
    }

    func start(_ configuration: RaftConfiguration) {
        state = durableState
        storage.set(state.confState)
        storage.unavailableThrough = 0
        group = RaftGroup(configuration, storage: storage)
        checksMembership = true
        seenRole = .follower
        seenAsleep = false
        seenHardState = storage.hardState
    }

    /// Everything in memory is lost.
    func crash() {
        group = nil
        life += 1
        appendWork = []
        applyWork = []
        openReady = nil
        pausedUntil = 0
    }
}
