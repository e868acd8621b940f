#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A client that waits, over a socket of its own: what it sends and what it is answered, no more.
package final class PostgresClient {
    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    private let descriptor: Int32
    private var unread: [UInt8] = []
    private var copyData: [[UInt8]] = []

    /// Connects to a server on this machine as `user`, and waits until it is ready.
    ///
    /// - Parameter settings: what is asked for besides, as `("DateStyle", "German")`.
    package init(
        port: UInt16, user: String, database: String = "postgres",
        settings: [(String, String)] = []
    ) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            throw Failure(description: "cannot connect to port \(port): error \(errno)")
        }
        var body = Self.integer(196_608)
        let pairs = [("user", user), ("database", database)] + settings
        for (name, value) in pairs { body += Self.text(name) + Self.text(value) }
        body.append(0)
        try send(Self.integer(body.count + 4) + body)
        _ = try answers(1)
    }

    deinit { close(descriptor) }

    /// Sends messages that end with so many points at which the server is ready again, and returns
    /// what was answered up to each of them.
    ///
    /// - Parameter copyData: what is sent when a `COPY FROM STDIN` asks for it.
    package func converse(
        _ messages: [UInt8], readies: Int, copyData: [[UInt8]] = []
    ) throws -> [Answer] {
        self.copyData = copyData
        try send(messages)
        return try answers(readies)
    }

    private func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw Failure(description: "the connection is lost") }
            sent += count
        }
    }

    private func answers(_ count: Int) throws -> [Answer] {
        var answers: [Answer] = []
        var answer = Answer()
        while answers.count < count {
            let (kind, body) = try message()
            switch kind {
            case UInt8(ascii: "Z"):
                answers.append(answer)
                answer = Answer()
            case UInt8(ascii: "E"):
                answer.error = answer.error ?? Self.field("C", of: body)
                answer.message = answer.message ?? Self.field("M", of: body)
                if Self.field("S", of: body) == "FATAL" {
                    throw Failure(description: "\(answer.message ?? "a fatal error")")
                }
            case UInt8(ascii: "T"): answer.types.append(Self.types(body))
            case UInt8(ascii: "t"): answer.types.append("parameters \(Array(body))")
            case UInt8(ascii: "D"):
                let values = Self.row(body)
                answer.rows.append(values.map { $0.map { "'\($0)'" } ?? "NULL" }.joined(separator: ", "))
                answer.lines.append(values.map { $0 ?? "∅" }.joined(separator: "|"))
            case UInt8(ascii: "C"):
                let tag = String(decoding: body.dropLast(), as: UTF8.self)
                answer.tags.append(tag)
                answer.lines.append(tag)
            case UInt8(ascii: "I"): answer.lines.append("empty")
            case UInt8(ascii: "s"): answer.lines.append("suspended")
            case UInt8(ascii: "G"):
                answer.lines.append("copy \(body.dropFirst(2).first ?? 0)")
                for piece in copyData { try send(Self.message("d", piece)) }
                try send(Self.message("c", []))
            default: break
            }
        }
        return answers
    }

    private func message() throws -> (UInt8, ArraySlice<UInt8>) {
        while true {
            if unread.count >= 5 {
                let length = Self.number(unread[1..<5])
                if unread.count > length {
                    let message = (unread[0], unread[5..<(length + 1)])
                    unread.removeFirst(length + 1)
                    return message
                }
            }
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            let count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw Failure(description: "the connection is lost") }
            unread += buffer[..<count]
        }
    }

    // MARK: Forms

    package static func text(_ text: String) -> [UInt8] { Array(text.utf8) + [0] }

    package static func integer(_ value: Int) -> [UInt8] {
        withUnsafeBytes(of: Int32(truncatingIfNeeded: value).bigEndian) { Array($0) }
    }

    package static func short(_ value: Int) -> [UInt8] {
        withUnsafeBytes(of: Int16(truncatingIfNeeded: value).bigEndian) { Array($0) }
    }

    package static func message(_ kind: Unicode.Scalar, _ body: [UInt8]) -> [UInt8] {
        [UInt8(ascii: kind)] + integer(body.count + 4) + body
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> Int {
        Int(Int32(truncatingIfNeeded: bytes.reduce(0) { $0 << 8 | Int($1) }))
    }

    private static func field(_ name: Unicode.Scalar, of body: ArraySlice<UInt8>) -> String? {
        for part in body.split(separator: 0) where part.first == UInt8(ascii: name) {
            return String(decoding: part.dropFirst(), as: UTF8.self)
        }
        return nil
    }

    /// OID and modifier of each column.
    private static func types(_ body: ArraySlice<UInt8>) -> String {
        var rest = body.dropFirst(2)
        var types: [String] = []
        while !rest.isEmpty {
            let name = rest.prefix { $0 != 0 }
            let fields = rest.dropFirst(name.count + 1)
            let type = number(fields.dropFirst(6).prefix(4))
            let modifier = number(fields.dropFirst(12).prefix(4))
            types.append(
                "\(String(decoding: name, as: UTF8.self)) \(type)"
                    + (modifier < 0 ? "" : "(\(modifier))"))
            rest = fields.dropFirst(18)
        }
        return types.joined(separator: ", ")
    }

    /// The fields of a row; nil is null.
    private static func row(_ body: ArraySlice<UInt8>) -> [String?] {
        var rest = body.dropFirst(2)
        var values: [String?] = []
        while !rest.isEmpty {
            let length = number(rest.prefix(4))
            rest = rest.dropFirst(4)
            values.append(length < 0 ? nil : String(decoding: rest.prefix(length), as: UTF8.self))
            rest = rest.dropFirst(max(0, length))
        }
        return values
    }
}

/// What a statement was answered.
package struct Answer: Hashable {
    /// SQLSTATE.
    package var error: String?
    package var message: String?
    package var types: [String] = []
    package var rows: [String] = []
    package var tags: [String] = []
    /// Rows with bars between their fields, and tags, as they came.
    package var lines: [String] = []
}
