// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

/// A target of ours: layers name what they may import, see DESIGN in Stele.docc.
func layer(
    _ name: String, _ dependencies: [Target.Dependency] = [], path: String? = nil
) -> Target {
    .target(name: name, dependencies: dependencies, path: path, swiftSettings: settings)
}

func tests(
    _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []
) -> Target {
    .testTarget(
        name: name, dependencies: dependencies, exclude: exclude, swiftSettings: settings)
}

/// An executable that hands the body of one fuzz target to libFuzzer; see Fuzz/run.
func fuzzer(_ name: String) -> Target {
    .executableTarget(
        name: name, dependencies: ["SteleFuzzing"], path: "Fuzz/\(name)", swiftSettings: settings)
}

let core: [Target.Dependency] = [
    "SteleBase", "SteleClock", "SteleAPI", "SteleRaft", "SteleEngine", "SteleTablet",
    "SteleTransaction", "SteleCluster",
]
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioLocks: Target.Dependency = .product(name: "NIOConcurrencyHelpers", package: "swift-nio")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let lifecycle: Target.Dependency = .product(
    name: "ServiceLifecycle", package: "swift-service-lifecycle")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let arguments: Target.Dependency = .product(
    name: "ArgumentParser", package: "swift-argument-parser")
let histogram: Target.Dependency = .product(name: "Histogram", package: "hdrhistogram-swift")

