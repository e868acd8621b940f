import SteleAPI
import SteleBase
import SteleClock

/// A node's answer to a ``ClientRequest``.
package struct ClientReply: Sendable {
    /// The request's.
    package var id: UInt64
    package var body: Body

    package enum Body: Sendable {
        case done
        case value([UInt8]?)
        case values([[UInt8]?])
        case page(RowPage)
        case locked([LockedValue])
        /// Whether the value was replaced, and if not, what it is.
        case swapped(Bool, current: [UInt8]?)
        /// The number after an increment.
        case number(Int64)
        case committed(Timestamp)
        case status(StatusReport)
        case failed(SteleError)
    }

    package init(id: UInt64, body: Body) {
        self.id = id
        self.body = body
    }
}

extension ClientReply {
    /// The bytes of the reply, framed. One that no message can hold is replaced by an error, and by
    /// nothing else: values that take no room of their own here would take it there.
    package func frame() -> [UInt8] {
        let size = body.sizeHint
        guard size <= Limits.messageBytes else {
            let error = SteleError(LimitExceeded(.messageBytes, count: size))
            return ClientReply(id: id, body: .failed(error)).frame()
        }
        return Frame.encode(.reply, reserving: size) { writer in
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

extension ClientReply.Body {
    /// About how many bytes the coding takes, and not less where it takes many.
    fileprivate var sizeHint: Int {
        switch self {
        case .value(let value): 32 + (value?.count ?? 0)
        case .values(let values): values.reduce(32) { $0 + 8 + ($1?.count ?? 0) }
        case .page(let page):
            page.rows.reduce(64 + (page.rest?.start.count ?? 0) + (page.rest?.end.count ?? 0)) {
                $0 + 8 + $1.key.count + $1.value.count
            }
        case .locked(let values): values.reduce(32) { $0 + 8 + ($1.value?.count ?? 0) }
        case .swapped(_, let current): 32 + (current?.count ?? 0)
        default: 64
        }
    }

    fileprivate func encode(into writer: inout ByteWriter) {
        switch self {
        case .done: writer.write(UInt8(1))
        case .value(let value):
            writer.write(UInt8(2))
            writer.write(optional: value)
        case .values(let values):
            writer.write(UInt8(3))
            writer.writeVarint(UInt64(values.count))
            for value in values { writer.write(optional: value) }
        case .page(let page):
            writer.write(UInt8(4))
            page.encode(into: &writer)
        case .locked(let values):
            writer.write(UInt8(5))
            writer.writeVarint(UInt64(values.count))
            for value in values {
                writer.write(value.isLocked)
                writer.write(optional: value.value)
            }
        case .swapped(let isSwapped, let current):
            writer.write(UInt8(6))
            writer.write(isSwapped)
            writer.write(optional: current)
        case .number(let number):
            writer.write(UInt8(7))
            writer.write(number)
        case .committed(let timestamp):
            writer.write(UInt8(8))
            writer.write(timestamp.rawValue)
        case .status(let report):
            writer.write(UInt8(9))
            report.encode(into: &writer)
        case .failed(let error):
            writer.write(UInt8(10))
            writer.write(error)
        }
    }

    fileprivate init(from reader: inout ByteReader) throws(DecodingError) {
        let kind = try reader.read(UInt8.self)
        switch kind {
        case 1: self = .done
        case 2: self = .value(try reader.readOptionalBytes())
        case 3:
            var values: [[UInt8]?] = []
            for _ in 0..<(try reader.readCount()) {
                values.append(try reader.readOptionalBytes())
            }
            self = .values(values)
        case 4: self = .page(try RowPage(from: &reader))
        case 5:
            var values: [LockedValue] = []
            for _ in 0..<(try reader.readCount(ofAtLeast: 2)) {
                let isLocked = try reader.readBool()
                values.append(
                    LockedValue(isLocked: isLocked, value: try reader.readOptionalBytes()))
            }
            self = .locked(values)
        case 6:
            let isSwapped = try reader.readBool()
            self = .swapped(isSwapped, current: try reader.readOptionalBytes())
        case 7: self = .number(try reader.read(Int64.self))
        case 8: self = .committed(try reader.readTimestamp())
        case 9: self = .status(try StatusReport(from: &reader))
        case 10: self = .failed(try reader.readError())
        default: throw DecodingError("\(kind) is no kind of reply")
        }
    }
}

extension RowPage {
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.write(rest != nil)
        if let rest { writer.write(rest) }
        writer.writeVarint(UInt64(rows.count))
        for row in rows {
            writer.writeBytes(row.key)
            writer.writeBytes(row.value)
        }
    }

    /// The rows are slices of one copy of what `reader` had left, not of the network's buffer.
    fileprivate init(from reader: inout ByteReader) throws(DecodingError) {
        let rest = try reader.readBool() ? try reader.readRange() : nil
        let count = try reader.readCount(ofAtLeast: 2)
        var copy = ByteReader(Array(reader.rest))
        var rows: [Row] = []
        rows.reserveCapacity(count)
        for _ in 0..<count {
            let key = try copy.readBytes()
            rows.append(Row(key: key, value: try copy.readBytes()))
        }
        _ = try reader.readRaw(reader.remaining - copy.remaining)
        self.init(rows: rows, rest: rest)
    }
}
