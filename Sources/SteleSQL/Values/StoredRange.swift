/// What a stored value of each type can be.
///
/// Rows and keys have room for more than some of their types, and a client of the key-value
/// protocol can write into tables whatever it likes. All arithmetic relies on these ranges, so a
/// value beyond is refused where it is read.
extension SQLType {
    func holds(_ value: Int64) -> Bool {
        switch self {
        case .int2: Int64(Int16.min)...Int64(Int16.max) ~= value
        case .int4: Int64(Int32.min)...Int64(Int32.max) ~= value
        case .oid: 0...Int64(UInt32.max) ~= value
        default: true
        }
    }

    /// The two infinite times are stored too.
    static func holds(timestamp value: Int64) -> Bool {
        CivilCalendar.timestamps.contains(value) || value == .max || value == .min
    }

    static func holds(date value: Int32) -> Bool {
        CivilCalendar.dates.contains(value) || value == .max || value == .min
    }
}
