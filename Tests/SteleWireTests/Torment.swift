import SteleWire

/// The payload of the only frame in `bytes`.
func payload(of bytes: [UInt8]) throws -> ArraySlice<UInt8> {
    var decoder = FrameDecoder()
    decoder.raiseLimits(messages: 1 << 20)
    decoder.feed(bytes)
    return try decoder.next()?.payload ?? []
}

/// Feeds every truncation, every extension by one byte and every flipped bit to `decode`, which may
/// succeed or throw; a truncation must throw.
func torment(_ payload: ArraySlice<UInt8>, _ decode: (ArraySlice<UInt8>) throws -> Void) -> Bool {
    var isSound = true
    for count in 0..<payload.count where (try? decode(payload.prefix(count))) != nil {
        isSound = false
    }
    if (try? decode(payload + [0])) != nil { isSound = false }
    for position in payload.indices {
        for bit in 0..<8 {
            var bytes = payload
            bytes[position] ^= 1 << bit
            _ = try? decode(bytes)
        }
    }
    return isSound
}
