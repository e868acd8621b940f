/// Reads a compiled file of the zone database (TZif, RFC 8536), versions 1 to 4.
///
/// The file is the system's, but it is checked like any input: nothing is read past its end.
enum ZoneFile {
    /// nil if the bytes are no such file.
    static func rules(named name: String, _ bytes: [UInt8]) -> ZoneRules? {
        var reader = Reader(bytes: bytes[...])
        guard let first = Header(&reader) else { return nil }
        guard first.version >= UInt8(ascii: "2") else {
            return rules(name, &reader, first, timeBytes: 4, later: nil)
        }
        // The first block holds times of 32 bits, for readers that know no other.
        guard reader.take(first.size(timeBytes: 4)) != nil, let header = Header(&reader) else {
            return nil
        }
        var block = reader
        guard reader.take(header.size(timeBytes: 8)) != nil,
            reader.take(1)?.first == UInt8(ascii: "\n"),
            let end = reader.bytes.firstIndex(of: UInt8(ascii: "\n"))
        else { return nil }
        let footer = reader.bytes[..<end]
        let later = PosixZone(footer)
        guard footer.isEmpty || later != nil else { return nil }
        return rules(name, &block, header, timeBytes: 8, later: later)
    }

    private static func rules(
        _ name: String, _ reader: inout Reader, _ header: Header, timeBytes: Int,
        later: PosixZone?
    ) -> ZoneRules? {
        guard let times = reader.take(header.times * timeBytes),
            let places = reader.take(header.times), let types = reader.take(header.types * 6),
            let names = reader.take(header.nameBytes)
        else { return nil }
        var kinds: [ZoneRules.Kind] = []
        var typeReader = Reader(bytes: types)
        for _ in 0..<header.types {
            guard let offset = typeReader.integer(4), typeReader.take(1) != nil,
                let place = typeReader.take(1)?.first, offset.magnitude < 200 * 3600
            else { return nil }
            let abbreviation = names.dropFirst(Int(place)).prefix { $0 != 0 }
            kinds.append(
                ZoneRules.Kind(
                    offset: Int32(offset),
                    abbreviation: String(decoding: abbreviation, as: UTF8.self)))
        }
        var changes: [ZoneRules.Change] = []
        var timeReader = Reader(bytes: times)
        for place in places {
            guard let moment = timeReader.integer(timeBytes), Int(place) < kinds.count,
                moment > changes.last?.moment ?? .min
            else { return nil }
            changes.append(ZoneRules.Change(moment: moment, kind: kinds[Int(place)]))
        }
        guard let first = kinds.first else { return nil }
        return ZoneRules(name: name, first: first, changes: changes, later: later)
    }

    private struct Header {
        var version: UInt8
        var times: Int
        var types: Int
        var nameBytes: Int
        private var leaps: Int
        private var flags: Int

        init?(_ reader: inout Reader) {
            guard let magic = reader.take(4), magic.elementsEqual("TZif".utf8),
                let version = reader.take(16)?.first
            else { return nil }
            var counts: [Int] = []
            for _ in 0..<6 {
                // No zone comes near this; sums of such counts cannot overflow.
                guard let count = reader.integer(4), (0...100_000).contains(count) else {
                    return nil
                }
                counts.append(Int(count))
            }
            self.version = version
            flags = counts[0] + counts[1]
            leaps = counts[2]
            times = counts[3]
            types = counts[4]
            nameBytes = counts[5]
        }

        func size(timeBytes: Int) -> Int {
            times * (timeBytes + 1) + types * 6 + nameBytes + leaps * (timeBytes + 4) + flags
        }
    }

    private struct Reader {
        var bytes: ArraySlice<UInt8>

        mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
            guard count <= bytes.count else { return nil }
            defer { bytes = bytes.dropFirst(count) }
            return bytes.prefix(count)
        }

        /// A signed number, the high byte first.
        mutating func integer(_ count: Int) -> Int64? {
            guard let bytes = take(count) else { return nil }
            var value: Int64 = bytes.first.map { $0 >= 0x80 ? -1 : 0 } ?? 0
            for byte in bytes { value = value << 8 | Int64(byte) }
            return value
        }
    }
}
