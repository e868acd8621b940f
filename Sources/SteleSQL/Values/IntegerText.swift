/// Decimal integers to and from bytes, without making strings: they are on the path of every row.

/// Appends `value` in decimal.
@inline(__always)
func appendDecimal(_ value: Int64, to out: inout [UInt8]) {
    if value < 0 { out.append(UInt8(ascii: "-")) }
    appendDecimal(value.magnitude, to: &out)
}

/// Appends `value` in decimal, with leading zeros up to `width` digits (at most 20).
func appendDecimal(_ value: UInt64, width: Int = 1, to out: inout [UInt8]) {
    withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { buffer in
        var rest = value
        var index = 20
        repeat {
            let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
            index -= 1
            buffer[index] = UInt8(truncatingIfNeeded: digit) &+ UInt8(ascii: "0")
            rest = quotient
        } while rest != 0
        while index > 20 - width {
            index -= 1
            buffer[index] = UInt8(ascii: "0")
        }
        out.append(contentsOf: buffer[index...])
    }
}

/// Appends ASCII text.
@inline(__always)
func append(_ text: StaticString, to out: inout [UInt8]) {
    text.withUTF8Buffer { out.append(contentsOf: $0) }
}

/// What reading an integer came to.
enum IntegerScan {
    case value(Int64)
    case invalid
    case outOfRange
}

/// Reads a decimal integer with an optional sign, blanks allowed around it.
///
/// - Parameter lowest: digits that lead below it, or as far above zero, are out of range whatever
///   follows them; without it what follows is invalid first.
func scanInteger(_ text: ArraySlice<UInt8>, lowest: Int64? = nil) -> IntegerScan {
    text.withUnsafeBufferPointer { bytes in
        var index = 0
        var end = bytes.count
        while index < end, isBlank(bytes[index]) { index += 1 }
        while end > index, isBlank(bytes[end - 1]) { end -= 1 }
        var negative = false
        if index < end, bytes[index] == UInt8(ascii: "-") || bytes[index] == UInt8(ascii: "+") {
            negative = bytes[index] == UInt8(ascii: "-")
            index += 1
        }
        guard index < end else { return .invalid }
        // Counted downwards, because there is one negative number more.
        var value: Int64 = 0
        var overflow = false
        while index < end {
            let digit = bytes[index] &- UInt8(ascii: "0")
            guard digit <= 9 else {
                guard let lowest else { return .invalid }
                return overflow || value < lowest ? .outOfRange : .invalid
            }
            let (product, tooLarge) = value.multipliedReportingOverflow(by: 10)
            let (difference, tooSmall) = product.subtractingReportingOverflow(Int64(digit))
            value = difference
            overflow = overflow || tooLarge || tooSmall
            index += 1
        }
        if overflow || (!negative && value == .min) { return .outOfRange }
        return .value(negative ? value : -value)
    }
}

/// Whether C's `isspace` holds for an ASCII character.
@inline(__always)
func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (byte >= 0x09 && byte <= 0x0D) }

@inline(__always)
func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") <= 9 }

@inline(__always)
func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- UInt8(ascii: "a") < 26 }

/// The text without blanks around it.
func trimmed(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var text = text
    while let first = text.first, isBlank(first) { text.removeFirst() }
    while let last = text.last, isBlank(last) { text.removeLast() }
    return text
}

/// Whether `text` is `word`, which is in lower case, in any case.
func matches(_ text: ArraySlice<UInt8>, _ word: StaticString) -> Bool {
    guard text.count == word.utf8CodeUnitCount else { return false }
    return word.withUTF8Buffer { word in
        zip(text, word).allSatisfy { byte, letter in
            byte == letter || (isLetter(byte) && byte | 0x20 == letter)
        }
    }
}

/// The text as an error message quotes it.
func quoted(_ text: ArraySlice<UInt8>) -> String { "\"\(String(decoding: text, as: UTF8.self))\"" }
