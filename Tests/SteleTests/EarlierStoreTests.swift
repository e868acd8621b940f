import Foundation
import Logging
import Stele
import SteleAPI
import Testing

/// A store whose manifest lost its end opens as an earlier state; the node must not serve that.
@Suite struct EarlierStoreTests {
    private let root = FileManager.default.temporaryDirectory
        .appendingPathComponent("stele-earlier-\(UUID().uuidString)").path

    private func start(_ name: String) async throws -> Node {
        var logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        logger.logLevel = .critical
        return try await Node.start(
            NodeConfiguration(directory: "\(root)/\(name)", cacheBytes: 8 << 20, logger: logger))
    }

    /// Where the records of a file in RocksDB's log format end: each has a header of seven bytes,
    /// with a checksum (4), the length (2) and the type (1). This one ends within a block.
    private func recordEnds(_ bytes: [UInt8]) -> [Int] {
        var ends: [Int] = []
        var offset = 0
        while offset + 7 <= min(bytes.count, 32 << 10) {
            offset += 7 + Int(bytes[offset + 4]) + Int(bytes[offset + 5]) << 8
            ends.append(offset)
        }
        return ends
    }

    @Test func `whatever the manifest lost, nothing acknowledged is missing`() async throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        for life in 0..<3 {
            let node = try await start("whole")
            for number in 0..<10 { try await node.database.put("\(life)-\(number)", number) }
            try await node.stop()
        }
        let store = "\(root)/whole/store"
        let name = try #require(
            FileManager.default.contentsOfDirectory(atPath: store)
                .first { $0.hasPrefix("MANIFEST") })
        let content = FileManager.default.contents(atPath: "\(store)/\(name)")
        let manifest = [UInt8](try #require(content))
        let ends = recordEnds(manifest)
        #expect(ends.last == manifest.count && ends.count > 2)
        var replays = 0
        for end in ends.dropLast().suffix(6) {
            let copy = "\(end)"
            try FileManager.default.copyItem(atPath: "\(root)/whole", toPath: "\(root)/\(copy)")
            let cut = FileManager.default.createFile(
                atPath: "\(root)/\(copy)/store/\(name)", contents: Data(manifest[..<end]))
            try #require(cut)
            let node: Node
            do {
                node = try await start(copy)
            } catch let error as SteleError {
                #expect(error.code == .storage, "\(error)")
                continue
            }
            replays += 1
            for life in 0..<3 {
                for number in 0..<10 {
                    let found = try await node.database.get("\(life)-\(number)", as: Int.self)
                    #expect(found == number, "cut to \(end): \(life)-\(number)")
                }
            }
            try await node.stop()
        }
        #expect(replays > 0)
    }
}
