/// One fuzz target: its name, which is that of its executable and corpus, and what it runs.
package struct FuzzTarget: Sendable {
    package let name: String
    package let body: @Sendable (UnsafeRawBufferPointer) -> Void
}

/// All fuzz targets. The executables each run one; the tests run corpora and findings of all.
package let fuzzTargets: [FuzzTarget] = [
    FuzzTarget(name: "FuzzCanary", body: fuzzCanary),
    FuzzTarget(name: "FuzzClient", body: fuzzClient),
    FuzzTarget(name: "FuzzCopy", body: fuzzCopy),
    FuzzTarget(name: "FuzzDatum", body: fuzzDatum),
    FuzzTarget(name: "FuzzLogRecovery", body: fuzzLogRecovery),
    FuzzTarget(name: "FuzzMutationList", body: fuzzMutationList),
    FuzzTarget(name: "FuzzPeer", body: fuzzPeer),
    FuzzTarget(name: "FuzzPostgres", body: fuzzPostgres),
    FuzzTarget(name: "FuzzRaft", body: fuzzRaft),
    FuzzTarget(name: "FuzzReplicaChunk", body: fuzzReplicaChunk),
    FuzzTarget(name: "FuzzSQL", body: fuzzSQL),
    FuzzTarget(name: "FuzzTuple", body: fuzzTuple),
]
