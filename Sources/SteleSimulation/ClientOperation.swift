import SteleAPI
import SteleBase
import SteleTablet
import SteleTransaction
import SteleVerify

/// One operation of one client on the database of one node, from its invocation to its end.
///
/// Operations use what users use, `Database` and its transactions, and below them the port that the
/// SQL layer is written against, for locks, savepoints and expectations.
struct ClientOperation: Sendable {
    let cluster: SimulatedCluster
    let client: SimulatedClient
    let node: SimulatedNode
    /// How long each call waits for a leader.
    let timeout: Duration

    /// - Parameter choice: 0 to 99.
    func run(_ choice: UInt64) async {
        switch choice {
        case 0..<13: await readRegister(cluster.keyOfWindow())
        case 13..<24: await writeRegister(cluster.keyOfWindow())
        case 24..<31: await compareAndSet(cluster.keyOfWindow())
        case 31..<33: await readLocked(cluster.keyOfWindow())
        case 33..<43: await transfer()
        case 43..<53: await lockedTransfer()
        case 53..<58: await checkTotal()
        case 58..<63: await changeLists(.readCommitted)
        case 63..<70: await changeLists(.snapshotIsolation)
        case 70..<77: await changeLists(.serializable)
        case 77..<80: await changeDuty()
        case 80..<88: await changeGroup()
        case 88..<92: await changeFamily()
        case 92..<96: await useQueue()
        default: await stamp()
        }
    }

    // MARK: Means

    var database: Database { node.database(.user, in: cluster) }

    /// Begins a transaction by hand, in the part of the keyspace that users have.
    func begin(_ options: TransactionOptions) throws -> any TransactionBackend {
        try node.backend(.user, in: cluster).begin(options)
    }

    /// Runs a transaction by hand and commits it, or gives it up with the first error.
    func transact(
        _ options: TransactionOptions, _ body: (any TransactionBackend) async throws -> Void
    ) async {
        do {
            let transaction = try begin(options)
            do {
                try await body(transaction)
                try await transaction.commit()
            } catch {
                abandon(transaction)
                throw error
            }
        } catch {
            expect(error)
        }
    }

    func below(_ bound: Int) -> Int { Int(cluster.clientRandom.below(UInt64(bound))) }

    func oneIn(_ odds: UInt64) -> Bool { cluster.clientRandom.oneIn(odds) }

    /// One in four waits for locks without an end.
    func options(_ isolation: Isolation) -> TransactionOptions {
        var options = TransactionOptions(
            isolation: isolation, lockTimeout: oneIn(4) ? nil : timeout)
        options.callTimeout = timeout
        return options
    }

    /// For a few calls that only read, and end in any case.
    var readOptions: TransactionOptions {
        var options = TransactionOptions(
            isolation: .snapshot, isReadOnly: true, timeout: timeout * 4)
        options.callTimeout = timeout
        return options
    }

    var anyIsolation: Isolation {
        [.serializable, .snapshot, .readCommitted][below(3)]
    }

    /// Goes on at once, or after long enough for a leader to fall and another one to serve; never
    /// beyond the end of the load, when the cluster would only wait for the client.
    func hesitate() async {
        if oneIn(cluster.scenario.hesitationOdds) {
            let length = cluster.clientRandom.uniform(100_000...1_500_000)
            let (now, end) = (cluster.now, cluster.workload.end)
            await cluster.sleep(min(length, end > now ? end - now : 0))
        }
    }

    /// Goes on at once, or after long enough for some other transaction to commit.
    func pause() async {
        if oneIn(2) { await cluster.sleep(cluster.clientRandom.uniform(100...30_000)) }
    }

    /// Gives a transaction up by a call, or by letting go of it.
    func abandon(_ transaction: any TransactionBackend) {
        if !oneIn(3) { transaction.rollback() }
    }

    // MARK: Histories

    func invoke(_ operation: History.Operation, at level: AppendChecker.Level? = nil) {
        cluster.trace.note(
            .client, at: cluster.now, UInt64(client.process), 0,
            "process \(client.process): \(operation)")
        cluster.record(level) { [time = cluster.now * 1_000] in
            $0.invoke(operation, process: client.process, time: time)
        }
    }

    func complete(
        _ type: History.EventType, _ operation: History.Operation? = nil,
        at level: AppendChecker.Level? = nil
    ) {
        cluster.trace.note(
            .client, at: cluster.now, UInt64(client.process), 1,
            "process \(client.process): \(type.rawValue) \(operation.map { "\($0)" } ?? "")")
        cluster.record(level) { [time = cluster.now * 1_000] in
            $0.complete(type, operation, process: client.process, time: time)
        }
        if type == .info { client.process += cluster.scenario.clients }
    }

    /// How an operation ended that an error ended.
    func ending(_ error: any Error) -> History.EventType {
        expect(error)
        return (error as? SteleError)?.commitOutcome == .unknown ? .info : .fail
    }

    /// Ends the run if an error cannot come from anything that happens in it.
    func expect(_ error: any Error) {
        let known: [SteleError.Code] = [
            .conflict, .deadlock, .lockNotAvailable, .commitOutcomeUnknown, .unavailable,
            .overloaded, .cancelled, .timedOut, .transactionClosed, .stopped,
        ]
        // Of a reader whose node failed or was cut off, others do not know for how long it reads.
        let mayBeTooOld = cluster.scenario.hasFaults
        guard let code = (error as? SteleError)?.code,
            known.contains(code) || mayBeTooOld && code == .snapshotTooOld
        else {
            return cluster.fail("a client was told: \(error)")
        }
    }
}

extension SimulatedCluster {
    /// Changes the history of a level's lists, or that of the registers.
    func record(_ level: AppendChecker.Level?, _ change: (inout History) -> Void) {
        guard let level else { return change(&result.history) }
        change(&result.lists[level, default: History()])
    }
}
