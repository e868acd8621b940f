import SteleBase
import SteleClock
import SteleEngine

/// Makes the command of a commit, some writes at a time, before its timestamp is known.
///
/// The timestamp is the last thing that an evaluation finds out, and after that nothing may come in
/// between, while to encode a million writes takes many turns. So the writes are encoded first, and
/// the timestamp is then put into each.
struct CommandWriter {
    private var bytes: [UInt8]
    /// Writes that were encoded.
    private(set) var count = 0
    private let transaction: TransactionID

    /// A put costs this besides its key and value, a deletion less.
    private static let putBytes = 25
    private static let deletionBytes = 21

    init(_ transaction: TransactionID, reserving capacity: Int) {
        self.transaction = transaction
        var writer = ByteWriter(reserving: TabletCommand.headerBytes + 1 + capacity)
        writer.writeRaw([UInt8](repeating: 0, count: TabletCommand.headerBytes))
        writer.write(MutationList.version)
        bytes = writer.bytes
    }

    static func size(of write: TabletRequest.CommitRequest.Write) -> Int {
        putBytes + write.key.count + (write.value?.count ?? 0)
    }

    /// Encodes the next `limit` writes, of about `byteLimit` bytes.
    ///
    /// - Returns: the bytes that they took.
    mutating func encode(
        _ writes: [TabletRequest.CommitRequest.Write], limit: Int = .max, byteLimit: Int = .max
    ) -> Int {
        let start = bytes.count
        var mutations = MutationList(appendingTo: bytes)
        bytes = []
        var rest = limit
        while rest > 0, count < writes.count, mutations.byteCount - start < byteLimit {
            let write = writes[count]
            if let value = write.value {
                mutations.put(write.key, value, at: .zero, by: transaction)
            } else {
                mutations.delete(write.key, at: .zero, by: transaction)
            }
            count += 1
            rest -= 1
        }
        bytes = mutations.takeBytes()
        return bytes.count - start
    }

    /// The finished command. All writes must be encoded.
    mutating func finish(
        _ writes: [TabletRequest.CommitRequest.Write], at timestamp: Timestamp, generation: UInt64
    ) -> ArraySlice<UInt8> {
        var header = ByteWriter(reserving: TabletCommand.headerBytes)
        TabletCommand.writeHeader(
            generation: generation, transaction: transaction, timestamp: timestamp, into: &header)
        bytes.withUnsafeMutableBytes { bytes in
            header.bytes.withUnsafeBytes { bytes.copyMemory(from: $0) }
            let time = timestamp.rawValue.littleEndian
            var offset = TabletCommand.headerBytes + 1
            for write in writes {
                // Operation and key length; a put has the value's length too.
                let isPut = write.value != nil
                bytes.storeBytes(of: time, toByteOffset: offset + (isPut ? 9 : 5), as: UInt64.self)
                offset +=
                    (isPut ? Self.putBytes + (write.value?.count ?? 0) : Self.deletionBytes)
                    + write.key.count
            }
            invariant(offset == bytes.count, "a command's writes are not where they should be")
        }
        defer { bytes = [] }
        return bytes[...]
    }
}
