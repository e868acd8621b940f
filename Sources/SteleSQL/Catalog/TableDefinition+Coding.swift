import SteleBase

/// How a table's definition is stored. The first byte is the format's version.
extension TableDefinition {
    private static let format: UInt8 = 1

    private enum Initial {
        static let none: UInt8 = 0
        static let constant: UInt8 = 1
        static let function: UInt8 = 2
    }

    func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.write(Self.format)
        writer.writeVarint(UInt64(oid))
        writer.writeVarint(UInt64(version))
        writer.writeVarint(UInt64(storage))
        writer.writeString(name)
        writer.writeVarint(UInt64(columns.count))
        for column in columns {
            writer.writeString(column.name)
            writer.writeVarint(UInt64(column.type.oid))
            writer.write(column.type.modifier)
            writer.write(column.isNotNull)
            switch column.initial {
            case nil: writer.write(Initial.none)
            case .constant(let value):
                writer.write(Initial.constant)
                var bytes: [UInt8] = []
                RowCoder(columns: [column.type]).encode([value], into: &bytes)
                writer.writeBytes(bytes)
            case .function(let function):
                writer.write(Initial.function)
                writer.write(function.rawValue)
            }
        }
        writer.writeVarint(UInt64(primaryKey.count))
        for column in primaryKey { writer.writeVarint(UInt64(column)) }
        writer.writeString(keyName)
        return writer.bytes
    }

    convenience init(encoded bytes: [UInt8]) throws(SQLError) {
        do throws(DecodingError) {
            var reader = ByteReader(bytes)
            guard try reader.read(UInt8.self) == Self.format else {
                throw DecodingError("unknown format")
            }
            let oid = try reader.readID()
            let version = try reader.readID()
            let storage = try reader.readID()
            let name = try reader.readString()
            var columns: [Column] = []
            for _ in 0..<(try reader.readCount()) { columns.append(try Self.column(&reader)) }
            var primaryKey: [Int] = []
            for _ in 0..<(try reader.readCount()) {
                let column = try reader.readVarint()
                guard column < columns.count else { throw DecodingError("a key column is missing") }
                primaryKey.append(Int(column))
            }
            let keyName = try reader.readString()
            try reader.expectEnd()
            self.init(
                oid: oid, name: name, version: version, storage: storage, columns: columns,
                primaryKey: primaryKey, keyName: keyName)
        } catch {
            throw SQLError("XX001", "a table's definition is damaged: \(error.description)")
        }
    }

    private static func column(_ reader: inout ByteReader) throws(DecodingError) -> Column {
        let name = try reader.readString()
        let oid = try reader.readID()
        let modifier = try reader.read(Int32.self)
        guard let type = SQLType(oid: oid, modifier: modifier) else {
            throw DecodingError("unknown type \(oid)")
        }
        let isNotNull = try reader.readBool()
        var initial: ColumnDefault?
        switch try reader.read(UInt8.self) {
        case Initial.none: break
        case Initial.constant:
            let bytes = try reader.readBytes()
            do throws(SQLError) {
                initial = .constant(try RowCoder(columns: [type]).decode(bytes)[0])
            } catch { throw DecodingError(error.message) }
        case Initial.function:
            guard let function = ColumnDefault.DefaultFunction(
                rawValue: try reader.read(UInt8.self))
            else { throw DecodingError("unknown default") }
            initial = .function(function)
        default: throw DecodingError("unknown default")
        }
        return Column(name: name, type: type, isNotNull: isNotNull, initial: initial)
    }
}

extension ByteReader {
    fileprivate mutating func readID() throws(DecodingError) -> UInt32 {
        guard let id = UInt32(exactly: try readVarint()), id < .max else {
            throw DecodingError("an id is out of range")
        }
        return id
    }
}
