import Glibc
import SteleBase

/// A deterministic file system in memory that forgets what was not synced.
///
/// A crash keeps each unsynced sector of 512 bytes or drops it, as the seed decides, and does the
/// same with each unsynced change of names. After a failed sync the pages count as clean, as in
/// Linux: they are still read back, but no later sync writes them, so a crash loses them. Handles
/// from before a crash fail.
package final class SimulatedFileSystem: FileSystem {
    /// An error to be injected into matching operations.
    package struct Fault: Sendable {
        package var operation: FileError.Operation
        /// Only paths that contain this.
        package var path: String
        /// So many matching operations succeed first.
        package var skips: Int
        package var code: Int32
        /// Whether it happens again and again or just once.
        package var isPermanent: Bool

        package init(
            _ operation: FileError.Operation, path: String = "", after skips: Int = 0, code: Int32,
            isPermanent: Bool = false
        ) {
            self.operation = operation
            self.path = path
            self.skips = skips
            self.code = code
            self.isPermanent = isPermanent
        }
    }

    struct State: Sendable {
        var random: SeededRandom
        /// Raised by a crash; handles of an earlier life fail.
        var life = 0
        var inodes: [Int: SimulatedInode] = [:]
        /// How many open handles each inode has.
        var handles: [Int: Int] = [:]
        var names = SimulatedNames()
        var locks: Set<String> = []
        var faults: [Fault] = []
        /// Operations that hang until they are let go.
        var stalled: Set<FileError.Operation> = []
        var capacity = SimulatedFileSystem.unlimited
        var injected = 0
        /// How many operations have changed something.
        var changes = 0
        /// What the disk was before each change since `record`.
        var recorded: [State]?
    }

    /// A capacity that is never reached.
    package static let unlimited = 1 << 62

    let state: Locked<State>

    /// An empty disk; `seed` decides what each crash keeps.
    package init(seed: UInt64) { state = Locked(State(random: SeededRandom(seed: seed))) }

    // MARK: What a test does to the disk

    private init(_ state: sending State) { self.state = Locked(state) }

    /// Loses power: unsynced bytes and names are kept or dropped, locks and handles are gone.
    package func crash() {
        state.withLock { state in
            state.names.crash(&state.random)
            for number in state.inodes.keys.sorted() {
                state.inodes[number]?.crash(&state.random)
            }
            state.handles = [:]
            state.dropUnreachable()
            state.locks = []
            state.life += 1
        }
    }

    /// Ends the process only: all bytes and names stay, locks and handles are gone.
    package func killProcess() {
        state.withLock { state in
            state.locks = []
            state.life += 1
        }
    }

    /// Keeps, from now on, what the disk is before each change.
    package func record() { state.withLock { $0.recorded = [] } }

    /// The disks that a crash at each change since `record` would find; `number` is that of the
    /// change. Each is to be crashed before it is used.
    package func crashPoints(seed: UInt64) -> [(number: Int, disk: SimulatedFileSystem)] {
        let states = state.withLock { $0.recorded ?? [] }
        return states.map { state in
            var state = state
            state.random = SeededRandom(seed: seed ^ UInt64(state.changes))
            return (state.changes, SimulatedFileSystem(state))
        }
    }

    /// How many operations have changed something: created, written, synced, renamed, removed.
    package var changes: Int { state.withLock(\.changes) }

    /// Makes matching operations fail.
    package func inject(_ fault: Fault) { state.withLock { $0.faults.append(fault) } }

    /// Ends all faults.
    package func clearFaults() { state.withLock { $0.faults = [] } }

    /// How many operations have failed by injection.
    package var injectedFaults: Int { state.withLock(\.injected) }

    /// Makes all operations of a kind hang until `resume`; only for callers with other threads.
    package func stall(_ operation: FileError.Operation) {
        state.withLock { _ = $0.stalled.insert(operation) }
    }

    /// Lets all hanging operations go on.
    package func resume() { state.withLock { $0.stalled = [] } }

    /// Limits the total length of all files; writes beyond it fail with ENOSPC.
    package func limit(toBytes capacity: Int) { state.withLock { $0.capacity = capacity } }

    /// All paths of files, in ascending order.
    package var paths: [String] { state.withLock { $0.names.present.keys.sorted() } }

    /// The present content of a file, nil if there is none.
    package func content(of path: String) -> [UInt8]? {
        state.withLock { state in state.names.present[path].flatMap { state.inodes[$0]?.bytes } }
    }

    /// Replaces a file's content, durably, behind everybody's back.
    package func setContent(of path: String, to bytes: [UInt8]) {
        state.withLock { state in
            let number = state.names.createDurably(path)
            state.inodes[number] = SimulatedInode(bytes: bytes)
        }
    }

    /// Flips bits of one durable byte.
    package func rot(_ path: String, at offset: Int, mask: UInt8) {
        state.withLock { state in
            guard let number = state.names.present[path] else { return }
            state.inodes[number]?.rot(at: offset, mask: mask)
        }
    }

    // MARK: The port

    package func createDirectory(_ path: String) throws(FileError) -> Bool {
        try perform(.createDirectory, path) { state in
            state.names.createDirectory(path)
        }
    }

    package func list(_ directory: String) throws(FileError) -> [String] {
        try perform(.list, directory) { state throws(FileError) in
            guard let names = state.names.list(directory) else {
                throw FileError(.list, directory, code: ENOENT)
            }
            return names
        }
    }

    package func open(_ path: String, create: Bool) throws(FileError) -> any File {
        let (number, life) = try perform(.open, path) { state throws(FileError) in
            if create, state.names.present[path] == nil {
                state.countChange()
                if let number = state.names.create(path) {
                    state.inodes[number] = SimulatedInode(bytes: [])
                }
            }
            guard let number = state.names.present[path] else {
                throw FileError(.open, path, code: ENOENT)
            }
            state.handles[number, default: 0] += 1
            return (number, state.life)
        }
        return SimulatedFile(disk: self, number: number, life: life, path: path)
    }

    package func rename(_ path: String, to newPath: String) throws(FileError) {
        let isDone = try perform(.rename, path) { $0.names.rename(path, to: newPath) }
        if !isDone { throw FileError(.rename, path, code: ENOENT) }
    }

    package func remove(_ path: String) throws(FileError) {
        let isDone = try perform(.remove, path) { $0.names.remove(path) }
        if !isDone { throw FileError(.remove, path, code: ENOENT) }
    }

    package func syncDirectory(_ path: String) throws(FileError) {
        try perform(.syncDirectory, path) { state in
            state.names.sync(directory: path)
            state.dropUnreachable()
        }
    }

    package func lock(_ path: String) throws(FileError) -> (any FileLock)? {
        let life = try perform(.lock, path) { state -> Int? in
            state.locks.insert(path).inserted ? state.life : nil
        }
        return life.map { SimulatedLock(disk: self, path: path, life: $0) }
    }

    /// Runs an operation unless a fault forbids it, once it is not stalled any more; nil stands for
    /// what the disk does by itself.
    func perform<Success: Sendable>(
        _ operation: FileError.Operation?, _ path: String,
        _ body: (inout State) throws(FileError) -> Success
    ) throws(FileError) -> Success {
        if let operation {
            while state.withLock({ $0.stalled.contains(operation) }) { usleep(100) }
        }
        return try state.withLock { state throws(FileError) in
            if let operation {
                try state.check(operation, path)
                if operation.changes { state.countChange() }
            }
            return try body(&state)
        }
    }
}