let package = Package(
    name: "stele",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "Stele", targets: ["Stele"]),
        .library(name: "SteleClient", targets: ["SteleClient"]),
        .library(name: "StelePostgres", targets: ["StelePostgres"]),
        .library(name: "SteleSimulation", targets: ["SteleSimulation", "SteleVerify"]),
        .executable(name: "stele", targets: ["SteleCommand"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        // Values
        // C because CRC instructions, a mutex and some system calls have no name in Swift.
        .target(name: "CSteleBase"),
        layer("SteleBase", ["CSteleBase", deque]),
        layer("SteleClock", ["SteleBase"]),
        layer("SteleAPI", ["SteleBase", "SteleClock"]),

        // Core: synchronous, no IO
        layer("SteleRaft", ["SteleBase"]),
        layer("SteleEngine", ["SteleBase", "SteleClock"]),
        layer(
            "SteleTablet",
            ["SteleBase", "SteleClock", "SteleAPI", "SteleRaft", "SteleEngine", deque]),
        layer(
            "SteleTransaction",
            ["SteleBase", "SteleClock", "SteleAPI", "SteleEngine", "SteleTablet"]),
        layer(
            "SteleCluster",
            ["SteleBase", "SteleClock", "SteleAPI", "SteleRaft", "SteleEngine", "SteleTablet"]),

        // Edge: files, sockets, C++
        .systemLibrary(
            name: "CRocksDBLibrary", pkgConfig: "rocksdb",
            providers: [.apt(["librocksdb-dev"]), .yum(["rocksdb-devel"]), .brew(["rocksdb"])]),
        .target(
            name: "CRocksDB", dependencies: ["CRocksDBLibrary"],
            linkerSettings: [.linkedLibrary("rocksdb")]),
        layer("SteleRocksDB", ["SteleBase", "SteleClock", "SteleEngine", "CRocksDB"]),
        layer("SteleLog", ["SteleBase", "SteleRaft"]),
        layer("SteleWire", ["SteleBase", "SteleClock", "SteleAPI", "SteleRaft"]),
        layer(
            "SteleTransport",
            ["SteleBase", "SteleAPI", "SteleWire", "SteleCluster", nioCore, nioPosix, logging]),

        // Products
        layer(
            "Stele",
            core + [
                "SteleRocksDB", "SteleLog", "SteleWire", "SteleTransport", nioCore, nioPosix,
                nioLocks, logging, lifecycle,
            ]),
        layer(
            "SteleClient",
            [
                "SteleBase", "SteleClock", "SteleAPI", "SteleWire", nioCore, nioPosix, nioLocks,
                logging,
            ]),
        // Load for `stele bench` and for the benchmarks' rivals.
        layer("SteleBench", ["SteleBase", arguments, histogram]),
        .systemLibrary(
            name: "CPgQuery",
            providers: [.apt(["libpg-query-dev", "libprotobuf-c-dev"])]),
        layer("SteleSQL", ["SteleBase", "SteleClock", "SteleAPI", "CPgQuery"]),
        layer(
            "StelePostgres",
            ["SteleBase", "SteleAPI", "SteleSQL", nioCore, nioPosix, nioLocks, logging]),
        layer("SteleVerify", ["SteleBase", "SteleClock"]),
        layer("SteleSimulation", core + ["SteleVerify"]),
        .executableTarget(
            name: "SteleCommand",
            dependencies: [
                "Stele", "SteleBase", "SteleAPI", "SteleClient", "SteleSQL", "StelePostgres",
                "SteleTransport", "SteleWire", "SteleSimulation", "SteleVerify", "SteleBench",
                nioCore, nioPosix, logging, lifecycle, arguments,
            ],
            swiftSettings: settings),

        // Tests
        tests("SteleBaseTests", ["SteleBase", "SteleAPI"]),
        tests("SteleClockTests", ["SteleBase", "SteleClock"]),
        tests("SteleRaftTests", ["SteleBase", "SteleRaft"], exclude: ["Scripts"]),
        tests(
            "SteleEngineTests", ["SteleBase", "SteleClock", "SteleEngine", "SteleRocksDB"]),
        tests(
            "SteleTabletTests",
            ["SteleBase", "SteleClock", "SteleAPI", "SteleRaft", "SteleEngine", "SteleTablet"]),
        tests("SteleTransactionTests", core),
        tests(
            "SteleClusterTests",
            [
                "SteleBase", "SteleClock", "SteleRaft", "SteleEngine", "SteleTablet",
                "SteleCluster", "WireSamples",
            ]),
        tests("SteleLogTests", ["SteleBase", "SteleRaft", "SteleLog"]),
        // A process to be killed, and the tests that kill it.
        .executableTarget(
            name: "KillWriter",
            dependencies: [
                "SteleBase", "SteleClock", "SteleRaft", "SteleEngine", "SteleLog", "SteleRocksDB",
            ],
            path: "Tests/KillWriter", swiftSettings: settings),
        tests("SteleKillTests", ["KillWriter"]),
        // One of every message, for the tests of the protocol and the fuzzers of it.
        layer(
            "WireSamples",
            [
                "SteleBase", "SteleClock", "SteleAPI", "SteleRaft", "SteleEngine", "SteleTablet",
                "SteleCluster", "SteleWire",
            ], path: "Tests/WireSamples"),
        tests(
            "SteleWireTests",
            ["SteleBase", "SteleClock", "SteleAPI", "SteleWire", "WireSamples"]),
        tests(
            "SteleTransportTests",
            [
                "SteleBase", "SteleAPI", "SteleRaft", "SteleTablet", "SteleCluster", "SteleWire",
                "SteleTransport", nioCore, nioPosix, logging,
            ]),
        tests(
            "SteleClientTests",
            [
                "SteleBase", "SteleClock", "SteleAPI", "SteleCluster", "SteleWire",
                "SteleTransport", "SteleClient", nioCore, nioPosix, logging,
            ]),
        tests(
            "SteleTests",
            [
                "SteleBase", "SteleAPI", "SteleTablet", "SteleTransaction", "SteleCluster",
                "SteleWire", "SteleTransport", "Stele", nioCore, nioPosix, logging, lifecycle,
            ]),
        tests(
            "StelePostgresTests",
            [
                "SteleBase", "SteleAPI", "SteleSQL", "StelePostgres", nioCore, nioPosix, nioLocks,
            ]),
        // PostgreSQL 15, which is asked the same as the tests' sessions where it is there.
        .target(name: "PostgresJudge", path: "Tests/PostgresJudge", swiftSettings: settings),
        tests(
            "SteleSQLTests", ["SteleBase", "SteleClock", "SteleAPI", "SteleSQL", "PostgresJudge"]),
        tests("SteleBenchTests", ["SteleBase", "SteleBench", arguments]),
        tests("SteleVerifyTests", ["SteleBase", "SteleVerify"]),
        tests("SteleSimulationTests", core + ["SteleSimulation", "SteleVerify"]),
        .target(name: "CAllocationHooks", path: "Benchmarks/CAllocationHooks"),
        tests(
            "SteleSQLSimulationTests",
            core + [
                "SteleSQL", "StelePostgres", "SteleSimulation", "SteleVerify", "CAllocationHooks",
            ]),

        // Fuzzing: bodies, the executables that run them, and the replay of all they ever found
        .target(
            name: "SteleFuzzing",
            dependencies: [
                "SteleBase", "SteleClock", "SteleAPI", "SteleRaft", "SteleEngine", "SteleCluster",
                "SteleRocksDB", "SteleLog", "SteleWire", "SteleSQL", "StelePostgres",
            ],
            path: "Fuzz/Bodies", swiftSettings: settings),
        fuzzer("FuzzCanary"),
        fuzzer("FuzzClient"),
        fuzzer("FuzzCopy"),
        fuzzer("FuzzDatum"),
        fuzzer("FuzzLogRecovery"),
        fuzzer("FuzzMutationList"),
        fuzzer("FuzzPeer"),
        fuzzer("FuzzPostgres"),
        fuzzer("FuzzRaft"),
        fuzzer("FuzzReplicaChunk"),
        fuzzer("FuzzSQL"),
        fuzzer("FuzzTuple"),
        tests(
            "SteleFuzzingTests",
            ["SteleBase", "SteleCluster", "SteleWire", "SteleFuzzing", "WireSamples"]),
        tests(
            "SteleComparisonTests",
            [
                "SteleBase", "SteleSQL", "StelePostgres", "SteleFuzzing", "PostgresJudge", nioCore,
                nioPosix,
            ]),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)

// Benchmarks are built only when asked for: STELE_BENCHMARKS=1, as Benchmarks/compare sets it.
if Context.environment["STELE_BENCHMARKS"] == "1" {
    package.dependencies += [
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0")
    ]
    package.targets += [
        .executableTarget(
            name: "SteleBenchmarks",
            dependencies: core + ["SteleRocksDB", "SteleLog", "SteleWire", "CAllocationHooks"],
            path: "Benchmarks/SteleBenchmarks", swiftSettings: settings),
        .executableTarget(
            name: "EtcdBench",
            dependencies: [
                "SteleBench", "SteleBase", nioCore, nioPosix, arguments,
                .product(name: "NIOHTTP2", package: "swift-nio-http2"),
                .product(name: "NIOHPACK", package: "swift-nio-http2"),
            ],
            path: "Benchmarks/EtcdBench", swiftSettings: settings),
    ]
}
