/// Times as settings have them: a number with a unit, milliseconds if there is none.
enum SettingDuration {
    private static let units: [(name: String, microseconds: Double)] = [
        ("us", 1), ("ms", 1_000), ("s", 1_000_000), ("min", 60_000_000), ("h", 3_600_000_000),
        ("d", 86_400_000_000),
    ]

    static func milliseconds(_ text: String, of setting: String) throws(SQLError) -> Int {
        let number = text.prefix { $0.isASCII && ($0.isNumber || "+-.".contains($0)) }
        let unit = text.dropFirst(number.count).trimmingPrefix { $0 == " " }
        let invalid = SQLError(
            "22023", "invalid value for parameter \"\(setting)\": \"\(text)\"",
            hint: unit.isEmpty
                ? nil
                : "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", "
                    + "and \"d\".")
        guard let value = Double(number) else { throw invalid }
        var factor = 1.0
        if !unit.isEmpty {
            guard let known = units.first(where: { $0.name == unit }) else { throw invalid }
            factor = known.microseconds / 1_000
        }
        let milliseconds = (value * factor).rounded(.toNearestOrEven)
        guard milliseconds >= 0, milliseconds <= Double(Int32.max) else {
            throw SQLError(
                "22023",
                "\(text) is outside the valid range for parameter \"\(setting)\" "
                    + "(0 .. \(Int32.max))")
        }
        return Int(milliseconds)
    }

    /// In the largest unit in which the time is a whole number.
    static func text(_ milliseconds: Int) -> String {
        guard milliseconds > 0 else { return "0" }
        for (name, microseconds) in units.dropFirst(2).reversed() {
            let factor = Int(microseconds) / 1_000
            if milliseconds % factor == 0 { return "\(milliseconds / factor)\(name)" }
        }
        return "\(milliseconds)ms"
    }
}
