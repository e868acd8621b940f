/// One fuzz target: its name, which is that of its executable and corpus, and what it runs.
package struct FuzzTarget: Sendable {
    package let name: String
    package let body: @Sendable (UnsafeRawBufferPointer) -> Void
}

/// All fuzz targets. The executables each run one; the tests run corpora and findings of all.
package let fuzzTargets: [FuzzTarget] = [
    FuzzTarget(name: "FuzzCanary", body: fuzzCanary),
    FuzzTarget(name: "FuzzLogRecovery", body: fuzzLogRecovery),
    FuzzTarget(name: "FuzzMutationList", body: fuzzMutationList),
    FuzzTarget(name: "FuzzRaft", body: fuzzRaft),
    FuzzTarget(name: "FuzzReplicaChunk", body: fuzzReplicaChunk),
    FuzzTarget(name: "FuzzTuple", body: fuzzTuple),
]
