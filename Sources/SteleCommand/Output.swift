import Foundation
import SteleAPI

#if canImport(Glibc)
    import Glibc
#endif

/// What the program writes for people and for other programs.
///
/// A reader that goes away, as `head` does, and a full disk are errors of one write: a command ends
/// with them, and a cluster that the program runs does not.
enum Output {
    /// Nobody reads standard output any more.
    struct ReaderGone: Error {}

    /// Writes to standard output, at once even if that is a pipe.
    static func write(_ bytes: [UInt8]) throws { try write(bytes, to: STDOUT_FILENO) }

    /// Whether a person reads standard output.
    static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    /// Bytes as a terminal may be given them: control characters and what is no UTF-8 as `\xNN`.
    static func visible(_ bytes: [UInt8]) -> [UInt8] {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            return bytes.flatMap { (0x20...0x7E).contains($0) ? [$0] : escaped($0) }
        }
        return text.unicodeScalars.flatMap { scalar in
            scalar.properties.generalCategory == .control
                ? scalar.utf8.flatMap(escaped) : Array(scalar.utf8)
        }
    }

    private static func escaped(_ byte: UInt8) -> [UInt8] {
        let digits = String(byte, radix: 16)
        return Array(("\\x" + (digits.count < 2 ? "0" : "") + digits).utf8)
    }

    fileprivate static func write(_ bytes: [UInt8], to descriptor: Int32) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written >= 0 {
                rest = rest.dropFirst(written)
            } else if errno == EPIPE {
                throw ReaderGone()
            } else if errno == EAGAIN {
                var event = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&event, 1, -1)
            } else if errno != EINTR {
                throw SteleError(
                    .storage, "cannot write the output: \(String(cString: strerror(errno)))")
            }
        }
    }
}

/// Writes one line to standard error; if nobody takes it, there is nobody to tell.
func printError(_ line: String) {
    try? Output.write(Array((line + "\n").utf8), to: STDERR_FILENO)
}

/// Writes one line to standard output.
func printLine(_ line: String) throws { try Output.write(Array((line + "\n").utf8)) }
