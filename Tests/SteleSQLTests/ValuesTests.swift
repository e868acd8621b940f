import SteleBase
import Testing

@testable import SteleSQL

/// Types, casts, keys, rows and the clock: what a list of answers cannot show.
@Suite
struct ValuesTests {
    @Test
    func typesAreFoundByIdentifierAndName() throws {
        for type in SQLType.all {
            #expect(SQLType(oid: type.oid) == type)
            #expect(SQLType(internalName: type.internalName) == type)
        }
        #expect(SQLType(oid: 600) == nil)
        let numeric = SQLType.numeric(try NumericModifier(precision: 10, scale: -2))
        for type in [.varchar(10), .char(3), numeric] {
            #expect(SQLType(oid: type.oid, modifier: type.modifier) == type)
        }
        #expect(SQLType.varchar(10).name == "character varying(10)")
        #expect(SQLType.varchar(10).modifier == 14)
        #expect(numeric.name == "numeric(10,-2)")
        #expect(throws: SQLError.self) { try NumericModifier(precision: 0, scale: 0) }
    }

    @Test
    func castsHappenWhereTheyMay() {
        #expect(SQLType.castContext(from: .int4, to: .int8) == .implicit)
        #expect(SQLType.castContext(from: .int8, to: .int4) == .assignment)
        #expect(SQLType.castContext(from: .numeric(nil), to: .float8) == .implicit)
        #expect(SQLType.castContext(from: .text, to: .int4) == .explicit)
        #expect(SQLType.castContext(from: .int4, to: .text) == .assignment)
        #expect(SQLType.castContext(from: .bool, to: .int4) == .explicit)
        #expect(SQLType.castContext(from: .bool, to: .date) == nil)
        #expect(SQLType.castContext(from: .varchar(3), to: .varchar(5)) == .implicit)
        let error = #expect(throws: SQLError.self) {
            try Datum.bool(true).coerced(from: .bool, to: .date, explicit: true)
        }
        #expect(error?.state == "42846")
        #expect(error?.message == "cannot cast type boolean to date")
    }

    @Test
    func assignmentDoesNotCutOffStrings() throws {
        let long = Datum.text("abcd")
        let error = #expect(throws: SQLError.self) {
            try long.coerced(from: .text, to: .varchar(3), explicit: false)
        }
        #expect(error?.state == "22001")
        #expect(error?.message == "value too long for type character varying(3)")
        let blanks = try Datum.text("abc   ").coerced(from: .text, to: .varchar(3), explicit: false)
        #expect(blanks == .text("abc"))
        let padded = try Datum.text("a").coerced(from: .text, to: .char(3), explicit: false)
        #expect(padded.text(as: .char(3)) == "a  ")
        #expect(padded == .text("a"))
    }

    @Test
    func integersOfCastsStayInRange() throws {
        #expect(
            try Datum.int(-1).coerced(from: .int4, to: .oid, explicit: true) == .int(4294967295))
        let error = #expect(throws: SQLError.self) {
            try Datum.int(-1).coerced(from: .int8, to: .oid, explicit: true)
        }
        #expect(error?.message == "OID out of range")
        #expect(throws: SQLError.self) { try Datum.int(-32_768).negated(as: .int2) }
    }

    @Test
    func relativeTimesNeedAClock() throws {
        let zone = TimeZone.fixed(ZoneOffset(seconds: 2 * 3600))
        // 2024-05-06 23:30 UTC is already the next day in this zone.
        guard case .timestamp(let now) = try Datum.parse(text: "2024-05-06 23:30", as: .timestamp)
        else { return }
        let time = TimeContext(now: now, zone: zone)
        func text(_ text: String, _ type: SQLType) throws -> String {
            try Datum.parse(text: text, as: type, time: time).text(as: type, zone: zone)
        }
        #expect(try text("now", .timestamptz) == "2024-05-07 01:30:00+02")
        #expect(try text("now", .timestamp) == "2024-05-07 01:30:00")
        #expect(try text("today", .date) == "2024-05-07")
        #expect(try text("yesterday 10:00", .timestamptz) == "2024-05-06 10:00:00+02")
        #expect(try text("epoch", .timestamptz) == "1970-01-01 02:00:00+02")
        #expect(try text("epoch", .timestamp) == "1970-01-01 00:00:00")
        #expect(try text("2024-01-01 00:00", .timestamptz) == "2024-01-01 00:00:00+02")
        let date = try Datum.timestamp(now).coerced(
            from: .timestamptz, to: .date, explicit: false, time: time)
        #expect(date.text(as: .date) == "2024-05-07")
        let moment = try date.coerced(from: .date, to: .timestamptz, explicit: false, time: time)
        #expect(moment.text(as: .timestamptz) == "2024-05-06 22:00:00+00")
        #expect(throws: SQLError.self) { try Datum.parse(text: "now", as: .timestamptz) }
    }

    @Test(arguments: [
        ("utc", "UTC", 0), ("GMT", "GMT", 0), ("-7", "<-07>+07", -25_200),
        ("5.5", "<+05:30>-05:30", 19_800), ("UTC+3", "UTC+3", -10_800),
        ("GMT-05:30", "GMT-05:30", 19_800), ("<+02>-02", "<+02>-02", 7200),
        ("+02:00", "+02:00", -7200),
    ])
    func zonesWithAFixedOffset(_ text: String, _ name: String, _ seconds: Int32) throws {
        let setting = try ZoneDatabase.none.setting(text)
        #expect(setting.name == name)
        #expect(setting.zone == .fixed(ZoneOffset(seconds: seconds)))
    }

    @Test
    func otherZonesNeedFiles() {
        for name in ["Europe/Berlin", "Z", "", "EST", "UTC+", "<+02"] {
            let error = #expect(throws: SQLError.self) { try ZoneDatabase.none.setting(name) }
            #expect(error?.state == "22023")
        }
        let error = #expect(throws: SQLError.self) {
            try Datum.parse(text: "2024-01-01 10:00 Europe/Berlin", as: .timestamptz)
        }
        #expect(error?.message == "time zone \"Europe/Berlin\" not recognized")
    }

    @Test
    func rowsOfOtherSchemasAreRead() throws {
        let old = RowCoder(columns: [.int4, .text], schemaVersion: 7)
        let new = RowCoder(columns: [.int4, .text, .bool], schemaVersion: 300)
        var row: [UInt8] = []
        old.encode([.int(-5), .text("é\u{301}")], into: &row)
        #expect(try RowCoder.schemaVersion(of: row[...]) == 7)
        #expect(try new.decode(row[...]) == [.int(-5), .text("é\u{301}"), .null])
        row = []
        new.encode([.int(1), .null, .bool(true)], into: &row)
        #expect(try RowCoder.schemaVersion(of: row[...]) == 300)
        #expect(try old.decode(row[...]) == [.int(1), .null])
        #expect(
            try new.decode(row[...], wanted: [false, false, true]) == [.null, .null, .bool(true)])
        #expect(try new.decode(row[...], wanted: [false, false, false]) == [.null, .null, .null])
    }

    @Test
    func damagedRowsAndKeysAreReported() throws {
        let columns: [SQLType] = [.int8, .text, .numeric(nil), .uuid, .float4, .timestamp, .bytea]
        let coder = RowCoder(columns: columns)
        let uuid = Datum.uuid(UniqueID(high: 1, low: 2))
        let values: [Datum] = [
            .int(.min), .text("text"), .numeric(Numeric(12_345)), uuid, .double(0.5),
            .timestamp(7), .bytes([0, 1]),
        ]
        var row: [UInt8] = []
        coder.encode(values, into: &row)
        #expect(try coder.decode(row[...]) == values)
        for length in 0..<row.count {
            #expect(throws: SQLError.self) { try coder.decode(row[..<length]) }
        }
        var random = SeededRandom(seed: 1)
        for _ in 0..<4000 {
            var damaged = row
            for _ in 0..<3 {
                let index = Int.random(in: 0..<row.count, using: &random)
                damaged[index] = UInt8.random(in: 0...255, using: &random)
            }
            guard let read = try? coder.decode(damaged[...]) else { continue }
            // Whatever came out can be shown and stored.
            for (value, type) in zip(read, columns) {
                var bytes: [UInt8] = []
                value.appendText(to: &bytes, as: type, zone: .fixed(ZoneOffset(seconds: -3600)))
                value.encodeKey(into: &bytes)
            }
        }
        var key: [UInt8] = []
        values[2].encodeKey(into: &key)
        for index in key.indices {
            for byte: UInt8 in [0, 1, 0x65, 0xFF] {
                var damaged = key
                damaged[index] = byte
                var rest = damaged[...]
                _ = try? Datum.decodeKey(from: &rest, type: .numeric(nil))
            }
        }
        #expect(throws: SQLError.self) {
            var rest = key[...]
            _ = try Datum.decodeKey(from: &rest, type: .int4)
        }
    }

    @Test
    func valuesBeyondTheirTypesAreDamage() throws {
        let beyond: [(Datum, SQLType, SQLType)] = [
            (.int(.max), .int8, .int4), (.int(.min), .int8, .int4), (.int(40_000), .int8, .int2),
            (.int(-1), .int8, .oid), (.timestamp(.max - 1), .timestamp, .timestamp),
            (.timestamp(.min + 1), .timestamptz, .timestamptz), (.date(.max - 1), .date, .date),
            (.date(.min + 1), .date, .date),
        ]
        for (value, written, read) in beyond {
            var row: [UInt8] = []
            RowCoder(columns: [written]).encode([value], into: &row)
            #expect(throws: SQLError.self, "\(value)") {
                try RowCoder(columns: [read]).decode(row[...])
            }
            var key: [UInt8] = []
            value.encodeKey(into: &key)
            #expect(throws: SQLError.self, "\(value)") {
                var rest = key[...]
                _ = try Datum.decodeKey(from: &rest, type: read)
            }
        }
        let bounds: [(Datum, SQLType)] = [
            (.int(Int64(Int32.max)), .int4), (.int(Int64(Int16.min)), .int2),
            (.int(Int64(UInt32.max)), .oid), (.timestamp(.max), .timestamp),
            (.timestamp(.min), .timestamptz), (.date(.max), .date), (.date(.min), .date),
        ]
        for (value, type) in bounds {
            var row: [UInt8] = []
            RowCoder(columns: [type]).encode([value], into: &row)
            #expect(try RowCoder(columns: [type]).decode(row[...]) == [value])
        }
    }

    @Test
    func decimalsOfColumnsKeepTheirScaleInKeys() throws {
        let type = SQLType.numeric(try NumericModifier(precision: 6, scale: 2))
        let value = try Datum.parse(text: "1.5", as: type)
        #expect(value.text(as: type) == "1.50")
        var key: [UInt8] = []
        value.encodeKey(into: &key)
        var rest = key[...]
        #expect(try Datum.decodeKey(from: &rest, type: type).text(as: type) == "1.50")
        #expect(!type.keyLosesForm && SQLType.numeric(nil).keyLosesForm)
    }

    @Test
    func sortedDecimalsHaveSortedKeys() throws {
        let texts = [
            "-Infinity", "-1e131071", "-1e300", "-10000.0001", "-10000", "-9999", "-1.01", "-1",
            "-0.5", "-1e-300", "0", "1e-16383", "1e-300", "0.00001", "0.5", "1", "1.0001", "1.01",
            "9999", "10000", "10000.0001", "1e300", "1e131071", "Infinity", "NaN",
        ]
        let keys = try texts.map { text in
            var key: [UInt8] = []
            try Datum.parse(text: text, as: .numeric(nil)).encodeKey(into: &key)
            return key
        }
        for (low, high) in zip(keys, keys.dropFirst()) {
            #expect(low.lexicographicallyPrecedes(high))
        }
    }

    @Test
    func binaryInputIsChecked() {
        func state(_ bytes: [UInt8], _ type: SQLType) -> String? {
            do throws(SQLError) {
                _ = try Datum.decode(binary: bytes[...], as: type)
                return nil
            } catch { return error.state }
        }
        #expect(state([0, 0, 0], .int4) == "08P01")
        #expect(state([0, 0, 0, 0, 0], .int4) == "22P03")
        #expect(state([0xFF], .text) == "22021")
        #expect(state([0x61, 0], .text) == "22021")
        #expect(state([0, 1, 0, 0, 0, 0, 0, 0], .numeric(nil)) == "08P01")
        #expect(state([0, 1, 0, 0, 0, 0, 0, 0, 0x27, 0x10], .numeric(nil)) == "22P03")
        #expect(state([0, 0, 0, 0, 0x12, 0, 0, 0], .numeric(nil)) == "22P03")
        #expect(state([0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0], .timestamp) == "22008")
        #expect(state([0x7F, 0xFF, 0xFF, 0xFE], .date) == "22008")
        #expect(state([1, 2, 3], .uuid) == "08P01")
        #expect(state([0x61, 0x62, 0x63, 0x64], .varchar(3)) == "22001")
    }

    @Test
    func stringsCompareByteByByte() {
        let composed = Datum.text("\u{E9}")
        let decomposed = Datum.text("e\u{301}")
        #expect(composed != decomposed)
        #expect(decomposed.compare(composed) == -1)
        #expect(Datum.text("Z").compare(.text("a")) == -1)
        #expect(Datum.text("abcdefgh1").compare(.text("abcdefgh")) == 1)
        #expect(Datum.text("abcdefgh1234").compare(.text("abcdefgh1243")) == -1)
    }

    @Test
    func numbersOfDifferentKindsCompare() throws {
        let half = try Datum.parse(text: "2.5", as: .numeric(nil))
        #expect(Datum.int(2).compare(half) == -1)
        #expect(half.compare(.double(2.5)) == 0)
        #expect(Datum.double(.nan).compare(.int(.max)) == 1)
        #expect(Datum.double(-0.0) == .double(0))
        #expect(Datum.double(.nan) == .double(.nan))
        #expect(Datum.date(0).compare(.timestamp(1)) == -1)
    }

    @Test
    func everyDayOfManyYearsComesBack() throws {
        for days in stride(from: -2_451_545, through: 3_000_000, by: 61) {
            let day = CivilCalendar.day(days)
            // A macro for each of millions of days would take longer than the test.
            if CivilCalendar.days(day) != days || day.day > 31 { Issue.record("day \(days)") }
        }
        #expect(CivilCalendar.day(0) == CivilCalendar.Day(year: 2000, month: 1, day: 1))
        #expect(throws: SQLError.self) { try Datum.date(2_145_031_948).adding(days: 1) }
        #expect(try Datum.date(.max).adding(days: 1) == .date(.max))
    }
}
