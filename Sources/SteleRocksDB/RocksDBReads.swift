internal import CRocksDB
import SteleBase
import SteleClock
import SteleEngine

extension RocksDBEngine {
    package func newestVersion(
        of key: KeyBytes, at timestamp: Timestamp
    ) throws(EngineError) -> Version? {
        let handle = try open()
        var found: Version?
        try check { message in
            key.withBytes { key in
                withUnsafeMutablePointer(to: &found) { found in
                    stele_read_newest(
                        handle, key, timestamp.rawValue, found,
                        { context, timestamp, transaction, isDeletion, value in
                            context?.assumingMemoryBound(to: Version?.self).pointee = Version(
                                timestamp: timestamp, transaction: transaction,
                                isDeletion: isDeletion, stored: value)
                        }, &message)
                }
            }
        }
        return found
    }

    package func versions(
        of key: KeyBytes, above timestamp: Timestamp, limit: Int
    ) throws(EngineError) -> [Version] {
        let handle = try open()
        var found: [Version] = []
        try check { message in
            key.withBytes { key in
                withUnsafeMutablePointer(to: &found) { found in
                    stele_read_versions(
                        handle, key, timestamp.rawValue, max(limit, 0), found,
                        { context, timestamp, transaction, isDeletion, value in
                            context?.assumingMemoryBound(to: [Version].self).pointee.append(
                                Version(
                                    timestamp: timestamp, transaction: transaction,
                                    isDeletion: isDeletion, stored: value))
                        }, &message)
                }
            }
        }
        return found
    }

    package func scan(
        _ range: KeyRange, at timestamp: Timestamp, limits: ScanLimits, reverse: Bool,
        into page: inout ScanPage
    ) throws(EngineError) {
        let handle = try open()
        try check { message in
            range.start.withBytes { start in
                range.end.withBytes { end in
                    var scan = stele_scan(
                        start: start, end: end, timestamp: timestamp.rawValue,
                        max_rows: max(limits.rows, 1), max_bytes: max(limits.bytes, 0),
                        is_reverse: reverse ? 1 : 0)
                    return withUnsafeMutablePointer(to: &page) { page in
                        stele_read_scan(
                            handle, &scan, page,
                            { context, found in
                                guard let context, let found = found?.pointee else { return }
                                context.assumingMemoryBound(to: ScanPage.self).pointee
                                    .append(found)
                            }, &message)
                    }
                }
            }
        }
    }

    package func firstChange(
        in range: KeyRange, above timestamp: Timestamp
    ) throws(EngineError) -> KeyBytes? {
        let handle = try open()
        var found: KeyBytes?
        try check { message in
            range.start.withBytes { start in
                range.end.withBytes { end in
                    withUnsafeMutablePointer(to: &found) { found in
                        stele_read_first_change(
                            handle, start, end, timestamp.rawValue, found,
                            { context, key in
                                context?.assumingMemoryBound(to: KeyBytes?.self).pointee =
                                    KeyBytes(key)
                            }, &message)
                    }
                }
            }
        }
        return found
    }

    package func value(of key: [UInt8], in family: PlainFamily) throws(EngineError) -> [UInt8]? {
        let handle = try open()
        var found: [UInt8]?
        try check { message in
            key.withBytes { key in
                withUnsafeMutablePointer(to: &found) { found in
                    stele_read_value(
                        handle, family.rawValue, key, found,
                        { context, _, value in
                            context?.assumingMemoryBound(to: [UInt8]?.self).pointee = Array(value)
                        }, &message)
                }
            }
        }
        return found
    }

    package func pairs(
        of range: KeyRange, in family: PlainFamily
    ) throws(EngineError) -> [(key: [UInt8], value: [UInt8])] {
        let handle = try open()
        var found: [(key: [UInt8], value: [UInt8])] = []
        try check { message in
            range.start.withBytes { start in
                range.end.withBytes { end in
                    withUnsafeMutablePointer(to: &found) { found in
                        stele_read_pairs(
                            handle, family.rawValue, start, end, found,
                            { context, key, value in
                                context?.assumingMemoryBound(
                                    to: [(key: [UInt8], value: [UInt8])].self
                                ).pointee.append((Array(key), Array(value)))
                            }, &message)
                    }
                }
            }
        }
        return found
    }
}

extension Version {
    /// Copies a version that the shim lends to a sink.
    fileprivate init(
        timestamp: UInt64, transaction: UInt64, isDeletion: UInt8, stored: stele_bytes
    ) {
        self.init(
            timestamp: Timestamp(rawValue: timestamp), transaction: TransactionID(transaction),
            value: isDeletion == 0 ? Array(stored) : nil)
    }
}

extension ScanPage {
    /// Copies the rows that the shim lends to a sink.
    fileprivate mutating func append(_ found: stele_page) {
        bytes.append(
            contentsOf: UnsafeBufferPointer(start: found.rows.data, count: found.rows.count))
        count += found.count
        resumeKey = found.has_resume_key == 0 ? nil : KeyBytes(found.resume_key)
    }
}
