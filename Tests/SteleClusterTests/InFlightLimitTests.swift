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

    /// Commits some 40 MiB below each key; what those of each key were refused for.
    private func refusals(_ core: NodeCore, _ keys: [KeyBytes]) -> [[String]] {
        var refusals: [[String]] = []
        let value = [UInt8](repeating: 7, count: 400 << 10)
        for (place, key) in keys.enumerated() {
            var refused: [String] = []
            // They are looked at over some turns.
            for turn in 0..<16 as Range<UInt64> {
                let time = 300_000 + UInt64(place) * 16_000 + turn * 1_000
                core.beginTurn(monotonic: time, wall: Self.physical + time)
                for number in 0..<100 as Range<UInt64> where turn == 0 {
                    let sequence = UInt64(place) * 100 + number + 1
                    let write = TabletRequest.CommitRequest.Write(
                        key: key + [UInt8(number)], value: value)
                    core.submit(
                        TabletRequest(
                            transaction: TransactionID(node: NodeID(1), sequence: sequence),
                            body: .commit(.init(writes: [write]))),
                        token: sequence, timeoutMicroseconds: 10_000_000)
                }
                for (_, reply) in core.endTurn(monotonic: time).replies {
                    if case .failed(let failure) = reply { refused.append(failure.message) }
                }
            }
            refusals.append(refused)
        }
        return refusals
    }

    @Test func `what exceeds the log in flight is refused, by the name of the limit`() throws {
        let core = try leader(of: [[]])
        let refusals = refusals(core, [[1], [2]])
        #expect(refusals[0].isEmpty && refusals[1].count > 30 && refusals[1].count < 50)
        #expect(refusals[1].first?.contains("Limits.logInFlightBytes") == true)
    }

    @Test func `the log in flight is limited for the node, not for each of its tablets`() throws {
        let core = try leader(of: [[], [2]])
        let refusals = refusals(core, [[1], [2]])
        #expect(refusals[0].isEmpty && refusals[1].count > 30)
    }

    @Test func `a large commit waits for the log instead`() throws {
        let core = try leader(of: [[]])
        let value = [UInt8](repeating: 7, count: Limits.valueBytes)
        let writes = (0..<20).map {
            TabletRequest.CommitRequest.Write(key: [3, UInt8($0)], value: value)
        }
        core.beginTurn(monotonic: 300_000, wall: Self.physical + 300_000)
        core.submit(
            TabletRequest(
                transaction: TransactionID(node: NodeID(1), sequence: 1),
                body: .commit(.init(writes: writes))), token: 1, timeoutMicroseconds: 10_000_000)
        for time in stride(from: 300_000, to: 320_000, by: 1_000) as StrideTo<UInt64> {
            #expect(core.endTurn(monotonic: time).replies.isEmpty)
            core.beginTurn(monotonic: time + 1_000, wall: Self.physical + time + 1_000)
        }
        #expect(core.tablets[0].group.uncommittedBytes < 2 * Limits.valueBytes)
    }
}
