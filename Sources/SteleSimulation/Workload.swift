import SteleAPI
import SteleBase
import SteleClock
import SteleTablet
import SteleTransaction
import SteleVerify

/// One process that works: one operation at a time, each at a random node.
final class SimulatedClient: @unchecked Sendable {
    // Safety: used in the thread that runs the simulation only.
    let number: Int
    /// Its name in the histories; a new one after every unknown outcome.
    var process: Int
    /// Operations that have ended.
    var done = 0

    init(number: Int) {
        self.number = number
        process = number
    }
}

/// What the clients of a run share.
struct WorkloadState {
    var clients: [SimulatedClient] = []
    var isRunning = false
    /// When clients stop beginning operations.
    var end: UInt64 = 0
    var operations = 0
    var nextValue = 1
    /// What came of every commit that a coordinator heard about.
    var outcomes: [(transaction: TransactionID, outcome: CommitOutcome)] = []
    var busyClients = 0
    /// Names of processes that are not clients, for reads at the end.
    var nextProcess = 1_000_000
    /// Lists that were appended to, by level.
    var lists: [AppendChecker.Level: Set<Int>] = [:]
    /// The version of the stamp that clients believe in.
    var believedStamp = 0
    /// Somebody was seen on duty: from then on somebody always is.
    var wasOnDuty = false
    /// Jobs that were taken off the queue.
    var takenJobs: Set<KeyBytes> = []
}

/// The keys that the workload uses, each within a keyspace.
enum WorkloadKeys {
    static let accounts = 5
    static let openingBalance = 100
    /// Operations on a window of registers or lists until it moves on.
    static let operationsPerWindow = 60
    static let window = 4

    /// Every third register lies in the system tablet.
    static func keyspace(ofRegister number: Int) -> Keyspace {
        number % 3 == 0 ? .system : .user
    }

    static func register(_ number: Int) -> KeyBytes { Key("register", number).keyBytes }

    static func account(_ number: Int) -> KeyBytes { Key("account", number).keyBytes }

    static var allAccounts: [KeyBytes] { (0..<accounts).map(account) }

    static func decode(_ bytes: [UInt8]?) -> Int? { bytes.flatMap { try? Int(steleBytes: $0) } }
}

extension SimulatedCluster {
    func startClients() {
        workload.isRunning = true
        for number in 0..<scenario.clients {
            let client = SimulatedClient(number: number)
            workload.clients.append(client)
            after(clientRandom.below(scenario.thinkTime)) { [self] in work(client) }
        }
    }

    /// Does one operation, then rests, then goes on.
    private func work(_ client: SimulatedClient) {
        guard workload.isRunning else { return }
        let node = nodes[Int(clientRandom.below(UInt64(nodes.count)))]
        let operation = ClientOperation(
            cluster: self, client: client, node: node,
            timeout: .microseconds(clientRandom.uniform(300_000...2_000_000)))
        let rest = clientRandom.uniform(scenario.thinkTime / 4...scenario.thinkTime * 7 / 4)
        guard node.isUp else { return after(rest) { [self] in work(client) } }
        workload.operations += 1
        workload.busyClients += 1
        let choice = clientRandom.below(100)
        let task = spawn(on: node) { [self] in
            await operation.run(choice)
            client.done += 1
            workload.busyClients -= 1
            after(rest) { [self] in work(client) }
        }
        let (done, life) = (client.done, node.life)
        guard clientRandom.oneIn(12) else { return }
        after(clientRandom.uniform(0...100_000)) { [self] in
            let cancelled = now
            task.cancel()
            // It may be resting, which no cancel ends, and it may have to run on a bad node.
            after(3_000_000) { [self] in
                let isWell = node.lastFault < cancelled && node.pausedUntil < cancelled
                if client.done == done, node.life == life, isWell {
                    fail("operation \(choice) at \(node.id) was cancelled and has not ended")
                }
            }
        }
    }

    /// A register or list of the present window, so that no key's history grows too long.
    func keyOfWindow() -> Int {
        let window = workload.operations / WorkloadKeys.operationsPerWindow
        return window * 2 + Int(clientRandom.below(UInt64(WorkloadKeys.window)))
    }

    /// The registers that were used so far, the newest ones last.
    var usedRegisters: Range<Int> {
        0..<workload.operations / WorkloadKeys.operationsPerWindow * 2 + WorkloadKeys.window
    }

    func newValue() -> Int {
        workload.nextValue += 1
        return workload.nextValue
    }

    /// A name for a process that does one thing.
    func newProcess() -> Int {
        workload.nextProcess += 1
        return workload.nextProcess
    }
}
