import SteleBase
import SteleEngine
import SteleRaft
import SteleTablet
import Testing

@testable import SteleCluster

/// What a node takes into its log ahead of the disk.
@Suite struct InFlightLimitTests {
    private static let physical: UInt64 = 1_700_000_000_000_000

    /// A node by itself that leads tablets which begin at these keys, and a disk that then stalls.
    private func leader(of starts: [KeyBytes]) throws -> NodeCore {
        let ends = starts.dropFirst() + [[]]
        let tablets = zip(starts, ends).enumerated().map { place, range in
            TabletDescriptor(
                id: TabletID(UInt64(place) + 2), range: KeyRange(start: range.0, end: range.1),
                generation: 1, replicas: [.init(node: NodeID(1), id: ReplicaID(1))])
        }
        let core = try NodeCore(
            configuration: NodeCoreConfiguration(
                node: NodeID(1), tablets: tablets, members: [NodeID(1)], seed: 1),
            engine: MemoryEngine(), recovered: RecoveredLog(), monotonic: 0,
            wall: Self.physical)
        for time in stride(from: 0, to: 300_000, by: 10_000) as StrideTo<UInt64> {
            core.beginTurn(monotonic: time, wall: Self.physical + time)
            if let (token, _) = core.endTurn(monotonic: time).log { core.logSynced(token) }
        }
        for tablet in core.tablets { #expect(tablet.isServing) }
        return core
    }

    /// Commits some 40 MiB below each key; how many were refused, and with what words.
    private func refusals(_ core: NodeCore, _ keys: [KeyBytes]) -> [String] {
        var refusals: [String] = []
        let value = [UInt8](repeating: 7, count: Limits.valueBytes)
        for (place, key) in keys.enumerated() {
            // A large request is looked at in the next turn and encoded in some more.
            for turn in 0..<16 as Range<UInt64> {
                let time = 300_000 + UInt64(place) * 16_000 + turn * 1_000
                core.beginTurn(monotonic: time, wall: Self.physical + time)
                if turn == 0 {
                    core.submit(
                        commit(place, key, value), token: UInt64(place),
                        timeoutMicroseconds: 10_000_000)
                }
                for (_, reply) in core.endTurn(monotonic: time).replies {
                    if case .failed(let failure) = reply { refusals.append(failure.message) }
                }
            }
        }
        return refusals
    }

    private func commit(_ place: Int, _ key: KeyBytes, _ value: [UInt8]) -> TabletRequest {
        TabletRequest(
            transaction: TransactionID(node: NodeID(1), sequence: UInt64(place) + 1),
            body: .commit(.init(writes: (0..<10).map { .init(key: key + [$0], value: value) })))
    }

    @Test func `what exceeds the log in flight is refused, by the name of the limit`() throws {
        let core = try leader(of: [[]])
        let refusals = refusals(core, [[1], [2]])
        #expect(refusals.count == 1)
        #expect(refusals.first?.contains("Limits.logInFlightBytes") == true)
    }

    @Test func `the log in flight is limited for the node, not for each of its tablets`() throws {
        let core = try leader(of: [[], [2]])
        #expect(refusals(core, [[1], [2]]).count == 1)
    }
}
