/// One line of a suite's table.
struct Row {
    var name: String
    /// What was measured of Stele, with its unit, for people.
    var stele: String
    /// The same of the rival, or of the baseline, or what else belongs beside it.
    var other = ""
    /// Stele's speed by the rival's, and the least that is accepted; no floor where the ratio only
    /// explains another one.
    var ratio: (measured: Double, floor: Double?)?

    init(
        _ name: String, _ stele: String, other: String = "",
        ratio: (measured: Double, floor: Double?)? = nil
    ) {
        self.name = name
        self.stele = stele
        self.other = other
        self.ratio = ratio
    }
}

/// `value` with three significant digits or all before the point.
func short(_ value: Double) -> String {
    let digits = value >= 100 ? 0 : value >= 10 ? 1 : 2
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let rounded = (value * scale).rounded() / scale
    return digits == 0 ? String(Int(rounded)) : String(rounded)
}

/// Prints a table for people and, for every floor, the line that programs read.
func report(_ suite: String, _ rows: [Row]) {
    func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
    let names = rows.map(\.name.count).max() ?? 0
    let steles = rows.map(\.stele.count).max() ?? 0
    let others = rows.map(\.other.count).max() ?? 0
    print("\(suite):")
    for row in rows {
        var line = "  " + pad(row.name, names) + "  " + pad(row.stele, steles)
        line += "  " + pad(row.other, others)
        if let ratio = row.ratio {
            line += "  \(short(ratio.measured))"
            if let floor = ratio.floor { line += " of at least \(short(floor))" }
        }
        print(line)
    }
    for row in rows {
        guard let ratio = row.ratio, let floor = ratio.floor else { continue }
        print("ratio\t\(row.name)\t\(short(ratio.measured))\t\(short(floor))")
    }
}
