import SteleBase
import SteleEngine
import SteleRocksDB

/// Chunks of an exported replica, as a disk or a network may deliver them, to both engines.
///
/// The first byte says whether the input holds whole chunks or only pairs, which are framed here
/// with checksums that are right, and whether the applied state that the frames name is put among
/// them, without which nothing is taken. Both engines must agree on what they take, refuse the rest with
/// a typed error that changes nothing, and what they took must come out of them again.
package func fuzzReplicaChunk(_ bytes: UnsafeRawBufferPointer) {
    var input = FuzzInput(bytes)
    var chunks: [[UInt8]] = []
    let form = input.byte()
    let isFramed = form & 1 == 0
    var hasApplied = form & 2 != 0
    var writer = ReplicaChunk.Writer(
        .init(
            tablet: scope.tablet, range: scope.range, index: applied.index, term: applied.term))
    repeat {
        let content = isFramed ? input.bytes(atMost: 1 << 12) : pairs(&input, &hasApplied)
        if isFramed {
            chunks.append(content)
        } else {
            let isLast = input.isAtEnd
            chunks.append(content.withUnsafeBufferPointer { writer.frame($0, isLast: isLast) })
        }
    } while !input.isAtEnd
    do throws(EngineError) {
        try bring(chunks)
    } catch {
        invariantFailed("no chunk may make an engine fail: \(error)")
    }
}

/// Pairs whose families and lengths mostly fit their contents, and the applied state in its place
/// unless there is one already.
private func pairs(_ input: inout FuzzInput, _ hasApplied: inout Bool) -> [UInt8] {
    var writer = ByteWriter()
    func append(_ family: UInt8, _ key: [UInt8], _ value: [UInt8]) {
        writer.write(family)
        writer.write(UInt32(key.count))
        writer.write(UInt32(value.count))
        writer.writeRaw(key)
        writer.writeRaw(value)
    }
    let item = [LocalKey.Item.applied.rawValue]
    for _ in 0..<input.byte() % 8 where !input.isAtEnd {
        let choice = input.byte()
        let family = choice < 250 ? choice % 4 + 1 : choice
        let key = input.bytes(atMost: 64)
        let value = input.bytes(atMost: 200)
        if !hasApplied, family > 3 || family == 3 && !key.precedes(item) {
            append(3, item, applied.localValue)
            hasApplied = true
        }
        append(family, key, value)
    }
    if input.byte() > 250 { writer.writeRaw(input.bytes(atMost: 20)) }
    if !hasApplied, input.isAtEnd {
        append(3, item, applied.localValue)
        hasApplied = true
    }
    return writer.bytes
}

private let scope = ReplicaScope(
    tablet: TabletID(1), replica: ReplicaID(2), range: KeyRange(start: [], end: [0x7A]))

private let applied = AppliedState(
    tablet: scope.tablet, replica: scope.replica, index: 5, term: 2)

/// One store for all inputs, empty between them.
private let emptied = Result { () throws(EngineError) in
    try RocksDBEngine(directory: "/fuzz", options: .init(disk: try RocksDBDisk()))
}

private func bring(_ chunks: [[UInt8]]) throws(EngineError) {
    let memory = MemoryEngine()
    let rocksDB = try emptied.get()
    let results = (take(chunks, memory), take(chunks, rocksDB))
    switch results {
    case (.success(let left), .success(let right)):
        invariant(left == right, "\(left) and \(right) were taken from the same chunks")
        let stored = try memory.value(of: left.localKey.bytes, in: .local)
        invariant(stored == left.localValue, "\(left) was taken, and something else is stored")
    case (.failure(let left), .failure(let right)):
        invariant(left.code == .invalidArgument && right.code == left.code, "\(left), \(right)")
        try compareEngines(rocksDB, MemoryEngine())
    default:
        invariantFailed("the engines disagree: \(results)")
    }
    try compareEngines(memory, rocksDB)
    let again = (exported(memory), exported(rocksDB))
    invariant(again.0 == again.1, "the engines export differently")
    try rocksDB.remove(scope)
    if case .success = results.0 { invariant(again.0 != nil, "what was taken is not exported") }
    if let chunks = again.0 {
        let copy = MemoryEngine()
        let taken = take(chunks, copy)
        if case .failure(let error) = taken {
            invariantFailed("an export is refused: \(error)")
        }
        try compareEngines(memory, copy)
    }
}

private func take(
    _ chunks: [[UInt8]], _ engine: any StorageEngine
) -> Result<AppliedState, EngineError> {
    Result { () throws(EngineError) in
        let build = try engine.makeImport(of: scope)
        for chunk in chunks { try build.add(chunk[...]) }
        return try build.finish()
    }
}

/// The chunks of the replica, if it has an applied state.
private func exported(_ engine: any StorageEngine) -> [[UInt8]]? {
    do throws(EngineError) {
        let export = try engine.export(scope)
        var chunks: [[UInt8]] = []
        while let chunk = try export.nextChunk(maxBytes: 200) { chunks.append(chunk) }
        return chunks
    } catch {
        invariant(
            error.code == .invalidArgument || error.code == .corruption, "the export: \(error)")
        return nil
    }
}
