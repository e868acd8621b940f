import SteleBase
import SteleClock
import SteleEngine

/// Fails unless two engines hold the same, read in all ways.
func compareEngines(
    _ left: any StorageEngine, _ right: any StorageEngine
) throws(EngineError) {
    for family in PlainFamily.allCases {
        let pairs = (try left.pairs(of: .all, in: family), try right.pairs(of: .all, in: family))
        invariant(pairs.0.map(\.key) == pairs.1.map(\.key), "keys of \(family) differ")
        invariant(pairs.0.map(\.value) == pairs.1.map(\.value), "values of \(family) differ")
    }
    for reverse in [false, true] {
        var pages = (ScanPage(), ScanPage())
        let limits = ScanLimits(bytes: .max)
        try left.scan(.all, at: .max, limits: limits, reverse: reverse, into: &pages.0)
        try right.scan(.all, at: .max, limits: limits, reverse: reverse, into: &pages.1)
        invariant(pages.0.bytes == pages.1.bytes, "rows differ")
        invariant(pages.0.resumeKey == pages.1.resumeKey, "resume keys differ")
    }
}
