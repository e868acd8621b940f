import ArgumentParser
import SteleAPI

/// Keys and values on the command line are bytes, of which the shell passes any but NUL.
///
/// Swift's strings cannot hold all of them: two keys that are no UTF-8 would become one. So such an
/// argument is parsed under a name that no argument can have, and looked up afterwards.
struct RawArgument: ExpressibleByArgument {
    let bytes: [UInt8]

    init(argument: String) { bytes = Self.known[argument] ?? Array(argument.utf8) }

    /// By the names that stand for them. Set once, before anything is parsed.
    nonisolated(unsafe) private static var known: [String: [UInt8]] = [:]

    /// The program's arguments without its name, as they are to be parsed.
    static func all() -> [String] {
        var arguments: [String] = []
        for number in 1..<max(Int(CommandLine.argc), 1) {
            guard let start = CommandLine.unsafeArgv[number] else { continue }
            let text = String(cString: start)
            if let valid = String(validatingCString: start) {
                arguments.append(valid)
                continue
            }
            let bytes = start.withMemoryRebound(to: UInt8.self, capacity: text.utf8.count) {
                var end = 0
                while $0[end] != 0 { end += 1 }
                return Array(UnsafeBufferPointer(start: $0, count: end))
            }
            let name = "\0\(number)"
            known[name] = bytes
            arguments.append(name)
        }
        return arguments
    }

    /// The bytes that hexadecimal digits stand for.
    func decodedHex() throws -> [UInt8] {
        guard bytes.count % 2 == 0 else { throw Self.noHex(bytes) }
        var decoded: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 2) {
            let digits = String(decoding: bytes[start..<start + 2], as: UTF8.self)
            guard digits.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
                let byte = UInt8(digits, radix: 16)
            else { throw Self.noHex(bytes) }
            decoded.append(byte)
        }
        return decoded
    }

    private static func noHex(_ bytes: [UInt8]) -> ValidationError {
        ValidationError(
            "\(String(decoding: bytes, as: UTF8.self)) is no even number of hexadecimal digits")
    }

    static func hex(_ bytes: [UInt8]) -> [UInt8] {
        bytes.flatMap { byte in
            let digits = Array(String(byte, radix: 16).utf8)
            return digits.count < 2 ? [UInt8(ascii: "0")] + digits : digits
        }
    }
}
