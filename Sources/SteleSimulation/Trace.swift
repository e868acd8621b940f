import SteleBase

/// Folds everything that happens in a run into one number, and shows it to whoever wants to look.
///
/// Two runs with the same hash went the same way: every event, every message and every record is in
/// it. FNV-1a over 64-bit words.
struct Trace {
    private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    /// Lines for people; nil while nobody looks.
    let observer: ((String) -> Void)?

    init(observer: ((String) -> Void)?) { self.observer = observer }

    mutating func fold(_ value: UInt64) {
        hash = (hash ^ value) &* 0x0000_0100_0000_01B3
        hash ^= hash >> 29
    }

    mutating func fold(_ bytes: some Collection<UInt8>) {
        fold(UInt64(bytes.count))
        fold(Self.digest(bytes))
    }

    /// Notes an event of a kind; `line` is made only for an observer.
    mutating func note(
        _ kind: EventKind, at time: UInt64, _ first: UInt64 = 0, _ second: UInt64 = 0,
        _ line: @autoclosure () -> String
    ) {
        fold(UInt64(kind.rawValue))
        fold(time)
        fold(first)
        fold(second)
        if let observer {
            let micros = String(time % 1_000_000)
            observer(
                "\(time / 1_000_000)." + String(repeating: "0", count: 6 - micros.count) + micros
                    + " \(line())")
        }
    }

    /// The kinds of events that a trace tells apart.
    enum EventKind: UInt8 {
        case turn, message, log, reply, fault, client, start, crash, applied
    }

    /// A digest of bytes, eight at a time.
    static func digest(_ bytes: some Collection<UInt8>) -> UInt64 {
        bytes.withContiguousStorageIfAvailable { digest(UnsafeRawBufferPointer($0)) }
            ?? Array(bytes).withUnsafeBytes(digest)
    }

    private static func digest(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        var offset = 0
        let count = bytes.count
        while offset + 8 <= count {
            hash = mix(hash, bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            offset += 8
        }
        var word = UInt64(count) << 56
        while offset < count {
            word = word << 8 ^ UInt64(bytes[offset])
            offset += 1
        }
        return mix(hash, word)
    }

    private static func mix(_ hash: UInt64, _ word: UInt64) -> UInt64 {
        let mixed = (hash ^ word) &* 0x9E37_79B9_7F4A_7C15
        return mixed ^ mixed >> 32
    }
}