extension FileError.Operation {
    /// Whether each such operation changes the disk; opening does when it creates.
    fileprivate var changes: Bool {
        switch self {
        case .createDirectory, .write, .sync, .rename, .remove, .syncDirectory: true
        case .list, .open, .read, .lock, .inspect, .startThread: false
        }
    }
}

extension SimulatedFileSystem.State {
    /// Fails if a fault says so.
    mutating func check(_ operation: FileError.Operation, _ path: String) throws(FileError) {
        for index in faults.indices {
            let fault = faults[index]
            guard fault.operation == operation, fault.path.isEmpty || path.contains(fault.path)
            else { continue }
            if fault.skips > 0 {
                faults[index].skips -= 1
                continue
            }
            if !fault.isPermanent { faults.remove(at: index) }
            injected += 1
            throw FileError(operation, path, code: fault.code)
        }
    }

    /// Counts an operation that is about to change the disk.
    mutating func countChange() {
        if recorded != nil {
            var copy = self
            copy.recorded = nil
            recorded?.append(copy)
        }
        changes += 1
    }

    /// Frees inodes that have neither a name nor a handle.
    mutating func dropUnreachable() {
        let named = names.reachable
        inodes = inodes.filter { named.contains($0.key) || handles[$0.key] != nil }
    }

    /// Notes that a handle is gone.
    mutating func close(_ number: Int) {
        let rest = handles[number, default: 0] - 1
        handles[number] = rest > 0 ? rest : nil
    }
}
