import SteleBase
import SteleClock
import SteleEngine
import SteleRaft
import SteleTablet

/// The tablets as log and store have them, which have to fit each other.
extension NodeCore {
    static func makeTablets(
        _ configuration: NodeCoreConfiguration, engine: any StorageEngine,
        recovered: RecoveredLog, clock: TurnClock, random: inout SeededRandom
    ) throws -> [Tablet] {
        var tablets: [Tablet] = []
        for descriptor in configuration.tablets.sorted(by: { $0.id < $1.id }) {
            guard let replica = descriptor.replica(on: configuration.node) else { continue }
            let found = recovered.replicas.first {
                $0.tablet == descriptor.id && $0.replica == replica
            }
            var applied = AppliedState(
                tablet: descriptor.id, replica: replica, index: 0, term: 0)
            let key = applied.localKey.bytes
            if let value = try engine.value(of: key, in: .local) {
                applied = try AppliedState(
                    tablet: descriptor.id, replica: replica, localValue: value)
            }
            var watermark = Timestamp.zero
            let item = LocalKey(tablet: descriptor.id, replica: replica, item: .watermark)
            if let value = try engine.value(of: item.bytes, in: .local) {
                watermark = try Watermark(value).timestamp
            }
            var state =
                found
                ?? RecoveredReplica(
                    tablet: descriptor.id, replica: replica, hardState: HardState(),
                    compacted: LogPosition(index: 0, term: 0), termRuns: [], lastIndex: 0,
                    tail: [])
            guard applied.index <= state.lastIndex else {
                throw EngineError(
                    .corruption,
                    "tablet \(descriptor.id): the store has applied index \(applied.index), but "
                        + "the log ends at \(state.lastIndex)")
            }
            guard applied.index >= state.compacted.index else {
                throw EngineError(
                    .corruption,
                    "tablet \(descriptor.id): the store has applied index \(applied.index), but "
                        + "the log begins after \(state.compacted.index)")
            }
            // Budgets of logs are kept to within a thousandth.
            state.sizes.step = max(configuration.tabletLogBytes / 1_024, 64)
            state.hardState.commit = max(state.hardState.commit, applied.index)
            let log = TabletLog(
                recovered: state, configuration: ConfState(voters: descriptor.replicas.map(\.id)))
            let group = RaftGroup(
                RaftConfiguration.forNode(
                    replica: replica, applied: applied.index,
                    electionTicks: configuration.electionTicks, seed: random.next()),
                storage: log)
            tablets.append(
                Tablet(
                    descriptor: descriptor, replica: replica, log: log, group: group,
                    applied: applied, watermark: watermark, engine: engine, clock: clock))
        }
        return tablets
    }
}
