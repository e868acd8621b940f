// SteleBenchmarks SUITE: measures one part and prints it; see Benchmarks/compare.
import CAllocationHooks
import Glibc

let suites: [(name: String, run: () throws -> [Row])] = [
    ("base", baseSuite),
    ("raft", raftSuite),
    ("storage", storageSuite),
    ("storage-log", logSuite),
    ("storage-engine", engineSuite),
    ("storage-large", largeEngineSuite),
]

func end(_ message: String, status: Int32) -> Never {
    let line = Array((message + "\n").utf8)
    _ = write(STDERR_FILENO, line, line.count)
    exit(status)
}

guard CommandLine.arguments.count == 2,
    let suite = suites.first(where: { $0.name == CommandLine.arguments[1] })
else {
    let names = suites.map(\.name).joined(separator: "|")
    end("usage: SteleBenchmarks \(names)", status: 2)
}
// A counter that sees nothing would report every path as free of allocations.
guard stele_allocations_supported() == 1, countAllocations({ keep([suite.name]) }) == 1,
    countOwnAllocations({ keep([suite.name]) }) == 1
else {
    end("heap allocations cannot be counted here", status: 1)
}
do {
    report(suite.name, try suite.run())
} catch {
    end("\(error)", status: 1)
}
