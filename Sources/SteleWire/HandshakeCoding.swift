import SteleBase

// Hello and Welcome begin with a magic number and the protocol version, which keep their place in
// every version to come, so that nodes of different versions can still tell each other what is wrong.

/// The version of everything that travels between nodes and from clients.
package enum ProtocolVersion {
    package static let current: UInt16 = 2

    static let magic: [UInt8] = Array("STELE\r\n\0".utf8)

    static func write(into writer: inout ByteWriter) {
        writer.writeRaw(magic)
        writer.write(current)
    }

    static func check(_ reader: inout ByteReader) throws(Refusal) {
        let version: UInt16
        do throws(DecodingError) {
            guard Array(try reader.readRaw(magic.count)) == magic else {
                throw DecodingError("the other side does not speak the protocol of Stele")
            }
            version = try reader.read(UInt16.self)
        } catch {
            throw Refusal(.malformed, error.description)
        }
        guard version == current else {
            throw Refusal(
                .version,
                "version \(version) of the protocol was called, this node speaks \(current)")
        }
    }
}

extension Hello {
    /// The frame that opens a connection.
    package func frame() -> [UInt8] {
        Frame.encode(.hello) { writer in
            ProtocolVersion.write(into: &writer)
            writer.write(role.rawValue)
            writer.writeVarint(receiver.rawValue)
            sender.encode(into: &writer)
        }
    }

    /// - Throws: what to answer instead of a welcome.
    package init(decoding payload: ArraySlice<UInt8>) throws(Refusal) {
        var reader = ByteReader(payload)
        try ProtocolVersion.check(&reader)
        do throws(DecodingError) {
            guard let role = Role(rawValue: try reader.read(UInt8.self)) else {
                throw DecodingError("the role of a connection is unknown")
            }
            let receiver = NodeID(try reader.readVarint())
            self.init(role: role, receiver: receiver, sender: try Introduction(from: &reader))
            try reader.expectEnd()
        } catch {
            throw Refusal(.malformed, error.description)
        }
    }
}

extension Welcome {
    package func frame() -> [UInt8] {
        Frame.encode(.welcome) { writer in
            ProtocolVersion.write(into: &writer)
            sender.encode(into: &writer)
        }
    }

    package init(decoding payload: ArraySlice<UInt8>) throws(Refusal) {
        var reader = ByteReader(payload)
        try ProtocolVersion.check(&reader)
        do throws(DecodingError) {
            self.init(sender: try Introduction(from: &reader))
            try reader.expectEnd()
        } catch {
            throw Refusal(.malformed, error.description)
        }
    }
}

extension Refusal {
    package func frame() -> [UInt8] {
        Frame.encode(.refusal) { writer in
            writer.write(reason.rawValue)
            writer.writeString(message)
        }
    }

    /// A reason that is not known here, from a later version, counts as malformed.
    package init(decoding payload: ArraySlice<UInt8>) throws(DecodingError) {
        var reader = ByteReader(payload)
        let reason = Reason(rawValue: try reader.read(UInt8.self)) ?? .malformed
        self.init(reason, try reader.readString())
        try reader.expectEnd()
    }
}

extension Introduction {
    func encode(into writer: inout ByteWriter) {
        writer.write(cluster)
        writer.writeVarint(node.rawValue)
        writer.write(instance)
        writer.writeString(info.address)
        writer.writeString(info.postgres)
        writer.write(info.pid)
        writer.write(info.bootTime)
        writer.writeString(info.locality)
        writer.writeString(info.version)
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        let cluster = try reader.readUniqueID()
        let node = NodeID(try reader.readVarint())
        let instance = try reader.readUniqueID()
        let address = try reader.readString()
        let postgres = try reader.readString()
        let pid = try reader.read(UInt32.self)
        let bootTime = try reader.read(UInt64.self)
        let locality = try reader.readString()
        let info = NodeInfo(
            address: address, postgres: postgres, pid: pid, bootTime: bootTime,
            locality: locality, version: try reader.readString())
        self.init(cluster: cluster, node: node, instance: instance, info: info)
    }
}
