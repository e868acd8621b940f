// KillWriter DIRECTORY [check|store [USER]]: writes numbers through a log and an engine until it is killed.
//
// Number n is entry n of the log; applied, it gives the key n mod 97 the value n. At its start it
// recovers both and prints "state n" if they hold exactly the numbers up to n, else "bad" and why.
// Then it prints "ack n" for all that was durable and applied up to n. With `check` it ends there.
// With `store` it only opens the engine, as another user if one is given by number. What cannot be opened is told as "refused: why", status 2.
import Glibc
import SteleBase
import SteleClock
import SteleEngine
import SteleLog
import SteleRaft
import SteleRocksDB

let tablet = TabletID(1)
let replica = ReplicaID(1)
let keys: UInt64 = 97

func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    if write(STDOUT_FILENO, bytes, bytes.count) != bytes.count { exit(3) }
}

func mutations(_ number: UInt64) -> [UInt8] {
    var list = MutationList()
    // Numbers differ in length, so that records do, and some take several sectors.
    let value = "\(number):" + String(repeating: "x", count: Int(number * 37 % 1500))
    list.put(
        key(number % keys), Array(value.utf8), at: Timestamp(rawValue: number << 12),
        by: TransactionID(number))
    return list.bytes
}

func key(_ number: UInt64) -> KeyBytes { Array("key\(number)".utf8) }

func applied(_ index: UInt64) -> AppliedState {
    AppliedState(tablet: tablet, replica: replica, index: index, term: 1)
}

/// Takes the engine to the end of the log; returns the number of the last entry.
func recover(_ log: RaftLog, _ recovered: RecoveredLog, _ engine: RocksDBEngine) throws -> UInt64 {
    guard let found = recovered.replicas.first else { return 0 }
    let frontier = try engine.persistedFrontier().first?.index ?? 0
    if frontier < found.compacted.index {
        say("bad: the log begins at \(found.compacted.index), the engine ends at \(frontier)")
    }
    if frontier > found.lastIndex {
        say("bad: the log ends at \(found.lastIndex), the engine at \(frontier)")
    }
    var next = frontier + 1
    while next <= found.lastIndex {
        let entries = try log.entries(
            of: tablet, replica: replica, from: next, upTo: found.lastIndex + 1, maxBytes: 1 << 20)
        guard let last = entries.last else {
            say("bad: entry \(next) of \(found.lastIndex) is missing")
            exit(1)
        }
        for entry in entries where entry.payload != mutations(entry.index)[...] {
            say("bad: entry \(entry.index) holds something else")
        }
        try engine.apply(entries.map(\.payload), applied: applied(last.index))
        next = last.index + 1
    }
    return found.lastIndex
}

/// Compares the engine with what the numbers up to `last` leave.
func verify(_ engine: RocksDBEngine, upTo last: UInt64) throws {
    for residue in 0..<keys {
        let number = last < residue ? 0 : last - (last - residue) % keys
        let found = try engine.newestVersion(of: key(residue), at: Timestamp(rawValue: .max))
        let prefix = number == 0 ? nil : Array("\(number):".utf8)
        let value = found?.value.map { Array($0.prefix { $0 != UInt8(ascii: ":") }) + [0x3A] }
        if value != prefix { say("bad: \(residue) is not as \(number) left it, up to \(last)") }
    }
}

let directory = CommandLine.arguments[1]
var options = LogOptions()
options.segmentBytes = 64 << 10
options.zeroedBytes = 16 << 10
let store = directory + "/store"

/// What could not be opened, said instead of a state.
func refused(_ error: any Error) -> Never {
    say("refused: \(error)")
    exit(2)
}

if CommandLine.arguments.count > 2, CommandLine.arguments[2] == "store" {
    if let user = CommandLine.arguments.dropFirst(3).first.flatMap({ uid_t($0) }) {
        // The group first, since a user who is not root may not change it.
        guard setgroups(0, nil) == 0, setgid(user) == 0, setuid(user) == 0 else { exit(4) }
    }
    do { _ = try RocksDBEngine(directory: store) } catch { refused(error) }
    exit(0)
}
let log: RaftLog
let recovered: RecoveredLog
let engine: RocksDBEngine
do {
    (log, recovered) = try RaftLog.open(directory: directory + "/log", options: options)
    engine = try RocksDBEngine(directory: store)
} catch {
    refused(error)
}
var last = try recover(log, recovered, engine)
try verify(engine, upTo: last)
say("state \(last)")
if CommandLine.arguments.count > 2 { exit(0) }

let done = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
sem_init(done, 0, 0)
/// A pointer that threads share. Safety: a semaphore is made for that.
struct Shared: @unchecked Sendable { let semaphore: UnsafeMutablePointer<sem_t> }
let shared = Shared(semaphore: done)
var rounds = 0
while true {
    let numbers = last + 1...last + 8
    for number in numbers {
        let entry = Entry(term: 1, index: number, payload: mutations(number)[...])
        var part = LogBatch.Part(tablet: tablet, replica: replica, entries: [entry])
        if number == numbers.lowerBound, rounds % 16 == 15 {
            // The log is cut behind what a flush has made durable.
            try engine.flush()
            let frontier = try engine.persistedFrontier().first?.index ?? 0
            part.compacted = LogPosition(index: frontier, term: 1)
        }
        log.append(LogBatch(parts: [part])) { result in
            if case .failure(let error) = result { say("bad: \(error)") }
            sem_post(shared.semaphore)
        }
    }
    for _ in numbers { while sem_wait(done) != 0 {} }
    last = numbers.upperBound
    try engine.apply(numbers.map { mutations($0)[...] }, applied: applied(last))
    say("ack \(last)")
    rounds += 1
}
