import SteleBase

/// The names of a simulated disk: those that are seen, those that would survive a crash for sure,
/// and the changes in between, each of which a crash keeps or drops on its own.
struct SimulatedNames: Sendable {
    /// A change that happens in full or not at all; it belongs to one directory.
    private struct Change: Sendable {
        var directory: String
        var files: [(path: String, inode: Int?)] = []
        var newDirectory: String?
    }

    /// The inode of each path.
    private(set) var present: [String: Int] = [:]
    private var directories: Set<String> = ["."]
    private var durable: [String: Int] = [:]
    private var durableDirectories: Set<String> = ["."]
    private var pending: [Change] = []
    private var nextInode = 1

    /// All inodes that a name leads to, or would after some crash.
    var reachable: Set<Int> {
        var numbers = Set(present.values).union(durable.values)
        for change in pending { numbers.formUnion(change.files.compactMap(\.inode)) }
        return numbers
    }

    /// The names in a directory in ascending order, nil if there is no such directory.
    func list(_ directory: String) -> [String]? {
        guard directories.contains(directory) else { return nil }
        let paths = present.keys.filter { FilePath.parent(of: $0) == directory }
        return paths.map { FilePath.name(of: $0) }.sorted()
    }

    /// False if it exists already.
    mutating func createDirectory(_ path: String) -> Bool {
        guard directories.insert(path).inserted else { return false }
        pending.append(Change(directory: FilePath.parent(of: path), newDirectory: path))
        return true
    }

    /// The inode of a new name, nil if its directory does not exist.
    mutating func create(_ path: String) -> Int? {
        guard directories.contains(FilePath.parent(of: path)) else { return nil }
        let number = nextInode
        nextInode += 1
        set([(path, number)])
        return number
    }

    mutating func rename(_ path: String, to newPath: String) -> Bool {
        guard let number = present[path] else { return false }
        set([(path, nil), (newPath, number)])
        return true
    }

    mutating func remove(_ path: String) -> Bool {
        guard present[path] != nil else { return false }
        set([(path, nil)])
        return true
    }

    /// A name, and its directory, that no crash takes away; returns its inode.
    mutating func createDurably(_ path: String) -> Int {
        let number = present[path] ?? nextInode
        nextInode = max(nextInode, number + 1)
        let directory = FilePath.parent(of: path)
        directories.insert(directory)
        durableDirectories.insert(directory)
        present[path] = number
        durable[path] = number
        return number
    }

    /// Makes the names in a directory durable; says nothing of the directory's own name.
    mutating func sync(directory: String) {
        for change in pending where change.directory == directory { makeDurable(change) }
        pending.removeAll { $0.directory == directory }
    }

    /// Keeps some of the changes that were not synced, and what they leave is all there is.
    mutating func crash(_ random: inout SeededRandom) {
        let mode = random.below(4)
        let cut = random.below(UInt64(pending.count + 1))
        for (number, change) in pending.enumerated() {
            let keeps =
                switch mode {
                case 0: false
                case 1: true
                case 2: UInt64(number) < cut
                default: random.oneIn(2)
                }
            if keeps { makeDurable(change) }
        }
        pending = []
        let existing = durableDirectories
        durable = durable.filter { existing.contains(FilePath.parent(of: $0.key)) }
        present = durable
        directories = durableDirectories
    }

    private mutating func set(_ files: [(path: String, inode: Int?)]) {
        for (path, inode) in files { present[path] = inode }
        pending.append(Change(directory: FilePath.parent(of: files[0].path), files: files))
    }

    private mutating func makeDurable(_ change: Change) {
        for (path, inode) in change.files { durable[path] = inode }
        if let directory = change.newDirectory { durableDirectories.insert(directory) }
    }
}
