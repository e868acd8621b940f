import Foundation
import SteleFuzzing
import Testing

/// The corpora, and whatever was ever found with them, run through the bodies of the fuzz targets.
@Suite struct ReplayTests {
    private static let folder: String = {
        let parts = #filePath.split(separator: "/").dropLast(3)
        return "/" + parts.joined(separator: "/") + "/Fuzz"
    }()

    private func inputs(of target: String, in kind: String) -> [[UInt8]] {
        let folder = "\(Self.folder)/\(kind)/\(target)"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.sorted().map { name in
            [UInt8](FileManager.default.contents(atPath: "\(folder)/\(name)") ?? Data())
        }
    }

    @Test(arguments: fuzzTargets.map(\.name))
    func `corpus and earlier findings pass`(name: String) async throws {
        let target = try #require(fuzzTargets.first { $0.name == name })
        let corpus = inputs(of: name, in: "Corpus")
        #expect(!corpus.isEmpty, "\(name) has no corpus")
        let all = corpus + inputs(of: name, in: "FailCases")
        // A thread of its own: targets wait for tasks, which need those of the pool.
        await withCheckedContinuation { continuation in
            Thread {
                for input in all { input.withUnsafeBytes { target.body($0) } }
                continuation.resume()
            }.start()
        }
    }

    @Test func `every executable, corpus and finding belongs to a target of the table`() throws {
        let names = Set(fuzzTargets.map(\.name))
        #expect(names.count == fuzzTargets.count)
        let executables = try FileManager.default.contentsOfDirectory(atPath: Self.folder)
            .filter { $0.hasPrefix("Fuzz") }
        #expect(Set(executables) == names)
        let dictionaries = try FileManager.default.contentsOfDirectory(
            atPath: Self.folder + "/Dictionaries")
        let named = names.subtracting(["FuzzCanary"]).map { "\($0).dict" }
        #expect(Set(dictionaries) == Set(named))
        for kind in ["Corpus", "FailCases"] {
            let folder = "\(Self.folder)/\(kind)"
            let found = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
            #expect(names.isSuperset(of: found), "\(kind): \(found)")
        }
    }

    #if os(Linux) || os(macOS)
        @Test func `the planted bug of the canary ends the process`() async {
            await #expect(processExitsWith: .failure) {
                Array("STEL".utf8).withUnsafeBytes { fuzzCanary($0) }
            }
        }
    #endif
}
