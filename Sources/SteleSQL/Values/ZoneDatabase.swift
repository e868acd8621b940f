import Synchronization

/// Finds time zones by name. The files are read by whoever makes the database, so that what SQL
/// answers depends on nothing else; each is read once.
package final class ZoneDatabase: Sendable {
    /// What became of reading the file of a zone.
    package enum File: Sendable {
        /// The file, and the zone's name as it is spelled there.
        case found(name: String, bytes: [UInt8])
        case unknown
        /// There are no files at all where they should be.
        case noDirectory(String)
    }

    private let read: @Sendable (String) -> File
    /// Zones by their names in lower case.
    private let zones = Mutex<[String: ZoneRules]>([:])

    /// - Parameter read: reads the file of a zone, whose name may be written in any case. The name
    ///   is checked: letters, digits, `_ + - /`, no part that begins with a point.
    package init(read: @escaping @Sendable (String) -> File) { self.read = read }

    /// No files: only UTC, offsets and POSIX rules.
    package static let none = ZoneDatabase { _ in .noDirectory("") }

    /// The zone that a setting `TimeZone` names, and the name under which it is shown.
    ///
    /// The names of files (`Europe/Berlin`, `UTC`); hours east of Greenwich as a number (`-7`,
    /// `5.5`); and POSIX rules, whose offsets count west (`UTC-05:30`, `CET-1CEST,M3.5.0,M10.5.0`).
    package func setting(_ text: String) throws(SQLError) -> (name: String, zone: TimeZone) {
        if let seconds = ZoneOffset.hours(Array(text.utf8)[...]) {
            let offset = ZoneOffset(seconds: seconds)
            return (offset.posixName, .fixed(offset))
        }
        var hint: String?
        if let found = find(text, &hint) { return found }
        throw SQLError(
            "22023", "invalid value for parameter \"TimeZone\": \"\(text)\"", hint: hint)
    }

    /// The zone that an expression names, by its name or its abbreviation.
    ///
    /// - Parameter time: the local time (or the moment) at which the abbreviation is meant.
    func zone(_ text: String, at time: Int64) throws(SQLError) -> TimeZone {
        switch abbreviation(text) {
        case .fixed(let offset): return .fixed(offset)
        case .ruled(let rules):
            return .fixed(rules.offset(ofAbbreviation: text.uppercased(), at: time))
        case nil: break
        }
        var hint: String?
        if let found = find(text, &hint) { return found.zone }
        throw SQLError("22023", "time zone \"\(text)\" not recognized", hint: hint)
    }

    /// What an abbreviation stands for: an offset, or whatever it stands for in a zone.
    func abbreviation(_ text: String) -> TimeZone? {
        switch ZoneAbbreviations.meaning(text) {
        case .offset(let seconds): return .fixed(ZoneOffset(seconds: seconds))
        case .zone(let name):
            var hint: String?
            return rules(name, &hint).map(TimeZone.ruled)
        case nil: return nil
        }
    }

    /// A zone by its name or by POSIX rules.
    ///
    /// - Parameter hint: why it may not have been found.
    func find(_ text: String, _ hint: inout String?) -> (name: String, zone: TimeZone)? {
        let bytes = Array(text.utf8)
        if let name = ZoneOffset.utcName(bytes[...]) { return (name, .utc) }
        if let rules = rules(text, &hint) { return (rules.name, .ruled(rules)) }
        let upper = text.uppercased()
        guard let posix = PosixZone(upper.utf8) else { return nil }
        hint = nil
        if posix.isFixed { return (upper, .fixed(ZoneOffset(seconds: posix.offset))) }
        let kind = ZoneRules.Kind(offset: posix.offset, abbreviation: "")
        return (
            upper, .ruled(ZoneRules(name: upper, first: kind, changes: [], later: posix))
        )
    }

    private func rules(_ name: String, _ hint: inout String?) -> ZoneRules? {
        guard Self.isName(name) else { return nil }
        let key = name.lowercased()
        if let known = zones.withLock({ $0[key] }) { return known }
        switch read(name) {
        case .unknown: return nil
        case .noDirectory(let path):
            hint =
                path.isEmpty
                ? "Only UTC and offsets are known here."
                : "There is no zone database in \"\(path)\"; only UTC and offsets are known."
            return nil
        case .found(let name, let bytes):
            guard let rules = ZoneFile.rules(named: name, bytes) else { return nil }
            return zones.withLock { zones in
                // Whoever came first has decided, so that equal zones are one object.
                if let known = zones[key] { return known }
                zones[key] = rules
                return rules
            }
        }
    }

    private static func isName(_ text: String) -> Bool {
        guard (1...255).contains(text.utf8.count) else { return false }
        return text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { part in
            part.utf8.first.map { isLetter($0) } == true
                && part.utf8.allSatisfy {
                    isLetter($0) || isDigit($0) || "_+-".utf8.contains($0)
                }
        }
    }
}

extension ZoneRules {
    /// The offset of one of the zone's abbreviations at a time in microseconds since 2000; if it
    /// has none of this name, the zone's own at that time.
    func offset(ofAbbreviation name: String, at time: Int64) -> ZoneOffset {
        let seconds = UnixTime.seconds(time)
        return ZoneOffset(seconds: offset(of: name, at: seconds) ?? offset(ofLocal: seconds))
    }
}
