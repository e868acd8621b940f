import SteleAPI
import SteleBase
import SteleClock
import SteleTablet
import SteleVerify

/// One process that works: one operation at a time, each at a random node.
final class SimulatedClient {
    let number: Int
    /// Its name in the history; a new one after every unknown outcome.
    var process: Int

    init(number: Int) {
        self.number = number
        process = number
    }
}

/// What the clients of a run share.
struct WorkloadState {
    var clients: [SimulatedClient] = []
    var isRunning = false
    var operations = 0
    /// The next name of a snapshot that is read in several steps.
    var nextReader = 0
    /// The next element of the queue.
    var nextElement = 0
    var nextValue = 1
    /// What came of every commit that a client heard about.
    var outcomes: [(transaction: TransactionID, outcome: CommitOutcome)] = []
    var busyClients = 0
    /// Names of processes that are not clients, for reads at the end.
    var nextProcess = 1_000_000
}

/// The keys that the workload uses.
enum WorkloadKeys {
    static let accounts = 5
    static let openingBalance = 100
    /// Operations on a window of registers until it moves on.
    static let operationsPerWindow = 60
    static let window = 4

    /// Every third register lies in the system tablet.
    static func register(_ number: Int) -> KeyBytes {
        [number % 3 == 0 ? 0 : 1, 0x72, UInt8(number >> 8 & 0xFF), UInt8(number & 0xFF)]
    }

    /// Elements that a queue holds; each new one takes the place of the oldest.
    static let queueLength = 4

    static func element(_ number: Int) -> KeyBytes {
        [1, 0x71, UInt8(number >> 8 & 0xFF), UInt8(number & 0xFF)]
    }

    static func account(_ number: Int) -> KeyBytes { [1, 0x61, UInt8(number)] }

    static var allAccounts: [KeyBytes] { (0..<accounts).map(account) }

    static func encode(_ value: Int) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(Int64(value))
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]?) -> Int? {
        guard let bytes else { return nil }
        var reader = ByteReader(bytes)
        return (try? reader.read(Int64.self)).map { Int($0) }
    }
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
        workload.operations += 1
        workload.busyClients += 1
        let node = nodes[Int(clientRandom.below(UInt64(nodes.count)))]
        let timeout = clientRandom.uniform(300_000...2_000_000)
        let done: () -> Void = { [self] in
            workload.busyClients -= 1
            after(clientRandom.uniform(scenario.thinkTime / 4...scenario.thinkTime * 7 / 4)) {
                [self] in work(client)
            }
        }
        guard node.isUp else { return done() }
        let operation = ClientOperation(
            cluster: self, client: client, node: node, timeout: timeout, done: done)
        switch clientRandom.below(100) {
        case 0..<25: operation.read(register())
        case 25..<45: operation.write(register())
        case 45..<60: operation.compareAndSet(register())
        case 60..<67: operation.lockedUpdate(register())
        case 67..<70: operation.lockedRead(register())
        case 70..<85: operation.transfer(isLocking: false)
        case 85..<90: operation.transfer(isLocking: true)
        case 90..<95: operation.enqueue()
        default: operation.snapshot()
        }
    }

    /// A register of the present window, so that no key's history grows too long to be checked.
    private func register() -> Int {
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

    /// Notes what a client heard about its commit; nil is a node that crashed before it answered.
    func note(_ reply: TabletReply?, of transaction: TransactionID) -> CommitOutcome {
        let outcome = reply?.commitOutcome ?? .unknown
        workload.outcomes.append((transaction, outcome))
        switch outcome {
        case .committed: result.counts.commits += 1
        case .failed: result.counts.failed += 1
        case .unknown: result.counts.unknown += 1
        }
        return outcome
    }
}
