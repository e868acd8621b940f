import Glibc
import SteleBase
import Synchronization

/// A deterministic file system in memory that forgets what was not synced.
///
/// A crash keeps each unsynced sector of 512 bytes or drops it, as the seed decides, and keeps a
/// prefix of the unsynced changes of names. After a failed sync the pages count as clean, as in
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
        var nextInode = 1
        var inodes: [Int: SimulatedInode] = [:]
        /// How many open handles each inode has.
        var handles: [Int: Int] = [:]
        var names: [String: Int] = [:]
        /// The names as they were after each change since the last sync; the first is durable.
        var history: [[String: Int]] = [[:]]
        var locks: Set<String> = []
        var faults: [Fault] = []
        var capacity = SimulatedFileSystem.unlimited
        var injected = 0
    }

    /// A capacity that is never reached.
    package static let unlimited = 1 << 62

    let state: Mutex<State>

    /// An empty disk; `seed` decides what each crash keeps.
    package init(seed: UInt64) { state = Mutex(State(random: SeededRandom(seed: seed))) }

    // MARK: What a test does to the disk

    /// Loses power: unsynced bytes and names are kept or dropped, locks and handles are gone.
    package func crash() {
        state.withLock { state in
            let kept = Int(state.random.below(UInt64(state.history.count)))
            state.names = state.history[kept]
            state.history = [state.names]
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

    /// Makes matching operations fail.
    package func inject(_ fault: Fault) { state.withLock { $0.faults.append(fault) } }

    /// Ends all faults.
    package func clearFaults() { state.withLock { $0.faults = [] } }

    /// How many operations have failed by injection.
    package var injectedFaults: Int { state.withLock(\.injected) }

    /// Limits the total length of all files; writes beyond it fail with ENOSPC.
    package func limit(toBytes capacity: Int) { state.withLock { $0.capacity = capacity } }

    /// All paths, in ascending order.
    package var paths: [String] { state.withLock { $0.names.keys.sorted() } }

    /// The present content of a file, nil if there is none.
    package func content(of path: String) -> [UInt8]? {
        state.withLock { state in state.names[path].flatMap { state.inodes[$0]?.bytes } }
    }

    /// Replaces a file's content, durably, behind everybody's back.
    package func setContent(of path: String, to bytes: [UInt8]) {
        state.withLock { state in
            let number = state.number(of: path, creates: true) ?? 0
            state.inodes[number] = SimulatedInode(bytes: bytes)
            for index in state.history.indices { state.history[index][path] = number }
        }
    }

    /// Flips bits of one durable byte.
    package func rot(_ path: String, at offset: Int, mask: UInt8) {
        state.withLock { state in
            guard let number = state.names[path] else { return }
            state.inodes[number]?.rot(at: offset, mask: mask)
        }
    }

    // MARK: The port

    package func createDirectory(_ path: String) throws(FileError) {}

    package func list(_ directory: String) throws(FileError) -> [String] {
        try state.withLock { state throws(FileError) in
            try state.check(.list, directory)
            let prefix = directory + "/"
            let paths = state.names.keys.filter { $0.hasPrefix(prefix) }
            return paths.map { String($0.dropFirst(prefix.count)) }.sorted()
        }
    }

    package func open(_ path: String, create: Bool) throws(FileError) -> any File {
        let (number, life) = try state.withLock { state throws(FileError) in
            try state.check(.open, path)
            guard let number = state.number(of: path, creates: create) else {
                throw FileError(.open, path, code: ENOENT)
            }
            state.handles[number, default: 0] += 1
            return (number, state.life)
        }
        return SimulatedFile(disk: self, number: number, life: life, path: path)
    }

    package func rename(_ path: String, to newPath: String) throws(FileError) {
        try state.withLock { state throws(FileError) in
            try state.check(.rename, path)
            guard let number = state.names.removeValue(forKey: path) else {
                throw FileError(.rename, path, code: ENOENT)
            }
            state.names[newPath] = number
            state.history.append(state.names)
        }
    }

    package func remove(_ path: String) throws(FileError) {
        try state.withLock { state throws(FileError) in
            try state.check(.remove, path)
            guard state.names.removeValue(forKey: path) != nil else {
                throw FileError(.remove, path, code: ENOENT)
            }
            state.history.append(state.names)
        }
    }

    package func syncDirectory(_ path: String) throws(FileError) {
        try state.withLock { state throws(FileError) in
            try state.check(.syncDirectory, path)
            state.history = [state.names]
            state.dropUnreachable()
        }
    }

    package func lock(_ path: String) throws(FileError) -> (any FileLock)? {
        let life = try state.withLock { state throws(FileError) -> Int? in
            try state.check(.lock, path)
            return state.locks.insert(path).inserted ? state.life : nil
        }
        return life.map { SimulatedLock(disk: self, path: path, life: $0) }
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

    /// Frees inodes that have neither a name nor a handle.
    mutating func dropUnreachable() {
        let named = Set(names.values)
        inodes = inodes.filter { named.contains($0.key) || handles[$0.key] != nil }
    }

    /// Notes that a handle is gone.
    mutating func close(_ number: Int) {
        let rest = handles[number, default: 0] - 1
        handles[number] = rest > 0 ? rest : nil
    }

    /// The inode of a path, a new one if there is none and `creates`.
    mutating func number(of path: String, creates: Bool) -> Int? {
        if let number = names[path] { return number }
        if !creates { return nil }
        let number = nextInode
        nextInode += 1
        inodes[number] = SimulatedInode(bytes: [])
        names[path] = number
        history.append(names)
        return number
    }
}
