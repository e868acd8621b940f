import SteleBase
import SteleSQL

// Result rows. Values go from the engine's datums straight into the outgoing buffer, in the form
// that the client asked for.

extension BackendWriter {
    /// Describes the columns of the rows that follow, or would follow.
    package mutating func rowDescription(_ columns: [ResultColumn]) {
        message("T") {
            $0.int16(Int16(truncatingIfNeeded: columns.count))
            for column in columns {
                $0.string(column.name)
                $0.int32(Int32(bitPattern: column.tableOID))
                $0.int16(column.attributeNumber)
                $0.int32(Int32(bitPattern: column.type.oid))
                $0.int16(column.type.size)
                $0.int32(column.type.modifier)
                $0.int16(column.format)
            }
        }
    }

    /// One row, with as many values as `columns`, whose times are shown in `zone`.
    ///
    /// Short values of types with a width, and of byte strings, can be long when they are shown.
    ///
    /// - Returns: false, and nothing is appended, if the row is longer than any may be.
    @discardableResult
    package mutating func dataRow(
        _ values: [Datum], _ columns: [ResultColumn], zone: TimeZone = .utc
    ) -> Bool {
        dataRow(columns, zone) { values[$0] }
    }

    /// The same of the values at some places of a row that begins at `start`, one for each column.
    mutating func dataRow(
        _ values: [Datum], from start: Int, at places: [Int], _ columns: [ResultColumn],
        zone: TimeZone
    ) -> Bool {
        dataRow(columns, zone) { values[start + places[$0]] }
    }

    @inline(__always)
    private mutating func dataRow(
        _ columns: [ResultColumn], _ zone: TimeZone, _ value: (Int) -> Datum
    ) -> Bool {
        let start = bytes.count
        bytes.append(UInt8(ascii: "D"))
        int32(0)
        int16(Int16(truncatingIfNeeded: columns.count))
        for place in columns.indices where bytes.count - start <= Limits.statementBytes {
            self.value(value(place), columns[place], zone)
        }
        setInt32(Int32(truncatingIfNeeded: bytes.count - start - 1), at: start + 1)
        guard bytes.count - start > Limits.statementBytes else { return true }
        bytes.removeSubrange(start...)
        return false
    }

    private mutating func value(_ value: Datum, _ column: ResultColumn, _ zone: TimeZone) {
        if case .null = value { return int32(-1) }
        let start = bytes.count
        int32(0)
        let length = append {
            if column.format == 1 {
                value.appendBinary(to: &$0, as: column.type)
            } else {
                value.appendText(to: &$0, as: column.type, zone: zone)
            }
        }
        setInt32(Int32(truncatingIfNeeded: length), at: start)
    }
}
