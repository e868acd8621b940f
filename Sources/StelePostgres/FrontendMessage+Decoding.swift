import SteleSQL

// The layout of each message's body. Counts are checked against what is there before anything is
// reserved for them, so a false count costs an error and no memory.

extension FrontendMessage {
    /// Decodes the body of one message.
    init(_ kind: Kind, decoding body: ArraySlice<UInt8>) throws(SQLError) {
        var reader = MessageReader(body)
        switch kind {
        case .query: self = .query(try reader.string())
        case .parse: self = .parse(try Parse(&reader))
        case .bind: self = .bind(try Bind(&reader))
        case .describe: self = .describe(try Target(&reader, of: "DESCRIBE"))
        case .close: self = .close(try Target(&reader, of: "CLOSE"))
        case .execute:
            self = .execute(portal: try reader.string(), maxRows: Int(try reader.int32()))
        case .flush: self = .flush
        case .sync: self = .sync
        case .terminate: self = .terminate
        case .copyData: self = .copyData(reader.remainder())
        case .copyDone: self = .copyDone
        case .copyFail: self = .copyFail(reason: try reader.string())
        case .password: self = .password(reader.remainder())
        case .functionCall:
            _ = reader.remainder()
            self = .functionCall
        }
        try reader.finish()
    }
}

extension FrontendMessage.Parse {
    init(_ reader: inout MessageReader) throws(SQLError) {
        statement = try reader.string()
        text = try reader.string()
        parameterTypes = []
        for _ in 0..<(try reader.count()) { parameterTypes.append(try reader.unsigned32()) }
    }
}

extension FrontendMessage.Bind {
    init(_ reader: inout MessageReader) throws(SQLError) {
        portal = try reader.string()
        statement = try reader.string()
        parameterFormats = try Self.formats(&reader)
        parameters = []
        let parameterCount = try reader.count()
        guard parameterFormats.count <= 1 || parameterFormats.count == parameterCount else {
            throw .protocolViolation(
                "bind message has \(parameterFormats.count) parameter formats"
                    + " but \(parameterCount) parameters")
        }
        for _ in 0..<parameterCount {
            let length = try reader.int32()
            parameters.append(length == -1 ? nil : try reader.bytes(Int(length)))
        }
        resultFormats = try Self.formats(&reader)
    }

    private static func formats(_ reader: inout MessageReader) throws(SQLError) -> [Int16] {
        var formats: [Int16] = []
        for _ in 0..<(try reader.count()) {
            let format = try reader.int16()
            guard format == 0 || format == 1 else {
                throw SQLError("22023", "unsupported format code: \(format)")
            }
            formats.append(format)
        }
        return formats
    }
}

extension FrontendMessage.Target {
    init(_ reader: inout MessageReader, of message: String) throws(SQLError) {
        let subtype = try reader.byte()
        let name = try reader.string()
        switch subtype {
        case UInt8(ascii: "S"): self = .statement(name)
        case UInt8(ascii: "P"): self = .portal(name)
        default: throw .protocolViolation("invalid \(message) message subtype \(subtype)")
        }
    }
}

extension OpeningMessage {
    /// Decodes a packet without its length.
    init(decoding body: ArraySlice<UInt8>) throws(SQLError) {
        var reader = MessageReader(body)
        let code = try reader.unsigned32()
        switch code {
        case 80_877_102:
            self = .cancelRequest(processID: try reader.int32(), secret: try reader.int32())
        case 80_877_103:
            self = .encryptionRequest(.tls)
        case 80_877_104:
            self = .encryptionRequest(.gssapi)
        default:
            self = .startup(try StartupMessage(version: code, &reader))
        }
        try reader.finish()
    }
}

extension StartupMessage {
    init(version: UInt32, _ reader: inout MessageReader) throws(SQLError) {
        majorVersion = Int(version >> 16)
        minorVersion = Int(version & 0xFFFF)
        parameters = []
        // Another major version lays its packet out in another way, and is refused anyway.
        guard majorVersion == 3 else {
            _ = reader.remainder()
            return
        }
        while reader.hasString {
            let name = try reader.string()
            if name.isEmpty, reader.isAtEnd { return }
            guard !name.isEmpty, reader.hasString else { break }
            parameters.append(Parameter(name: name, value: try reader.string()))
        }
        throw .protocolViolation(
            "invalid startup packet layout: expected terminator as last byte")
    }
}
