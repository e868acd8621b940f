import Testing

@testable import SteleSQL

/// Time zones: rules, names, abbreviations, and what is refused.
@Suite struct ZoneTests {
    @Test func momentsAreThoseOfPostgreSQL() async throws {
        for (zone, text, expected) in zoneAnswers {
            let session = try TestSession(TestNode(), parameters: [("TimeZone", zone)])
            let rows = try await session.run(
                "select '\(text)'::timestamptz, '\(text)'::timestamptz at time zone 'UTC', "
                    + "timestamptz '\(text)'::timestamp, timestamptz '\(text)'::date")
            #expect(rows[0] == expected, "\(zone), \(text)")
        }
    }

    @Test(arguments: [
        ("'europe/berlin'", "Europe/Berlin"), ("utc", "UTC"), ("'utc+5'", "UTC+5"),
        ("-7", "<-07>+07"), ("5.5", "<+05:30>-05:30"), ("local", "UTC"), ("default", "UTC"),
        ("interval '+02:00' hour to minute", "<+02>-02"),
        ("interval '-05:30' hour to minute", "<-05:30>+05:30"), ("'xyz5'", "XYZ5"),
        ("'cst6cdt,m3.2.0,m11.1.0'", "CST6CDT,M3.2.0,M11.1.0"),
    ])
    func settingsAreShown(_ written: String, _ shown: String) async throws {
        let session = try TestSession(TestNode())
        #expect(try await session.run("set time zone \(written)") == ["SET"])
        #expect(try await session.run("show timezone") == [shown, "SHOW"])
    }

    @Test func rulesWithoutAFile() async throws {
        let session = try TestSession(TestNode())
        try await session.run("set timezone = 'CST6CDT,M3.2.0,M11.1.0'")
        #expect(
            try await session.run("select '2020-07-01'::timestamptz, '2020-01-01'::timestamptz")
                == ["2020-07-01 00:00:00-05|2020-01-01 00:00:00-06", "SELECT 1"])
        // The south, where summer spans the new year.
        try await session.run("set timezone = '<-03>3<-02>,M10.3.0,M2.3.0'")
        #expect(
            try await session.run("select '2020-07-01'::timestamptz, '2020-01-01'::timestamptz")
                == ["2020-07-01 00:00:00-03|2020-01-01 00:00:00-02", "SELECT 1"])
    }

    @Test(arguments: [
        ("set timezone = 'foo/bar'", "22023 invalid value for parameter \"TimeZone\": \"foo/bar\""),
        ("set timezone = '../passwd'", "22023 invalid value for parameter \"TimeZone\": \"../passwd\""),
        ("select now() at time zone 'foo/bar'", "22023 time zone \"foo/bar\" not recognized"),
        ("select '2020-01-01 foo/bar'::timestamptz", "22023 time zone \"foo/bar\" not recognized"),
        (
            "select '2020-01-01 10:00 foo'::timestamptz",
            "22007 invalid input syntax for type timestamp with time zone: \"2020-01-01 10:00 foo\""
        ),
    ])
    func unknownZones(_ text: String, _ expected: String) async throws {
        #expect(await (try TestSession(TestNode())).failure(text) == expected)
    }

    @Test func aMissingDatabaseIsNamed() throws {
        let database = ZoneDatabase { _ in .noDirectory("/nowhere") }
        #expect(try database.setting("UTC").zone == .utc)
        let error = #expect(throws: SQLError.self) { try database.setting("Europe/Berlin") }
        #expect(error?.hint?.contains("\"/nowhere\"") == true)
    }

    @Test func damagedFilesAreNoZones() {
        let bytes = TestZones.bytes(TestZones.files[0].hex)
        #expect(ZoneFile.rules(named: "x", bytes) != nil)
        for length in 0..<(bytes.count - 1) {
            #expect(ZoneFile.rules(named: "x", Array(bytes[..<length])) == nil)
        }
        for place in bytes.indices {
            var damaged = bytes
            damaged[place] ^= 0xFF
            // Whatever it is now, it is read without a trap and answers something.
            _ = ZoneFile.rules(named: "x", damaged)?.offset(ofLocal: 1_600_000_000)
        }
    }
}
