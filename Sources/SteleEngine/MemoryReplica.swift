import SteleBase
import SteleClock

extension MemoryEngine {
    package func export(_ scope: ReplicaScope) throws(EngineError) -> any ReplicaExport {
        try MemoryExport(state.withLock { $0.current.store }, scope)
    }

    package func makeImport(of scope: ReplicaScope) throws(EngineError) -> any ReplicaImport {
        MemoryImport(self, scope)
    }

    package func remove(_ scope: ReplicaScope) throws(EngineError) {
        try state.withLock { state throws(EngineError) in
            if state.pressure == .stopped {
                throw EngineError(.busy, "the engine is told to take no writes")
            }
            state.current.store.removeAll(of: scope)
            state.current.appliedBytes += scope.localPrefix.count
        }
    }

    /// Puts a replica in place, durably, and with it all that was applied before.
    fileprivate func replace(_ scope: ReplicaScope, with mutations: [Mutation]) {
        state.withLock { state in
            state.current.store.removeAll(of: scope)
            for mutation in mutations { state.current.store.apply(mutation) }
            state.durable = state.current
            state.pending = []
        }
    }
}

extension MemoryStore {
    fileprivate mutating func removeAll(of scope: ReplicaScope) {
        let start = scope.range.start[...]
        let end = scope.range.end[...]
        let local = KeyRange(prefix: scope.localPrefix)
        apply(.clearRange(start: start, end: end))
        apply(.clearPlain(family: .locks, start: start, end: end))
        apply(.clearPlain(family: .transactions, start: start, end: end))
        apply(.clearPlain(family: .local, start: local.start[...], end: local.end[...]))
    }
}

/// The number that versions have among the families of a chunk; see ``ReplicaChunk``.
private let versionFamily: UInt8 = 4

/// An export of the memory engine: an image, and how far it was read.
private final class MemoryExport: ReplicaExport {
    private struct State {
        var pairs: [[UInt8]]
        var next = 0
        var writer: ReplicaChunk.Writer
        var isDone = false
    }

    let applied: AppliedState
    private let state: Locked<State>

    init(_ store: MemoryStore, _ scope: ReplicaScope) throws(EngineError) {
        let key = LocalKey(tablet: scope.tablet, replica: scope.replica, item: .applied)
        applied = try AppliedState(
            exported: store.value(of: key.bytes, in: .local) ?? [], of: scope)
        state = Locked(
            State(
                pairs: Self.pairs(of: store, scope),
                writer: ReplicaChunk.Writer(
                    .init(
                        tablet: scope.tablet, range: scope.range, index: applied.index,
                        term: applied.term))))
    }

    func nextChunk(maxBytes: Int) throws(EngineError) -> [UInt8]? {
        state.withLock { state in
            if state.isDone { return nil }
            let limit = maxBytes - state.writer.frameBytes
            var bytes: [UInt8] = []
            while state.next < state.pairs.count {
                let pair = state.pairs[state.next]
                if !bytes.isEmpty, bytes.count + pair.count > limit { break }
                bytes += pair
                state.next += 1
            }
            let isLast = state.next == state.pairs.count
            state.isDone = isLast
            return bytes.withUnsafeBufferPointer { state.writer.frame($0, isLast: isLast) }
        }
    }

    private static func pairs(of store: MemoryStore, _ scope: ReplicaScope) -> [[UInt8]] {
        var pairs: [[UInt8]] = []
        for family in [PlainFamily.locks, .transactions, .local] {
            let range = family == .local ? KeyRange(prefix: scope.localPrefix) : scope.range
            for pair in store.pairs(of: range, in: family, limits: .none).pairs {
                let prefix = family == .local ? scope.localPrefix.count : 0
                let key = pair.key.dropFirst(prefix)
                pairs.append(packed(family.rawValue, key, pair.value))
            }
        }
        var position = store.data.lowerBound(of: scope.range.start)
        let end = store.data.upperBound(of: scope.range)
        while !scope.range.isEmpty, position != end {
            for version in store.data.value(at: position).reversed() {
                pairs.append(packed(store.data.key(at: position), version))
            }
            position = store.data.position(after: position)
        }
        return pairs
    }

    private static func packed(_ key: KeyBytes, _ version: Version) -> [UInt8] {
        var stored = ByteWriter(reserving: key.count + 8)
        stored.writeRaw(key)
        stored.write((~version.timestamp.rawValue).bigEndian)
        var value = ByteWriter(reserving: 9 + (version.value?.count ?? 0))
        value.write(UInt8(version.value == nil ? 2 : 1))
        value.write(version.transaction.rawValue)
        value.writeRaw(version.value ?? [])
        return packed(versionFamily, stored.bytes[...], value.bytes)
    }

    private static func packed(
        _ family: UInt8, _ key: ArraySlice<UInt8>, _ value: [UInt8]
    ) -> [UInt8] {
        var writer = ByteWriter(reserving: 9 + key.count + value.count)
        writer.write(family)
        writer.write(UInt32(key.count))
        writer.write(UInt32(value.count))
        writer.writeRaw(key)
        writer.writeRaw(value)
        return writer.bytes
    }
}

