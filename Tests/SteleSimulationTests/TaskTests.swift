import SteleAPI
import Testing

@testable import SteleSimulation

/// Tasks in a simulation: virtual time, one thread, and an end when their node crashes.
struct TaskTests {
    private func cluster(
        seed: UInt64 = 3, defect: HostDefect = .none
    ) throws -> SimulatedCluster {
        let scenario = try #require(Scenario.named("calm", seed: seed))
        return SimulatedCluster(seed: seed, scenario: scenario, defect: defect, observer: nil)
    }

    /// Runs the cluster until virtual time `end`.
    private func run(_ cluster: SimulatedCluster, until end: UInt64) {
        cluster.after(end) { cluster.isDone = true }
        cluster.runToEnd()
    }

    private final class Notes: @unchecked Sendable {
        var lines: [String] = []
    }

    @Test func `children and sleepers run in virtual time and in this thread`() throws {
        let cluster = try cluster()
        let notes = Notes()
        cluster.spawn(on: cluster.nodes[0]) {
            await withTaskGroup { group in
                for number in [3, 1, 2] {
                    group.addTask {
                        await cluster.sleep(UInt64(number) * 100_000)
                        notes.lines.append("\(number) at \(cluster.now / 100_000)")
                    }
                }
            }
            await Task.yield()
            notes.lines.append("all at \(cluster.now / 100_000)")
        }
        run(cluster, until: 1_000_000)
        #expect(notes.lines == ["1 at 1", "2 at 2", "3 at 3", "all at 3"])
    }

    @Test func `a paused node runs no task`() throws {
        let cluster = try cluster()
        let node = cluster.nodes[0]
        let notes = Notes()
        node.pausedUntil = 500_000
        cluster.spawn(on: node) { notes.lines.append("at \(cluster.now / 100_000)") }
        run(cluster, until: 1_000_000)
        #expect(notes.lines == ["at 5"])
    }

    @Test func `what a crash leaves behind reaches nobody`() throws {
        let cluster = try cluster()
        for node in cluster.nodes { cluster.start(node) }
        let notes = Notes()
        let node = cluster.nodes[0]
        let database = node.database(.user, in: cluster)
        cluster.after(2_000_000) {
            cluster.spawn(on: node) {
                for value in 1...2 {
                    do {
                        try await database.put("key", value)
                        notes.lines.append("\(value) written")
                        cluster.crash(node)
                        cluster.start(node)
                    } catch {
                        notes.lines.append("\(value): \((error as? SteleError)?.code.name ?? "")")
                    }
                }
            }
        }
        cluster.after(6_000_000) {
            cluster.spawn(on: node) {
                let value = try? await node.database(.user, in: cluster).get("key", as: Int.self)
                notes.lines.append("read \(value ?? 0)")
            }
        }
        run(cluster, until: 9_000_000)
        #expect(notes.lines == ["1 written", "2: stopped", "read 1"])
    }

    @Test func `a cancelled wait for a lock ends, and leaves nothing locked`() throws {
        let cluster = try cluster()
        for node in cluster.nodes { cluster.start(node) }
        let notes = Notes()
        let options = TransactionOptions(isolation: .readCommitted)
        cluster.after(2_000_000) {
            cluster.spawn(on: cluster.nodes[0]) {
                let holder = try? cluster.nodes[0].backend(.user, in: cluster).begin(options)
                _ = try? await holder?.lock([[1]], .exclusive, .wait)
                let waiting = cluster.spawn(on: cluster.nodes[1]) {
                    let waiter = try? cluster.nodes[1].backend(.user, in: cluster).begin(options)
                    do {
                        _ = try await waiter?.lock([[1]], .exclusive, .wait)
                    } catch {
                        notes.lines.append((error as? SteleError)?.code.name ?? "")
                    }
                }
                await cluster.sleep(500_000)
                waiting.cancel()
                await waiting.value
                holder?.rollback()
                let next = try? cluster.nodes[2].backend(.user, in: cluster).begin(options)
                let locked = try? await next?.lock([[1]], .exclusive, .wait)
                notes.lines.append("locked \(locked?.first?.isLocked ?? false)")
            }
        }
        run(cluster, until: 5_000_000)
        #expect(notes.lines == ["cancelled", "locked true"])
    }

    /// What a transaction does whose lock is lost with the leader, while another one writes the key.
    private func outcomeOfALostLock(_ defect: HostDefect, locksAgain: Bool) throws -> [String] {
        let cluster = try cluster(defect: defect)
        for node in cluster.nodes { cluster.start(node) }
        let notes = Notes()
        cluster.after(2_000_000) {
            let leads: (SimulatedNode) -> Bool = { node in
                node.replica(of: .firstData)?.isServing ?? false
            }
            guard let leader = cluster.nodes.first(where: leads),
                let other = cluster.nodes.first(where: { !leads($0) })
            else { return notes.lines.append("nobody leads") }
            cluster.spawn(on: other) {
                do {
                    let transaction = try other.backend(.user, in: cluster).begin(
                        TransactionOptions(isolation: .readCommitted))
                    _ = try await transaction.lock([[1]], .exclusive, .wait)
                    cluster.crash(leader)
                    try await other.backend(.user, in: cluster).put([1], [2])
                    notes.lines.append("written")
                    if locksAgain { _ = try await transaction.lock([[1]], .exclusive, .wait) }
                    try transaction.write([1], [1])
                    try await transaction.commit()
                    notes.lines.append("committed")
                } catch {
                    notes.lines.append((error as? SteleError)?.code.name ?? "\(error)")
                }
            }
        }
        run(cluster, until: 8_000_000)
        return notes.lines
    }

    @Test(arguments: [false, true])
    func `a lock that was lost is noticed, unless a coordinator forgets it`(
        locksAgain: Bool
    ) throws {
        #expect(
            try outcomeOfALostLock(.none, locksAgain: locksAgain) == ["written", "conflict"])
        let defect: HostDefect = locksAgain ? .forgetsLockGrants : .forgetsHeldLocks
        #expect(
            try outcomeOfALostLock(defect, locksAgain: locksAgain) == ["written", "committed"])
    }
}
