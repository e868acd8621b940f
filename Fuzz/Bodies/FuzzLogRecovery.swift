import SteleBase
import SteleLog
import SteleRaft

/// A directory of segment files as a crash, rot or a stranger may leave it, opened as a log.
///
/// The first byte says what the rest of the input is:
/// - files, byte by byte;
/// - records, sealed here with checksums that are right, so that what lies behind them is reached;
/// - the life of a log that was written, and then damage to its files.
///
/// Whatever it is, opening either gives an error that says what is damaged, and leaves the files as
/// they are, or it gives a log that the next opening finds again, with what was appended between.
/// A log that was written comes back in one of the states that it went through.
package func fuzzLogRecovery(_ bytes: UnsafeRawBufferPointer) {
    var input = FuzzInput(bytes)
    let disk = SimulatedFileSystem(seed: 1)
    switch input.byte() % 3 {
    case 0:
        while !input.isAtEnd {
            let path = "log/" + fileName(input.byte())
            disk.setContent(of: path, to: input.bytes(atMost: 4 << 10))
        }
        recover(disk, statesWere: nil)
    case 1:
        SealedLog.write(&input, to: disk)
        recover(disk, statesWere: nil)
    default:
        let states = writtenStates(&input, disk)
        damage(&input, disk)
        recover(disk, statesWere: states)
    }
}

/// Names of segments, of spares, and some that only look like such.
private func fileName(_ choice: UInt8) -> String {
    switch choice % 10 {
    case 0: "LOCK"
    case 1: "0000000000000002.spare"
    case 2: "ffffffffffffffff.log"
    case 3: "+000000000000001.log"
    case 4: "000000000000000A.log"
    default: "000000000000000\(choice % 10).log"
    }
}

// MARK: Opening

private let options: LogOptions = {
    var options = LogOptions(saltSeed: 7)
    options.segmentBytes = 3 << 10
    options.zeroedBytes = 1 << 10
    options.movedBytes = 200
    return options
}()

/// All that a log holds.
private struct LogContent: Equatable {
    struct Replica: Equatable {
        var tablet: TabletID
        var replica: ReplicaID
        var hardState: HardState
        var compacted: LogPosition
        var entries: [Entry]
    }

    var nodeRecord: [UInt8]?
    var replicas: [Replica] = []
}

private func open(
    _ disk: SimulatedFileSystem
) throws(LogError) -> (writer: LogWriter, content: LogContent) {
    let (writer, log) = try LogWriter.open(directory: "log", fileSystem: disk, options: options)
    var content = LogContent(nodeRecord: log.nodeRecord)
    for found in log.replicas {
        let entries = try writer.entries(
            of: found.tablet, replica: found.replica, from: found.compacted.index + 1, upTo: .max,
            maxBytes: .max)
        invariant(
            found.compacted.index + UInt64(entries.count) == found.lastIndex,
            "entries of \(found.tablet) are missing")
        invariant(entries.suffix(found.tail.count) == found.tail[...], "the tail differs")
        content.replicas.append(
            LogContent.Replica(
                tablet: found.tablet, replica: found.replica, hardState: found.hardState,
                compacted: found.compacted, entries: entries))
    }
    return (writer, content)
}

private func recover(_ disk: SimulatedFileSystem, statesWere states: [LogContent]?) {
    let before = disk.paths.map { disk.content(of: $0) }
    do throws(LogError) {
        var (writer, content) = try open(disk)
        if let states { invariant(states.contains(content), "a state that never was") }
        if content.replicas.isEmpty { content.replicas.append(.absent) }
        let expected = try append(to: writer, content)
        writer.close()
        disk.crash()
        let again = try open(disk)
        invariant(again.content == expected, "the second opening finds another log")
    } catch {
        switch error {
        case .corrupt, .unsupportedVersion, .foreignDirectory: break
        default: invariantFailed("no damage may lead to: \(error)")
        }
        invariant(disk.paths.map { disk.content(of: $0) } == before, "files changed by \(error)")
    }
}

extension LogContent.Replica {
    /// One that no entry was written for.
    fileprivate static var absent: Self {
        Self(
            tablet: TabletID(1), replica: ReplicaID(1), hardState: HardState(),
            compacted: LogPosition(index: 0, term: 0), entries: [])
    }
}

