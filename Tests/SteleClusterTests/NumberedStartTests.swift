import SteleBase
import Testing

@testable import SteleCluster

/// A start of a node is known to nobody else before it is on the node's own disk.
@Suite struct NumberedStartTests {
    @Test func `nothing leaves a node before its disk holds its number`() throws {
        let core = try NodeCore.firstOfThree(
            monotonic: 1_000_000, wall: 1_700_000_000_000_000)
        core.peerConnected(NodeID(2))
        var token: UInt64?
        var time: UInt64 = 1_000_000
        // A sync that hangs for two seconds, in which elections are due too.
        for _ in 0..<50 {
            time += 40_000
            core.beginTurn(monotonic: time, wall: 1_700_000_000_000_000 + time)
            let effects = core.endTurn(monotonic: time)
            token = token ?? effects.log?.token
            #expect(effects.messages.isEmpty)
        }
        core.beginTurn(monotonic: time, wall: 1_700_000_000_000_000 + time)
        core.logSynced(try #require(token))
        _ = core.endTurn(monotonic: time)
        time += 40_000
        core.beginTurn(monotonic: time, wall: 1_700_000_000_000_000 + time)
        let effects = core.endTurn(monotonic: time)
        guard case .run(let run, _, _)? = effects.messages.first?.messages.first else {
            Issue.record("a frame does not begin with its sender's run")
            return
        }
        #expect(run.boot == 1)
    }
}
