internal import CRocksDB
import SteleBase
import SteleClock
import SteleEngine

/// Where a sink puts what it is lent: values into the caller's buffer, and outcomes in the order of
/// their keys.
private struct Outcomes<Target> {
    let buffer: UnsafeMutablePointer<[UInt8]>
    let target: UnsafeMutablePointer<Target>
}

extension ShimReader {
    package func read(
        _ key: KeyBytes, at point: ReadPoint, into buffer: inout [UInt8]
    ) throws(EngineError) -> ReadOutcome {
        let reader = try reader()
        var outcome = ReadOutcome.none
        try check { message in
            withUnsafeMutablePointer(to: &buffer) { buffer in
                withUnsafeMutablePointer(to: &outcome) { outcome in
                    var outcomes = Outcomes(buffer: buffer, target: outcome)
                    var point = point.shim
                    return key.withBytes { key in
                        var key = key
                        return stele_read_keys(
                            reader, &key, 1, &point, &outcomes,
                            { context, found in
                                guard let context, let found = found?.pointee else { return }
                                let outcomes = context.assumingMemoryBound(
                                    to: Outcomes<ReadOutcome>.self
                                ).pointee
                                outcomes.target.pointee = ReadOutcome(
                                    found, into: &outcomes.buffer.pointee)
                            }, &message)
                    }
                }
            }
        }
        return outcome
    }

    package func read(
        _ keys: [KeyBytes], at point: ReadPoint, into buffer: inout [UInt8]
    ) throws(EngineError) -> [ReadOutcome] {
        let size = buffer.count
        do throws(EngineError) {
            return try readAll(keys, at: point, into: &buffer)
        } catch {
            buffer.removeLast(buffer.count - size)
            throw error
        }
    }

    private func readAll(
        _ keys: [KeyBytes], at point: ReadPoint, into buffer: inout [UInt8]
    ) throws(EngineError) -> [ReadOutcome] {
        let reader = try reader()
        // One piece of memory for all keys, since each must stay put during the call.
        var bytes: [UInt8] = []
        bytes.reserveCapacity(keys.reduce(0) { $0 + $1.count })
        for key in keys { bytes += key }
        var found: [ReadOutcome] = []
        found.reserveCapacity(keys.count)
        try check { message in
            bytes.withUnsafeBufferPointer { bytes in
                withUnsafeMutablePointer(to: &buffer) { buffer in
                    withUnsafeMutablePointer(to: &found) { found in
                        var offset = 0
                        let lent = keys.map { key in
                            defer { offset += key.count }
                            return stele_bytes(
                                data: bytes.baseAddress.map { $0 + offset }, count: key.count)
                        }
                        var outcomes = Outcomes(buffer: buffer, target: found)
                        var point = point.shim
                        return stele_read_keys(
                            reader, lent, lent.count, &point, &outcomes,
                            { context, found in
                                guard let context, let found = found?.pointee else { return }
                                let outcomes = context.assumingMemoryBound(
                                    to: Outcomes<[ReadOutcome]>.self
                                ).pointee
                                outcomes.target.pointee.append(
                                    ReadOutcome(found, into: &outcomes.buffer.pointee))
                            }, &message)
                    }
                }
            }
        }
        return found
    }

    package func newestVersion(
        of key: KeyBytes, at timestamp: Timestamp
    ) throws(EngineError) -> Version? {
        let reader = try reader()
        var found: Version?
        try check { message in
            key.withBytes { key in
                withUnsafeMutablePointer(to: &found) { target in
                    stele_read_newest(
                        reader, key, timestamp.rawValue, target,
                        { context, found in
                            guard let found = found?.pointee else { return }
                            context?.assumingMemoryBound(to: Version?.self).pointee = Version(
                                found)
                        }, &message)
                }
            }
        }
        return found
    }

    package func versions(
        of key: KeyBytes, above timestamp: Timestamp, limit: Int
    ) throws(EngineError) -> [Version] {
        try versions(of: key, above: timestamp, limit: limit, isUnchecked: false)
    }

    /// Unchecked, it shows what is stored below the watermark too.
    func versions(
        of key: KeyBytes, above timestamp: Timestamp, limit: Int, isUnchecked: Bool
    ) throws(EngineError) -> [Version] {
        let reader = try reader()
        var found: [Version] = []
        try check { message in
            key.withBytes { key in
                withUnsafeMutablePointer(to: &found) { target in
                    stele_read_versions(
                        reader, key, timestamp.rawValue, max(limit, 0), isUnchecked ? 1 : 0,
                        target,
                        { context, found in
                            guard let found = found?.pointee else { return }
                            context?.assumingMemoryBound(to: [Version].self).pointee.append(
                                Version(found))
                        }, &message)
                }
            }
        }
        return found
    }

    package func value(of key: [UInt8], in family: PlainFamily) throws(EngineError) -> [UInt8]? {
        let reader = try reader()
        var found: [UInt8]?
        try check { message in
            key.withBytes { key in
                withUnsafeMutablePointer(to: &found) { found in
                    stele_read_value(
                        reader, family.rawValue, key, found,
                        { context, _, value in
                            context?.assumingMemoryBound(to: [UInt8]?.self).pointee = Array(value)
                        }, &message)
                }
            }
        }
        return found
    }
}
