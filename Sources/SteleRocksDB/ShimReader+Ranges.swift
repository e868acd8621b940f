internal import CRocksDB
import SteleBase
import SteleClock
import SteleEngine

extension ShimReader {
    package func scan(
        _ range: KeyRange, at point: ReadPoint, limits: ScanLimits, reverse: Bool,
        into page: inout ScanPage
    ) throws(EngineError) {
        let reader = try reader()
        page.resumeKey = nil
        page.conflicts = []
        page.visited = 0
        try check { message in
            range.start.withBytes { start in
                range.end.withBytes { end in
                    var scan = stele_scan(
                        start: start, end: end, point: point.shim, max_rows: max(limits.rows, 0),
                        max_bytes: max(limits.bytes, 0), max_keys: max(limits.keys, 0),
                        max_conflicts: max(limits.conflicts, 0),
                        max_keys_after_conflict: ScanLimits.keysAfterConflict,
                        is_reverse: reverse ? 1 : 0)
                    return withUnsafeMutablePointer(to: &page) { page in
                        stele_read_scan(
                            reader, &scan, page,
                            { context, found in
                                guard let context, let found = found?.pointee else { return }
                                context.assumingMemoryBound(to: ScanPage.self).pointee
                                    .append(found)
                            },
                            { context, key, found in
                                guard let context, let found = found?.pointee else { return }
                                context.assumingMemoryBound(to: ScanPage.self).pointee
                                    .conflicts.append((KeyBytes(key), ReadConflict(found)))
                            }, &message)
                    }
                }
            }
        }
    }

    package func firstChange(
        in range: KeyRange, above timestamp: Timestamp, keys: Int
    ) throws(EngineError) -> ChangeSearch {
        let reader = try reader()
        var found = ChangeSearch()
        var visited = 0
        try check { message in
            range.start.withBytes { start in
                range.end.withBytes { end in
                    withUnsafeMutablePointer(to: &found) { found in
                        stele_read_first_change(
                            reader, start, end, timestamp.rawValue, max(keys, 0), found,
                            { context, key, _ in
                                context?.assumingMemoryBound(to: ChangeSearch.self).pointee
                                    .changedKey = KeyBytes(key)
                            },
                            { context, key, _ in
                                context?.assumingMemoryBound(to: ChangeSearch.self).pointee
                                    .resumeKey = KeyBytes(key)
                            }, &visited, &message)
                    }
                }
            }
        }
        found.visited = visited
        return found
    }

    package func obsoleteDeletions(
        in range: KeyRange, upTo timestamp: Timestamp, keys: Int
    ) throws(EngineError) -> ObsoleteDeletions {
        let reader = try reader()
        var found = ObsoleteDeletions()
        try check { message in
            range.start.withBytes { start in
                range.end.withBytes { end in
                    withUnsafeMutablePointer(to: &found) { found in
                        stele_read_deletions(
                            reader, start, end, timestamp.rawValue, max(keys, 0), found,
                            { context, key, timestamp in
                                context?.assumingMemoryBound(to: ObsoleteDeletions.self).pointee
                                    .deletions.append(
                                        .init(
                                            key: KeyBytes(key),
                                            timestamp: Timestamp(rawValue: timestamp)))
                            },
                            { context, key, _ in
                                context?.assumingMemoryBound(to: ObsoleteDeletions.self).pointee
                                    .resumeKey = KeyBytes(key)
                            }, &message)
                    }
                }
            }
        }
        return found
    }

    package func pairs(
        of range: KeyRange, in family: PlainFamily, limits: PairLimits
    ) throws(EngineError) -> PairPage {
        let reader = try reader()
        var found = PairPage()
        try check { message in
            range.start.withBytes { start in
                range.end.withBytes { end in
                    withUnsafeMutablePointer(to: &found) { found in
                        stele_read_pairs(
                            reader, family.rawValue, start, end, max(limits.pairs, 0),
                            max(limits.bytes, 0), found,
                            { context, key, value in
                                context?.assumingMemoryBound(to: PairPage.self).pointee.pairs
                                    .append((Array(key), Array(value)))
                            },
                            { context, key, _ in
                                context?.assumingMemoryBound(to: PairPage.self).pointee
                                    .resumeKey = Array(key)
                            }, &message)
                    }
                }
            }
        }
        return found
    }
}

extension ScanPage {
    /// Copies the rows that the shim lends to a sink.
    fileprivate mutating func append(_ found: stele_page) {
        bytes.append(
            contentsOf: UnsafeBufferPointer(start: found.rows.data, count: found.rows.count))
        count += found.count
        visited += found.visited
        resumeKey = found.has_resume_key == 0 ? nil : KeyBytes(found.resume_key)
    }
}
