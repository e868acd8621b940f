import SteleBase

/// Work on very many keys that lets others go first now and then.
///
/// Coordinators run on the event loop: a million keys sorted in one piece, or even freed, would stop
/// everything else for as long as it takes a follower to call an election.
enum Slices {
    /// Elements that are dealt with in one piece.
    static let slice = 2_048

    /// Sorts stably; others run between slices.
    static func sorted<Element>(
        _ elements: [Element], by precedes: (Element, Element) -> Bool
    ) async -> [Element] {
        guard elements.count > slice else { return elements.sorted(by: precedes) }
        var runs: [[Element]] = []
        var start = 0
        while start < elements.count {
            let end = min(start + slice, elements.count)
            let run = elements[start..<end].sorted(by: precedes)
            if let last = runs.last?.last, !precedes(run[0], last) {
                runs[runs.count - 1] += run
            } else {
                runs.append(run)
            }
            start = end
            await Task.yield()
        }
        while runs.count > 1 {
            var merged: [[Element]] = []
            for place in stride(from: 0, to: runs.count, by: 2) {
                guard place + 1 < runs.count else {
                    merged.append(runs[place])
                    continue
                }
                merged.append(await merge(runs[place], runs[place + 1], by: precedes))
                runs[place] = []
                runs[place + 1] = []
            }
            runs = merged
        }
        return runs[0]
    }

    /// Keys in ascending order, each once.
    static func ascending(_ keys: [KeyBytes]) async -> [KeyBytes] {
        var kept: [KeyBytes] = []
        kept.reserveCapacity(keys.count)
        for key in await sorted(keys, by: { $0.precedes($1) }) where key != kept.last {
            kept.append(key)
            if kept.count % slice == 0 { await Task.yield() }
        }
        return kept
    }

    /// Frees keys that nobody else refers to.
    static func discard(_ keys: inout [KeyBytes]) async {
        while keys.count > slice {
            keys.removeLast(slice)
            await Task.yield()
        }
        keys = []
    }

    private static func merge<Element>(
        _ left: [Element], _ right: [Element], by precedes: (Element, Element) -> Bool
    ) async -> [Element] {
        var merged: [Element] = []
        merged.reserveCapacity(left.count + right.count)
        var (l, r) = (0, 0)
        while l < left.count || r < right.count {
            let end = min(merged.count + slice, left.count + right.count)
            while merged.count < end {
                if r == right.count || l < left.count && !precedes(right[r], left[l]) {
                    merged.append(left[l])
                    l += 1
                } else {
                    merged.append(right[r])
                    r += 1
                }
            }
            await Task.yield()
        }
        return merged
    }
}
