import SteleBase
import Testing

@testable import SteleSQL

@Suite struct RootTests {
    /// Roots are right to the last digit: the square lies between those of half a digit less and more.
    @Test func `square roots are rounded as they should be`() throws {
        var random = SeededRandom(seed: 7)
        for round in 0..<400 {
            let whole = Int(random.below(round % 40 == 0 ? 4_000 : 120))
            let decimals = Int(random.below(40))
            var text = ""
            for place in 0..<(whole + decimals) {
                if place == whole { text += text.isEmpty ? "0." : "." }
                // Long rows of zeros and nines as well.
                let kind = random.below(4)
                text += kind == 0 ? "0" : kind == 1 ? "9" : "\(random.below(10))"
            }
            if text.isEmpty { text = "7" }
            let number = try Self.number(text)
            for scale in [0, 1, 7, 8, 9, 30] {
                let root = try number.squareRoot(scale: scale)
                let half = try Self.number("0." + String(repeating: "0", count: scale) + "5")
                let above = try root.adding(half)
                #expect(try above.multiplied(by: above).compare(number) > 0, "\(text), \(scale)")
                guard !root.isZero else { continue }
                let below = try root.subtracting(half)
                #expect(try below.multiplied(by: below).compare(number) <= 0, "\(text), \(scale)")
            }
        }
    }

    @Test func `roots of squares are exact, and halves are rounded up`() throws {
        var random = SeededRandom(seed: 8)
        for count in [1, 4, 7, 8, 9, 16, 17, 63, 64, 65, 500, 5_000] {
            for _ in 0..<(count > 100 ? 3 : 20) {
                var text = "\(1 + random.below(9))"
                for _ in 1..<count { text += "\(random.below(3) == 0 ? 0 : random.below(10))" }
                for value in [text, text + "." + text, "0." + text] {
                    let root = try Self.number(value)
                    let square = try root.multiplied(by: root)
                    #expect(try square.squareRoot(scale: Int(root.scale)) == root)
                }
                let middle = try Self.number(text + ".5")
                let up = try Self.number(text).adding(Self.number("1"))
                #expect(try middle.multiplied(by: middle).squareRoot(scale: 0) == up)
            }
        }
    }

    private static func number(_ text: String) throws -> Numeric {
        guard case .numeric(let number) = try Datum.parse(text: text, as: .numeric(nil)) else {
            throw SQLError("22P02", text)
        }
        return number
    }
}
