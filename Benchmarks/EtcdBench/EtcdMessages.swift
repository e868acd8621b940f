import NIOCore

/// The few messages of etcd's KV service that the load needs, in protobuf's encoding.
///
/// Fields as in etcd's rpc.proto: `RangeRequest`, `PutRequest`, `TxnRequest`, `RequestOp`.
enum EtcdMessages {
    static func range(_ key: [UInt8], to end: [UInt8]? = nil) -> [UInt8] {
        var message: [UInt8] = []
        add(key, field: 1, to: &message)
        if let end { add(end, field: 2, to: &message) }
        return message
    }

    static func put(_ key: [UInt8], _ value: [UInt8]) -> [UInt8] {
        var message: [UInt8] = []
        message.reserveCapacity(key.count + value.count + 8)
        add(key, field: 1, to: &message)
        add(value, field: 2, to: &message)
        return message
    }

    /// A transaction without conditions that writes all pairs.
    static func transaction(_ pairs: [(key: [UInt8], value: [UInt8])]) -> [UInt8] {
        var message: [UInt8] = []
        for (key, value) in pairs {
            var operation: [UInt8] = []
            add(put(key, value), field: 2, to: &operation)
            add(operation, field: 2, to: &message)
        }
        return message
    }

    private static func add(_ bytes: [UInt8], field: UInt8, to message: inout [UInt8]) {
        message.append(field << 3 | 2)
        var count = bytes.count
        while count >= 0x80 {
            message.append(UInt8(count & 0x7F) | 0x80)
            count >>= 7
        }
        message.append(UInt8(count))
        message += bytes
    }
}
