import SteleBase
import SteleClock
import SteleEngine

/// Fails unless two engines hold the same, read in all ways.
func compareEngines(
    _ left: any StorageEngine, _ right: any StorageEngine
) throws(EngineError) {
    for family in PlainFamily.allCases {
        // In pages, so that their ends are compared too.
        let limits = PairLimits(pairs: 5, bytes: 300)
        var rest: KeyRange? = .all
        while let range = rest {
            let pages = (
                try left.pairs(of: range, in: family, limits: limits),
                try right.pairs(of: range, in: family, limits: limits)
            )
            let (one, other) = (pages.0.pairs, pages.1.pairs)
            invariant(one.map(\.key) == other.map(\.key), "keys of \(family) differ")
            invariant(one.map(\.value) == other.map(\.value), "values of \(family) differ")
            invariant(pages.0.resumeKey == pages.1.resumeKey, "pages of \(family) differ")
            rest = pages.0.resumeKey.map { KeyRange(start: $0, end: []) }
        }
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