/// Appends one entry to the first replica; returns what the log holds then.
private func append(
    to writer: LogWriter, _ content: LogContent
) throws(LogError) -> LogContent {
    var content = content
    let target = content.replicas[0]
    let last = target.entries.last?.index ?? target.compacted.index
    guard last < .max - 1 else { return content }
    let entry = Entry(term: target.entries.last?.term ?? 1, index: last + 1, payload: [1, 2])
    let part = LogBatch.Part(tablet: target.tablet, replica: target.replica, entries: [entry])
    try writer.encode(LogBatch(parts: [part]))
    try writer.write()
    try writer.sync()
    content.replicas[0].entries.append(entry)
    return content
}

// MARK: A log that was written, then damaged

/// Writes a log; returns the states that it went through, as an undamaged opening finds them.
private func writtenStates(
    _ input: inout FuzzInput, _ disk: SimulatedFileSystem
) -> [LogContent] {
    var states = [LogContent()]
    do throws(LogError) {
        var content = LogContent()
        let (writer, _) = try LogWriter.open(directory: "log", fileSystem: disk, options: options)
        for _ in 0..<input.byte() % 24 {
            let batch = nextBatch(&input, &content)
            try writer.encode(batch)
            states.append(content)
            try writer.write()
            if input.byte() % 4 == 0 { continue }
            try writer.sync()
            _ = try writer.upkeep()
        }
        if input.byte() % 2 == 0 { writer.close() }
        if input.byte() % 2 == 0 { disk.crash() } else { disk.killProcess() }
    } catch {
        invariantFailed("no log that is written may fail: \(error)")
    }
    return states
}

/// A part for one of two replicas, and what it leaves.
private func nextBatch(_ input: inout FuzzInput, _ content: inout LogContent) -> LogBatch {
    let choice = input.byte()
    let tablet = TabletID(UInt64(choice & 1) + 1)
    let place = content.replicas.firstIndex { $0.tablet == tablet } ?? content.replicas.count
    var replica = LogContent.Replica.absent
    replica.tablet = tablet
    if place < content.replicas.count { replica = content.replicas.remove(at: place) }
    var part = LogBatch.Part(tablet: tablet, replica: replica.replica)
    if choice & 2 != 0 {
        part.hardState = HardState(term: UInt64(input.byte()), vote: ReplicaID(2), commit: 1)
        replica.hardState = part.hardState ?? replica.hardState
    }
    if choice & 4 != 0, let middle = replica.entries.dropFirst(Int(input.byte() % 4)).first {
        part.compacted = middle.position
        replica.compacted = middle.position
        replica.entries.removeAll { $0.index <= middle.index }
    }
    if choice & 8 != 0, !replica.entries.isEmpty { replica.entries.removeLast() }
    var next = (replica.entries.last?.index ?? replica.compacted.index) + 1
    // What was cut off above is overwritten by at least one entry.
    for _ in 0..<max(choice >> 4 & 3, choice >> 3 & 1) {
        let payload = [UInt8](repeating: input.byte(), count: Int(input.byte()) * 4)
        part.entries.append(Entry(term: 1, index: next, payload: payload[...]))
        next += 1
    }
    replica.entries += part.entries
    content.replicas.append(replica)
    content.replicas.sort { $0.tablet < $1.tablet }
    return LogBatch(parts: [part])
}

/// Changes bytes, lengths and names of the files.
private func damage(_ input: inout FuzzInput, _ disk: SimulatedFileSystem) {
    while !input.isAtEnd {
        let paths = disk.paths.filter { $0.hasSuffix(".log") || $0.hasSuffix(".spare") }
        guard !paths.isEmpty else { return }
        let path = paths[Int(input.byte()) % paths.count]
        var bytes = disk.content(of: path) ?? []
        let place = bytes.isEmpty ? 0 : Int(input.number()) % bytes.count
        switch input.byte() % 6 {
        case 0 where !bytes.isEmpty: bytes[place] ^= 1 << (input.byte() % 8)
        case 1: bytes.removeLast(bytes.count - place)
        case 2:
            let end = min(place / 512 * 512 + 512, bytes.count)
            for offset in place / 512 * 512..<end { bytes[offset] = 0 }
        case 3: bytes += input.bytes(atMost: 1 << 10)
        case 4:
            // What another file holds at the same place, as after a write that went astray.
            let other = disk.content(of: paths[Int(input.byte()) % paths.count]) ?? []
            let end = min(place / 512 * 512 + 512, bytes.count, other.count)
            for offset in stride(from: place / 512 * 512, to: end, by: 1) {
                bytes[offset] = other[offset]
            }
        default:
            try? disk.remove(path)
            continue
        }
        disk.setContent(of: path, to: bytes)
    }
}
