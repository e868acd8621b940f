// What a client sends, built by hand, so that the decoder is not tested with its own encoder.

/// Bytes of frontend messages.
struct ClientMessages {
    var bytes: [UInt8] = []

    /// A start-up packet of version 3.0.
    static func startup(
        _ parameters: KeyValuePairs<String, String> = ["user": "postgres"], minor: Int32 = 0
    ) -> [UInt8] {
        var body = int32(3 << 16 | minor)
        for (name, value) in parameters { body += cString(name) + cString(value) }
        return packet(body + [0])
    }

    /// An untyped packet: length and body.
    static func packet(_ body: [UInt8]) -> [UInt8] { int32(Int32(body.count + 4)) + body }

    static let sslRequest = packet(int32(80_877_103))
    static let gssRequest = packet(int32(80_877_104))

    static func cancel(_ processID: Int32, _ secret: Int32) -> [UInt8] {
        packet(int32(80_877_102) + int32(processID) + int32(secret))
    }

    static func message(_ kind: Character, _ body: [UInt8] = []) -> [UInt8] {
        Array(String(kind).utf8) + int32(Int32(body.count + 4)) + body
    }

    static func query(_ text: String) -> [UInt8] { message("Q", cString(text)) }

    static func parse(_ name: String, _ text: String, _ types: [Int32] = []) -> [UInt8] {
        message("P", cString(name) + cString(text) + int16(types.count) + types.flatMap(int32))
    }

    static func bind(
        _ portal: String, _ statement: String, formats: [Int16] = [], _ values: [[UInt8]?] = [],
        results: [Int16] = []
    ) -> [UInt8] {
        var body = cString(portal) + cString(statement)
        body += int16(formats.count) + formats.flatMap { int16(Int($0)) }
        body += int16(values.count)
        for value in values {
            body += value.map { int32(Int32($0.count)) + $0 } ?? int32(-1)
        }
        return message("B", body + int16(results.count) + results.flatMap { int16(Int($0)) })
    }

    static func describe(_ kind: Character, _ name: String = "") -> [UInt8] {
        message("D", Array(String(kind).utf8) + cString(name))
    }

    static func close(_ kind: Character, _ name: String = "") -> [UInt8] {
        message("C", Array(String(kind).utf8) + cString(name))
    }

    static func execute(_ portal: String = "", _ maxRows: Int32 = 0) -> [UInt8] {
        message("E", cString(portal) + int32(maxRows))
    }

    static let sync = message("S")
    static let flush = message("H")
    static let terminate = message("X")

    static func copyData(_ text: String) -> [UInt8] { message("d", Array(text.utf8)) }

    static let copyDone = message("c")

    static func copyFail(_ reason: String) -> [UInt8] { message("f", cString(reason)) }

    static func int16(_ value: Int) -> [UInt8] {
        withUnsafeBytes(of: UInt16(value).bigEndian) { Array($0) }
    }

    static func int32(_ value: Int32) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }

    static func cString(_ text: String) -> [UInt8] { Array(text.utf8) + [0] }
}
