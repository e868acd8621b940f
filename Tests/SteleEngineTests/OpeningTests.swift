import SteleBase
import SteleEngine
import SteleRocksDB
import Testing

/// A directory that cannot be opened stays as it is, byte for byte, and the error says why.
@Suite struct OpeningTests {
    private let workload = Workload()

    /// A store with two flushes behind it, on a disk that nothing has open.
    private func closedStore() throws -> RocksDBDisk {
        let disk = try RocksDBDisk()
        let engine = try RocksDBEngine(directory: storePath, options: .on(disk))
        try workload.apply(1...10, to: engine)
        try engine.flush()
        try workload.apply(11...20, to: engine)
        try engine.flush()
        engine.close()
        return try disk.afterCrash()
    }

    private func expectRefusal(
        _ codes: Set<EngineError.Code>, opening disk: RocksDBDisk, _ comment: Comment? = nil,
        location: SourceLocation = #_sourceLocation
    ) throws {
        let before = try disk.files()
        let error = #expect(throws: EngineError.self, comment, sourceLocation: location) {
            try RocksDBEngine(directory: storePath, options: .on(disk)).close()
        }
        guard let error else { return }
        #expect(codes.contains(error.code), "\(error)", sourceLocation: location)
        #expect(error.isFatal, sourceLocation: location)
        #expect(error.isCorruption == (error.code == .corruption), sourceLocation: location)
        #expect(error.message.contains(storePath), "\(error)", sourceLocation: location)
        #expect(try disk.files() == before, comment, sourceLocation: location)
    }

    @Test func anotherEngineHasIt() throws {
        let disk = try closedStore()
        let engine = try RocksDBEngine(directory: storePath, options: .on(disk))
        // The engine that has it may still be deleting files of its own.
        var isUnchanged = false
        for _ in 0..<20 where !isUnchanged {
            let before = try disk.files()
            let error = #expect(throws: EngineError.self) {
                try RocksDBEngine(directory: storePath, options: .on(disk)).close()
            }
            #expect(error?.code == .locked && error?.message.contains(storePath) == true)
            isUnchanged = try disk.files() == before
        }
        #expect(isUnchanged)
        engine.close()
        try RocksDBEngine(directory: storePath, options: .on(disk)).close()
    }

    @Test func newerFormatAndOtherStores() throws {
        for (family, key, value) in [
            ("", "stele-format", "2"), ("", "anything", "1"), ("users", "anything", "1"),
            ("users", "stele-format", "1"),
        ] {
            let disk = try RocksDBDisk()
            try disk.makeForeignDatabase(
                at: storePath, family: family, key: key, value: value)
            try expectRefusal([.incompatible], opening: disk, "\(family) \(key) \(value)")
        }
    }

    /// Also where the files have names that RocksDB could mistake for its own.
    @Test(arguments: ["0000000000000001.log", "server.log", "LOGBOOK", "notes"])
    func aDirectoryOfSomethingElse(name: String) throws {
        let disk = try closedStore()
        for path in try disk.files().keys { try disk.remove(path) }
        try disk.write([1, 2, 3], to: storePath + "/" + name)
        try expectRefusal([.incompatible], opening: disk, "\(name)")
    }

    @Test func missingFiles() throws {
        let base = try closedStore()
        var kinds: Set<String> = []
        for path in try base.files().keys.sorted() {
            let name = String(path.split(separator: "/").last ?? "")
            guard name == "CURRENT" || name.hasPrefix("MANIFEST") || name.hasSuffix(".sst") else {
                continue
            }
            kinds.insert(name.hasSuffix(".sst") ? "table" : String(name.prefix(8)))
            let disk = try base.afterCrash()
            try disk.remove(path)
            try expectRefusal([.corruption, .io], opening: disk, "\(path) is missing")
            try disk.write([], to: path)
            try expectRefusal([.corruption, .io], opening: disk, "\(path) is empty")
            try disk.write(Array("nonsense\n".utf8), to: path)
            try expectRefusal([.corruption, .io], opening: disk, "\(path) is nonsense")
        }
        #expect(kinds == ["CURRENT", "MANIFEST", "table"])
    }

    /// Every table file cut short is noticed at once.
    @Test func cutTables() throws {
        let base = try closedStore()
        for (path, content) in try base.files().sorted(by: { $0.key < $1.key })
        where path.hasSuffix(".sst") {
            let disk = try base.afterCrash()
            try disk.write(Array(content.dropLast()), to: path)
            try expectRefusal([.corruption], opening: disk, "\(path) lacks its last byte")
        }
    }

    /// The manifest is a log: cut short, it is refused, or leads to an earlier state as a whole,
    /// which the node recognizes by an applied index that its Raft log has left behind.
    @Test func cutManifest() throws {
        let base = try closedStore()
        let (path, content) = try #require(
            base.files().first { $0.key.contains("MANIFEST") })
        var refusals = 0
        for count in stride(from: 0, to: content.count, by: 13) {
            let disk = try base.afterCrash()
            try disk.write(Array(content.prefix(count)), to: path)
            let before = try disk.files()
            do {
                let engine = try RocksDBEngine(directory: storePath, options: .on(disk))
                defer { engine.close() }
                #expect(try [0, 10, 20].contains(workload.expectConsistent(engine)))
            } catch let error as EngineError {
                refusals += 1
                #expect([.corruption, .io, .incompatible].contains(error.code), "\(error)")
                #expect(try disk.files() == before, "cut to \(count)")
            }
        }
        #expect(refusals > 0)
    }

    /// A flipped bit is an error when the store is opened, or when what it hit is read, and never a
    /// wrong answer.
    @Test func flippedBits() throws {
        let base = try closedStore()
        var found = 0
        for (path, content) in try base.files().sorted(by: { $0.key < $1.key })
        where path.hasSuffix(".sst") || path.contains("MANIFEST") || path.hasSuffix("CURRENT") {
            let step = path.hasSuffix("CURRENT") ? 3 : max(content.count / 12, 1)
            for offset in stride(from: 0, to: content.count, by: step) {
                let disk = try base.afterCrash()
                var damaged = content
                damaged[offset] ^= 0x10
                try disk.write(damaged, to: path)
                let before = try disk.files()
                var isOpen = false
                do {
                    let engine = try RocksDBEngine(directory: storePath, options: .on(disk))
                    isOpen = true
                    defer { engine.close() }
                    // Reading all of it in every family.
                    #expect(
                        try workload.expectConsistent(engine, "\(path) at \(offset)") == 20)
                } catch let error as EngineError {
                    found += 1
                    #expect(
                        [.corruption, .io, .incompatible].contains(error.code),
                        "\(path) at \(offset): \(error)")
                    if !isOpen { #expect(try disk.files() == before, "\(path) at \(offset)") }
                }
            }
        }
        #expect(found > 20)
    }
}
