import SteleAPI
import SteleBase

extension ClientRequest {
    /// The bytes of the request, framed.
    package func frame() -> [UInt8] {
        Frame.encode(.request) { writer in
            writer.write(id)
            body.encode(into: &writer)
        }
    }

    package init(decoding payload: ArraySlice<UInt8>) throws(DecodingError) {
        var reader = ByteReader(payload)
        let id = try reader.read(UInt64.self)
        self.init(id: id, body: try Body(from: &reader))
        try reader.expectEnd()
    }
}

extension ClientRequest.Body {
    func encode(into writer: inout ByteWriter) {
        switch self {
        case .status: writer.write(UInt8(1))
        case .initialize: writer.write(UInt8(2))
        case .bootstrap(let membership):
            writer.write(UInt8(3))
            membership.encode(into: &writer)
        case .database(let keyspace, let verb):
            writer.write(UInt8(4))
            writer.write(keyspace.rawValue)
            verb.encode(into: &writer)
        }
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        let kind = try reader.read(UInt8.self)
        switch kind {
        case 1: self = .status
        case 2: self = .initialize
        case 3: self = .bootstrap(try ClusterMembership(from: &reader))
        case 4:
            let keyspace = try reader.readCase(ClientKeyspace.self)
            self = .database(keyspace, try DatabaseVerb(from: &reader))
        default: throw DecodingError("\(kind) is no kind of request")
        }
    }
}

extension DatabaseVerb {
    func encode(into writer: inout ByteWriter) {
        switch self {
        case .get(let key):
            writer.write(UInt8(1))
            writer.writeBytes(key)
        case .put(let key, let value):
            writer.write(UInt8(2))
            writer.writeBytes(key)
            writer.writeBytes(value)
        case .delete(let key):
            writer.write(UInt8(3))
            writer.writeBytes(key)
        case .scan(let scan):
            writer.write(UInt8(4))
            scan.encode(into: &writer)
        case .compareAndSet(let key, let expected, let new):
            writer.write(UInt8(5))
            writer.writeBytes(key)
            writer.write(optional: expected)
            writer.write(optional: new)
        case .increment(let key, let by):
            writer.write(UInt8(6))
            writer.writeBytes(key)
            writer.write(by)
        case .transaction(let step):
            writer.write(UInt8(7))
            step.encode(into: &writer)
        }
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        let kind = try reader.read(UInt8.self)
        switch kind {
        case 1: self = .get(try reader.readKey())
        case 2:
            let key = try reader.readKey()
            self = .put(key, Array(try reader.readBytes()))
        case 3: self = .delete(try reader.readKey())
        case 4: self = .scan(try ScanRequest(from: &reader))
        case 5:
            let key = try reader.readKey()
            let expected = try reader.readOptionalBytes()
            self = .compareAndSet(key, expected: expected, new: try reader.readOptionalBytes())
        case 6:
            let key = try reader.readKey()
            self = .increment(key, by: try reader.read(Int64.self))
        case 7: self = .transaction(try TransactionStep(from: &reader))
        default: throw DecodingError("\(kind) is no kind of database operation")
        }
    }
}

extension ScanRequest {
    func encode(into writer: inout ByteWriter) {
        writer.write(range)
        writer.writeVarint(UInt64(max(limit, 0)))
        writer.write(reverse)
        writer.write(writes != nil)
        if let writes { writer.writeVarint(UInt64(max(writes, 0))) }
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        let range = try reader.readRange()
        let limit = Int(clamping: try reader.readVarint())
        let reverse = try reader.readBool()
        let writes = try reader.readBool() ? Int(clamping: try reader.readVarint()) : nil
        self.init(range: range, limit: limit, reverse: reverse, writes: writes)
    }
}

extension TransactionStep {
    func encode(into writer: inout ByteWriter) {
        writer.write(handle)
        writer.write(begin != nil)
        if let begin { writer.write(begin) }
        writer.writeVarint(UInt64(effects.count))
        for effect in effects { effect.encode(into: &writer) }
        action.encode(into: &writer)
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        let handle = try reader.read(UInt64.self)
        let begin = try reader.readBool() ? try reader.readOptions() : nil
        let count = try reader.readCount()
        guard count <= Self.effectLimit else {
            throw DecodingError("a step has \(count) effects, \(Self.effectLimit) are allowed")
        }
        var effects: [Effect] = []
        for _ in 0..<count { effects.append(try Effect(from: &reader)) }
        self.init(
            handle: handle, begin: begin, effects: effects, action: try Action(from: &reader))
    }
}

extension TransactionStep.Effect {
    func encode(into writer: inout ByteWriter) {
        switch self {
        case .write(let key, let value):
            writer.write(UInt8(1))
            writer.writeBytes(key)
            writer.write(optional: value)
        case .beginStatement: writer.write(UInt8(2))
        case .savepoint(let number):
            writer.write(UInt8(3))
            writer.writeVarint(number)
        case .rollbackTo(let number):
            writer.write(UInt8(4))
            writer.writeVarint(number)
        case .expect(let key, let value):
            writer.write(UInt8(5))
            writer.writeBytes(key)
            writer.write(optional: value)
        }
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        let kind = try reader.read(UInt8.self)
        switch kind {
        case 1:
            let key = try reader.readKey()
            self = .write(key, try reader.readOptionalBytes())
        case 2: self = .beginStatement
        case 3: self = .savepoint(try reader.readVarint())
        case 4: self = .rollbackTo(try reader.readVarint())
        case 5:
            let key = try reader.readKey()
            self = .expect(key, try reader.readOptionalBytes())
        default: throw DecodingError("\(kind) is no kind of effect")
        }
    }
}

extension TransactionStep.Action {
    func encode(into writer: inout ByteWriter) {
        switch self {
        case .none: writer.write(UInt8(1))
        case .get(let keys):
            writer.write(UInt8(2))
            writer.write(keys: keys)
        case .scan(let scan):
            writer.write(UInt8(3))
            scan.encode(into: &writer)
        case .lock(let keys, let mode, let wait, let others):
            writer.write(UInt8(4))
            writer.write(keys: keys)
            writer.write(mode.rawValue)
            writer.write(wait.rawValue)
            writer.write(keys: others)
        case .commit: writer.write(UInt8(5))
        case .rollback: writer.write(UInt8(6))
        }
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        let kind = try reader.read(UInt8.self)
        switch kind {
        case 1: self = .none
        case 2: self = .get(try reader.readKeys())
        case 3: self = .scan(try ScanRequest(from: &reader))
        case 4:
            let keys = try reader.readKeys()
            let mode = try reader.readCase(LockMode.self)
            let wait = try reader.readCase(LockWait.self)
            self = .lock(keys, mode, wait, reading: try reader.readKeys())
        case 5: self = .commit
        case 6: self = .rollback
        default: throw DecodingError("\(kind) is no kind of transaction step")
        }
    }
}

extension ByteWriter {
    fileprivate mutating func write(keys: [KeyBytes]) {
        writeVarint(UInt64(keys.count))
        for key in keys { writeBytes(key) }
    }
}

extension ByteReader {
    fileprivate mutating func readKeys() throws(DecodingError) -> [KeyBytes] {
        var keys: [KeyBytes] = []
        for _ in 0..<(try readCount()) { keys.append(try readKey()) }
        return keys
    }
}
