import SteleBase

/// The frame of one chunk of an exported replica. Both engines read each other's.
///
/// Format, integers little-endian: a version byte (1), number (4), whether it is the last (1),
/// tablet, applied index, applied term (8 each), lengths of the range's start and end (4 each),
/// start, end, pairs, CRC32C (4). The checksum goes on from that of the chunk before, so that no
/// chunk can be left out, doubled, or taken from another export.
///
/// Pairs: family (1; 1 to 3 as in ``PlainFamily``, 4 for versions), key length, value length (4
/// each), key, value; by family, then by key. A key of the family `local` begins with the item.
/// Keys of versions end with the inverted timestamp (8, big-endian), and their values begin with a
/// kind (1; 1 is a value, 2 a deletion, behind which nothing follows) and the transaction (8). The
/// replica's applied state is among them, the same as in the frames.
package struct ReplicaChunk: Sendable {
    package static let version: UInt8 = 1

    /// What all chunks of an export share.
    package struct Header: Hashable, Sendable {
        package var tablet: TabletID
        package var range: KeyRange
        package var index: UInt64
        package var term: UInt64

        package init(tablet: TabletID, range: KeyRange, index: UInt64, term: UInt64) {
            self.tablet = tablet
            self.range = range
            self.index = index
            self.term = term
        }
    }

    /// Frames the chunks of one export.
    package struct Writer: Sendable {
        package let header: Header
        private var number: UInt32 = 0
        private var checksum: UInt32 = 0

        package init(_ header: Header) { self.header = header }

        /// What a chunk takes up beside its pairs.
        package var frameBytes: Int { 42 + header.range.start.count + header.range.end.count }

        package mutating func frame(
            _ pairs: UnsafeBufferPointer<UInt8>, isLast: Bool
        ) -> [UInt8] {
            var writer = ByteWriter(reserving: frameBytes + pairs.count)
            writer.write(ReplicaChunk.version)
            writer.write(number)
            writer.write(UInt8(isLast ? 1 : 0))
            writer.write(header.tablet.rawValue)
            writer.write(header.index)
            writer.write(header.term)
            writer.write(UInt32(header.range.start.count))
            writer.write(UInt32(header.range.end.count))
            writer.writeRaw(header.range.start)
            writer.writeRaw(header.range.end)
            writer.writeRaw(pairs)
            checksum = CRC32C.of(writer.bytes, after: checksum)
            writer.write(checksum)
            number += 1
            return writer.bytes
        }
    }

    /// Checks the frames of one export, in order. After the first error it takes nothing more.
    package struct Reader: Sendable {
        private let scope: ReplicaScope
        private var header: Header?
        private var number: UInt32 = 0
        private var checksum: UInt32 = 0
        private var isComplete = false
        private var isUsable = true

        package init(_ scope: ReplicaScope) { self.scope = scope }

        /// The pairs of the next chunk.
        package mutating func open(
            _ chunk: ArraySlice<UInt8>
        ) throws(EngineError) -> ArraySlice<UInt8> {
            guard isUsable else { throw invalid("an earlier one was refused") }
            do throws(DecodingError) {
                return try read(chunk)
            } catch {
                isUsable = false
                throw invalid("\(error)")
            }
        }

        private mutating func read(
            _ chunk: ArraySlice<UInt8>
        ) throws(DecodingError) -> ArraySlice<UInt8> {
            if isComplete { throw DecodingError("it comes after the last one") }
            if let version = chunk.first, version != ReplicaChunk.version {
                throw DecodingError("its version \(version) is unknown")
            }
            guard chunk.count > 4 else { throw DecodingError("it is cut off") }
            let found = CRC32C.of(chunk.dropLast(4), after: checksum)
            var trailer = ByteReader(chunk.suffix(4))
            guard try trailer.read(UInt32.self) == found else {
                throw DecodingError("its checksum does not match")
            }
            var reader = ByteReader(chunk.dropLast(4))
            _ = try reader.read(UInt8.self)
            guard try reader.read(UInt32.self) == number else {
                throw DecodingError("its number is not the next one")
            }
            let isLast = try reader.readBool()
            let tablet = TabletID(try reader.read(UInt64.self))
            let index = try reader.read(UInt64.self)
            let term = try reader.read(UInt64.self)
            let startCount = Int(try reader.read(UInt32.self))
            let endCount = Int(try reader.read(UInt32.self))
            let range = KeyRange(
                start: Array(try reader.readRaw(startCount)),
                end: Array(try reader.readRaw(endCount)))
            let header = Header(tablet: tablet, range: range, index: index, term: term)
            guard tablet == scope.tablet, range == scope.range else {
                throw DecodingError("it is of \(range) of tablet \(tablet)")
            }
            guard self.header == nil || self.header == header else {
                throw DecodingError("it differs from the first one in what it is of")
            }
            self.header = header
            checksum = found
            number += 1
            isComplete = isLast
            return reader.rest
        }

        /// The pairs that were last given out turned out to be bad.
        package mutating func refuse() { isUsable = false }

        /// Ends the reading: the applied state that all chunks name, if the last one was opened and
        /// the pairs hold the same.
        ///
        /// The log goes on from what this returns, and a restarted node from what is stored.
        /// - Parameter stored: the value of the replica's applied state among the pairs.
        package mutating func finish(stored: [UInt8]?) throws(EngineError) -> AppliedState {
            guard isUsable else { throw invalid("an earlier one was refused") }
            guard isComplete, let header else { throw invalid("it is missing") }
            isUsable = false
            let applied = AppliedState(
                tablet: scope.tablet, replica: scope.replica, index: header.index,
                term: header.term)
            guard stored == applied.localValue else {
                throw EngineError(
                    .invalidArgument,
                    "a snapshot of tablet \(scope.tablet) is of index \(header.index) and term "
                        + "\(header.term), and its applied state \(Self.text(stored, of: scope))")
            }
            return applied
        }

        private static func text(_ stored: [UInt8]?, of scope: ReplicaScope) -> String {
            guard let stored else { return "is missing" }
            do throws(DecodingError) {
                let applied = try AppliedState(
                    tablet: scope.tablet, replica: scope.replica, localValue: stored)
                return "says index \(applied.index) and term \(applied.term)"
            } catch {
                return "cannot be read: \(error)"
            }
        }

        private func invalid(_ why: String) -> EngineError {
            EngineError(
                .invalidArgument, "chunk \(number) of a snapshot of tablet \(scope.tablet): \(why)")
        }
    }
}
