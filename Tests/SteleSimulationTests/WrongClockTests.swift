import SteleClock
import Testing

@testable import SteleSimulation

/// What a node with a wrong clock does, and what it costs the others.
struct WrongClockTests {
    private func calm(seed: UInt64) throws -> Scenario {
        var scenario = try #require(Scenario.named("calm", seed: seed))
        scenario.duration = 5_000_000
        scenario.thinkTime = 40_000
        scenario.clocks = ClockLimits(driftPerMillion: 100, offset: 1_000)
        scenario.clockSlewPerMillion = 300_000
        return scenario
    }

    private func isServing(_ node: SimulatedNode) -> Bool {
        node.core?.tablets.contains { $0.isServing } ?? false
    }

    @Test(arguments: [1, 2] as [UInt64], [250_000, -250_000] as [Int64])
    func aLeaderWhoseClockRunsAwayHandsOn(seed: UInt64, speed: Int64) throws {
        let cluster = SimulatedCluster(
            seed: seed, scenario: try calm(seed: seed), defect: .none, observer: nil)
        cluster.begin()
        var wrong: SimulatedNode?
        var resigned: UInt64?
        func watch() {
            guard let node = wrong, resigned == nil else { return }
            if !isServing(node) { resigned = cluster.now }
            cluster.after(1_000) { watch() }
        }
        cluster.after(2_500_000) {
            wrong = cluster.nodes.first { isServing($0) }
            wrong?.clock.runAway(perMillion: speed, at: cluster.now)
            watch()
        }
        var verdict: OffsetMonitor.Verdict?
        var othersServe = false
        cluster.after(4_500_000) {
            verdict = wrong?.core?.clockVerdict
            othersServe = cluster.nodes.contains { $0.id != wrong?.id && isServing($0) }
        }
        cluster.runToEnd()
        cluster.judge()
        #expect(cluster.result.failure == nil)
        #expect(wrong != nil && verdict == .outOfBounds && othersServe)
        // 80 percent of the maximum offset are reached after 0.8 s, and noticed at a heartbeat.
        #expect((3_200_000...3_600_000).contains(try #require(resigned)))
    }

    /// What the third node showed before it fell silent must not speak for the leader's clock.
    @Test func aPeerThatIsGoneConfirmsNoClock() throws {
        let cluster = SimulatedCluster(
            seed: 6, scenario: try calm(seed: 6), defect: .none, observer: nil)
        cluster.begin()
        var wrong: SimulatedNode?
        cluster.after(2_500_000) {
            guard let leader = cluster.nodes.first(where: { isServing($0) }),
                let silent = cluster.nodes.last(where: { $0.id != leader.id && !isServing($0) })
            else { return }
            wrong = leader
            leader.clock.runAway(perMillion: 250_000, at: cluster.now)
            silent.pausedUntil = cluster.now + 3_000_000
            cluster.after(3_000_000) {
                leader.clock.runAway(perMillion: 0, at: cluster.now)
                cluster.scheduleTurn(silent, in: 0)
            }
        }
        var verdict: OffsetMonitor.Verdict?
        cluster.after(4_000_000) {
            verdict = wrong?.core?.clockVerdict
            if wrong.map(isServing) != false { cluster.fail("a wrong clock serves") }
        }
        cluster.runToEnd()
        cluster.judge()
        #expect(cluster.result.failure == nil)
        #expect(verdict == .disputed)
    }

    @Test func aNodeThatStartsWithAWrongClockNeverLeads() throws {
        let cluster = SimulatedCluster(
            seed: 4, scenario: try calm(seed: 4), defect: .none, observer: nil)
        cluster.nodes[0].clock.setWrong(by: 1_500_000)
        cluster.begin()
        var everConfirmed = false
        func watch() {
            guard !cluster.isDone else { return }
            if cluster.nodes[0].core?.isClockConfirmed ?? false { everConfirmed = true }
            if isServing(cluster.nodes[0]) { cluster.fail("the wrong clock leads") }
            cluster.after(1_000) { watch() }
        }
        watch()
        cluster.runToEnd()
        cluster.judge()
        #expect(cluster.result.failure == nil)
        #expect(!everConfirmed)
        #expect(cluster.result.counts.commits > 50)
    }

    @Test func clocksThatMeetAgainAreConfirmedAgain() throws {
        let cluster = SimulatedCluster(
            seed: 5, scenario: try calm(seed: 5), defect: .none, observer: nil)
        let node = cluster.nodes[1]
        node.clock.setWrong(by: -400_000)
        cluster.begin()
        var verdicts: [OffsetMonitor.Verdict?] = []
        cluster.after(1_500_000) {
            verdicts.append(node.core?.clockVerdict)
            node.clock.runAway(perMillion: 200_000, at: cluster.now)
        }
        cluster.after(3_500_000) {
            node.clock.runAway(perMillion: 0, at: cluster.now)
        }
        cluster.after(4_500_000) { verdicts.append(node.core?.clockVerdict) }
        cluster.runToEnd()
        cluster.judge()
        #expect(cluster.result.failure == nil)
        #expect(verdicts.first == .outOfBounds)
        if case .confirmed? = verdicts.last ?? nil {} else { Issue.record("\(verdicts)") }
    }
}