/// An import into the memory engine.
private final class MemoryImport: ReplicaImport {
    private struct State {
        var reader: ReplicaChunk.Reader
        var mutations: [Mutation] = []
        /// The last pair's place in the order of families, and its key.
        var last: (family: UInt8, key: [UInt8])?
        /// The value of the replica's applied state.
        var applied: [UInt8]?
    }

    private let engine: MemoryEngine
    private let scope: ReplicaScope
    private let state: Locked<State>

    init(_ engine: MemoryEngine, _ scope: ReplicaScope) {
        self.engine = engine
        self.scope = scope
        state = Locked(State(reader: ReplicaChunk.Reader(scope)))
    }

    func add(_ chunk: ArraySlice<UInt8>) throws(EngineError) {
        try state.withLock { state throws(EngineError) in
            let bytes = try state.reader.open(chunk)
            do throws(DecodingError) {
                var reader = ByteReader(bytes)
                while !reader.isAtEnd { try read(&reader, &state) }
            } catch {
                state.reader.refuse()
                throw EngineError(.invalidArgument, "a replica's pairs: \(error)")
            }
        }
    }

    func finish() throws(EngineError) -> AppliedState {
        let (applied, mutations) = try state.withLock { state throws(EngineError) in
            (try state.reader.finish(stored: state.applied), state.mutations)
        }
        engine.replace(scope, with: mutations)
        return applied
    }

    private func read(_ reader: inout ByteReader, _ state: inout State) throws(DecodingError) {
        let family = try reader.read(UInt8.self)
        let keyCount = Int(try reader.read(UInt32.self))
        let valueCount = Int(try reader.read(UInt32.self))
        let key = Array(try reader.readRaw(keyCount))
        let value = Array(try reader.readRaw(valueCount))
        let mutation = try mutation(family, key, value)
        if let last = state.last {
            guard last.family <= family else { throw DecodingError("families out of order") }
            if last.family == family, !Self.ascends(from: last.key, to: key, in: family) {
                throw DecodingError("keys out of order")
            }
        }
        state.last = (family, key)
        if family == PlainFamily.local.rawValue, key == [LocalKey.Item.applied.rawValue] {
            state.applied = value
        }
        state.mutations.append(mutation)
    }

    /// Versions go by user key, then newest first, which the inverted timestamp makes ascending.
    private static func ascends(
        from last: [UInt8], to key: [UInt8], in family: UInt8
    ) -> Bool {
        guard family == versionFamily else { return last.precedes(key) }
        let user = Array(key.dropLast(8))
        let lastUser = Array(last.dropLast(8))
        if lastUser == user { return Array(last.suffix(8)).precedes(Array(key.suffix(8))) }
        return lastUser.precedes(user)
    }

    /// What puts a pair in place.
    private func mutation(
        _ family: UInt8, _ key: [UInt8], _ value: [UInt8]
    ) throws(DecodingError) -> Mutation {
        guard family != versionFamily else { return try version(key, value) }
        guard let plain = PlainFamily(rawValue: family) else {
            throw DecodingError("unknown family \(family)")
        }
        if plain == .local {
            let stored = scope.localPrefix + key
            try StoredLimits.checkKey(stored.count)
            try StoredLimits.checkValue(value.count)
            if let local = LocalKey(stored), local.item == .watermark {
                let watermark = try Watermark(value)
                try StoredLimits.check(watermark.range)
                return .raiseWatermark(key: local, watermark: watermark)
            }
            return .putPlain(family: .local, key: stored[...], value: value[...])
        }
        try checkRange(key)
        if plain == .locks {
            let intent = try Intent(value[...])
            try StoredLimits.check(intent, key: key.count)
            return .putIntent(key: key[...], intent: intent)
        }
        try StoredLimits.checkKey(key.count)
        try StoredLimits.checkValue(value.count)
        return .putPlain(family: plain, key: key[...], value: value[...])
    }

    private func version(
        _ key: [UInt8], _ value: [UInt8]
    ) throws(DecodingError) -> Mutation {
        var time = ByteReader(key.suffix(8))
        var reader = ByteReader(value)
        let timestamp = Timestamp(rawValue: ~UInt64(bigEndian: try time.read(UInt64.self)))
        let kind = try reader.read(UInt8.self)
        let transaction = TransactionID(try reader.read(UInt64.self))
        let user = key.dropLast(8)
        try checkRange(Array(user))
        try StoredLimits.checkKey(user.count)
        try StoredLimits.checkValue(reader.remaining)
        switch kind {
        case 1:
            return .putVersion(
                key: user, value: reader.rest, timestamp: timestamp, transaction: transaction)
        case 2 where reader.isAtEnd:
            return .deleteVersion(key: user, timestamp: timestamp, transaction: transaction)
        default:
            throw DecodingError("a version has an unknown form")
        }
    }

    private func checkRange(_ key: KeyBytes) throws(DecodingError) {
        guard scope.range.contains(key) else {
            throw DecodingError("a key lies outside the replica")
        }
    }
}
