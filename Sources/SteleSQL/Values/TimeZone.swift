/// A time zone: the same offset at all times, or rules that change it.
package enum TimeZone: Hashable, Sendable {
    case fixed(ZoneOffset)
    case ruled(ZoneRules)

    package static let utc = TimeZone.fixed(.utc)

    /// How far the zone's clocks are from UTC at a moment in microseconds since 2000.
    package func offset(at moment: Int64) -> ZoneOffset {
        switch self {
        case .fixed(let offset): offset
        case .ruled(let rules):
            ZoneOffset(seconds: rules.offset(at: UnixTime.seconds(moment)))
        }
    }

    /// The offset that belongs to what a clock in this zone shows.
    func offset(ofLocal local: Int64) -> ZoneOffset {
        switch self {
        case .fixed(let offset): offset
        case .ruled(let rules):
            ZoneOffset(seconds: rules.offset(ofLocal: UnixTime.seconds(local)))
        }
    }

    /// What a clock in this zone shows at a moment.
    package func local(_ moment: Int64) -> Int64 { offset(at: moment).local(moment) }

    /// The moment at which a clock in this zone shows `local`.
    package func moment(_ local: Int64) -> Int64 { offset(ofLocal: local).moment(local) }
}

/// Seconds since 1970, in which files of zones count.
enum UnixTime {
    private static let epoch: Int64 = 946_684_800

    /// The second of a time in microseconds since 2000.
    static func seconds(_ time: Int64) -> Int64 {
        CivilCalendar.floorDivide(time, 1_000_000) + epoch
    }
}

/// The offsets of a zone through time: a table of changes, then a rule for all later years.
package final class ZoneRules: Sendable {
    /// An offset and what it is called.
    struct Kind: Hashable, Sendable {
        /// Seconds east of Greenwich.
        var offset: Int32
        var abbreviation: String
    }

    /// A moment, in seconds since 1970, from which another kind is in force.
    struct Change: Hashable, Sendable {
        var moment: Int64
        var kind: Kind
    }

    /// The name as the zone's file has it.
    let name: String
    private let first: Kind
    private let changes: [Change]
    private let later: PosixZone?

    /// - Parameter changes: in order of time.
    init(name: String, first: Kind, changes: [Change], later: PosixZone?) {
        self.name = name
        self.first = first
        self.changes = changes
        self.later = later
    }

    /// The offset at a second since 1970.
    func offset(at time: Int64) -> Int32 {
        let count = passed(time)
        if count == changes.count, let later { return later.offset(at: time) }
        return count == 0 ? first.offset : changes[count - 1].kind.offset
    }

    /// The offset that belongs to a local time.
    ///
    /// A time that a change skips is read by the clock before the change, one that comes twice by
    /// the clock after it, as PostgreSQL does. Only the first change since a day earlier counts.
    func offset(ofLocal local: Int64) -> Int32 {
        let start = local - 86_400
        let before = offset(at: start)
        guard let change = nextChange(after: start) else { return before }
        let after = offset(at: change)
        let early = local - Int64(before)
        let late = local - Int64(after)
        if early < change, late < change { return before }
        if early > change, late >= change { return after }
        return early > late ? before : after
    }

    /// The offset that an abbreviation of this zone stood for at a time, or stood for last; nil if
    /// it never was in use.
    func offset(of abbreviation: String, at time: Int64) -> Int32? {
        let count = passed(time)
        if let last = changes[..<count].last(where: { $0.kind.abbreviation == abbreviation }) {
            return last.kind.offset
        }
        if first.abbreviation == abbreviation { return first.offset }
        return changes[count...].first { $0.kind.abbreviation == abbreviation }?.kind.offset
    }

    /// How many changes lie at or before a time.
    private func passed(_ time: Int64) -> Int {
        var low = 0
        var high = changes.count
        while low < high {
            let middle = (low + high) / 2
            if changes[middle].moment <= time { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func nextChange(after time: Int64) -> Int64? {
        let count = passed(time)
        return count < changes.count ? changes[count].moment : later?.nextChange(after: time)
    }
}

extension ZoneRules: Hashable {
    package static func == (left: ZoneRules, right: ZoneRules) -> Bool {
        left === right
            || left.name == right.name && left.first == right.first
                && left.changes == right.changes && left.later == right.later
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(name) }
}
