import SteleBase

extension StatusReport {
    /// One line of JSON. Keys are in hexadecimal digits.
    ///
    /// What is not known or not there is `null`: a bound of a tablet at an end of the keyspace, its
    /// leader, a node's Postgres front, process, version or uptime, how far its clock is ahead, the lag
    /// of replicas if another node leads, the disk.
    /// `turns.histogram` counts those below 1 µs, 2 µs, 4 µs and so on, up to the longest.
    public var json: String {
        let nodes = self.nodes.map { node in
            "{\"id\":\(node.id.rawValue),\"address\":\(node.address.json),"
                + "\"postgres\":\(node.postgres.isEmpty ? "null" : node.postgres.json),"
                + "\"pid\":\(node.pid == 0 ? "null" : "\(node.pid)"),"
                + "\"version\":\(node.version.isEmpty ? "null" : node.version.json),"
                + "\"uptime_s\":\(node.uptime.json),\"live\":\(node.isLive),"
                + "\"locality\":\(node.locality.json),\"clock\":\(node.clock.json),"
                + "\"outdated\":\(node.isOutdated)}"
        }
        let tablets = self.tablets.map { tablet in
            let replicas = tablet.replicas.map { "\($0.rawValue)" }.joined(separator: ",")
            let outrun = tablet.outrun.map { "\($0.rawValue)" }.joined(separator: ",")
            let lag =
                tablet.lag.isEmpty
                ? "null" : "[\(tablet.lag.map(\.json).joined(separator: ","))]"
            let leader = tablet.leader == .none ? "null" : "\(tablet.leader.rawValue)"
            return "{\"id\":\(tablet.id.rawValue),\"start\":\(tablet.start.bound),"
                + "\"end\":\(tablet.end.bound),\"leader\":\(leader),"
                + "\"replicas\":[\(replicas)],\"rebuild\":[\(outrun)],"
                + "\"committed\":\(tablet.committed),\"applied\":\(tablet.applied),"
                + "\"lag\":\(lag)}"
        }
        return "{\"cluster\":\(cluster.description.json),"
            + "\"nodes\":[\(nodes.joined(separator: ","))],"
            + "\"tablets\":[\(tablets.joined(separator: ","))]"
            + ",\"storage\":\(storage?.json ?? "null")"
            + (turns.map { ",\"turns\":" + $0.json } ?? "") + "}"
    }
}

extension UInt64? {
    fileprivate var json: String { map { "\($0)" } ?? "null" }
}

extension StatusReport.Storage {
    fileprivate var json: String {
        "{\"free_bytes\":\(freeBytes),\"total_bytes\":\(totalBytes),\"log_bytes\":\(logBytes),"
            + "\"store_bytes\":\(storeBytes),\"writes\":\"\(writes)\"}"
    }
}

extension TurnStatistics {
    fileprivate var json: String {
        let end = counts.lastIndex { $0 > 0 }.map { $0 + 1 } ?? 0
        let histogram = counts[..<end].map { "\($0)" }.joined(separator: ",")
        return "{\"count\":\(count),\"histogram\":[\(histogram)],"
            + "\"longest\":{\"microseconds\":\(longest),\"work\":\(longestWork.json)}}"
    }
}

extension StatusReport.Clock {
    fileprivate var json: String {
        let offset = self.offset.map { "[\($0.lowerBound),\($0.upperBound)]" } ?? "null"
        let doubters = doubtedBy.map { "\($0.rawValue)" }.joined(separator: ",")
        return "{\"standing\":\"\(standing)\",\"offset_us\":\(offset),"
            + "\"doubted_by\":[\(doubters)],\"wait_us\":\(wait),\"steps\":\(steps)}"
    }
}

extension Array where Element == UInt8 {
    /// A bound of a range, which has none where it is empty.
    fileprivate var bound: String {
        guard !isEmpty else { return "null" }
        let digits = map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
        return "\"\(digits.joined())\""
    }
}

extension String {
    /// The text as a JSON string.
    fileprivate var json: String {
        var text = "\""
        for scalar in unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case _ where scalar.properties.generalCategory == .control:
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + "\""
    }
}
