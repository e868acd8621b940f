import SteleAPI
import SteleBase
import SteleClock

// How the values that several messages share are written.

extension ByteWriter {
    mutating func write(_ id: UniqueID) {
        write(id.high)
        write(id.low)
    }

    /// A value, or nil for one that is not there.
    mutating func write(optional bytes: [UInt8]?) {
        write(bytes != nil)
        if let bytes { writeBytes(bytes) }
    }

    mutating func write(_ range: KeyRange) {
        writeBytes(range.start)
        writeBytes(range.end)
    }

    mutating func write(_ error: SteleError) {
        writeString(error.code.name)
        writeString(error.message)
    }

    /// In microseconds, up to 292,000 years.
    mutating func write(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
        let (sum, carry) = product.addingReportingOverflow(attoseconds / 1_000_000_000_000)
        write(overflow || carry ? (seconds < 0 ? Int64.min : .max) : sum)
    }

    mutating func write(_ options: TransactionOptions) {
        write(options.isolation.rawValue)
        write(options.isReadOnly)
        write(options.callTimeout)
        write(optional: options.timeout)
        write(optional: options.lockTimeout)
    }

    private mutating func write(optional duration: Duration?) {
        write(duration != nil)
        if let duration { write(duration) }
    }
}

extension ByteReader {
    mutating func readUniqueID() throws(DecodingError) -> UniqueID {
        let high = try read(UInt64.self)
        return UniqueID(high: high, low: try read(UInt64.self))
    }

    mutating func readOptionalBytes() throws(DecodingError) -> [UInt8]? {
        try readBool() ? Array(try readBytes()) : nil
    }

    mutating func readKey() throws(DecodingError) -> KeyBytes { Array(try readBytes()) }

    mutating func readRange() throws(DecodingError) -> KeyRange {
        let start = try readKey()
        return KeyRange(start: start, end: try readKey())
    }

    mutating func readError() throws(DecodingError) -> SteleError {
        let code = SteleError.Code(try readString())
        return SteleError(code, try readString())
    }

    mutating func readDuration() throws(DecodingError) -> Duration {
        .microseconds(try read(Int64.self))
    }

    mutating func readOptions() throws(DecodingError) -> TransactionOptions {
        let isolation = try readCase(Isolation.self)
        let isReadOnly = try readBool()
        let callTimeout = try readDuration()
        let timeout = try readOptionalDuration()
        var options = TransactionOptions(
            isolation: isolation, isReadOnly: isReadOnly, timeout: timeout,
            lockTimeout: try readOptionalDuration())
        options.callTimeout = callTimeout
        return options
    }

    private mutating func readOptionalDuration() throws(DecodingError) -> Duration? {
        try readBool() ? try readDuration() : nil
    }

    /// One byte that stands for a case of `type`.
    mutating func readCase<Value: RawRepresentable<UInt8>>(
        _ type: Value.Type
    ) throws(DecodingError) -> Value {
        let raw = try read(UInt8.self)
        guard let value = Value(rawValue: raw) else {
            throw DecodingError("\(raw) is no \(Value.self)")
        }
        return value
    }
}
