import SteleSQL

// Messages are appended to one array that is sent as a whole, so a batch of replies is one write.
// A message's length is known once it is complete, and is then put in front.

/// Appends the backend's side of the Postgres protocol, version 3, to a buffer.
package struct BackendWriter {
    /// The messages so far.
    package internal(set) var bytes: [UInt8] = []

    package init() {}

    /// Forgets what was sent. The memory is kept, unless an exceptional message blew it up.
    package mutating func removeAll() {
        bytes.removeAll(keepingCapacity: bytes.capacity <= Self.retainedBytes)
    }

    /// The messages so far, which are forgotten.
    mutating func takeBytes() -> [UInt8] { exchange(&bytes, with: []) }

    /// Accepts the client without further questions.
    package mutating func authenticationOk() {
        message("R") { $0.int32(0) }
    }

    /// Reports the value of a setting.
    package mutating func parameterStatus(_ name: String, _ value: String) {
        message("S") {
            $0.string(name)
            $0.string(value)
        }
    }

    /// Hands out what a cancel request has to present.
    package mutating func backendKeyData(processID: Int32, secret: Int32) {
        message("K") {
            $0.int32(processID)
            $0.int32(secret)
        }
    }

    /// Offers version 3.0, and names the options that are not known.
    package mutating func negotiateProtocolVersion(unknownOptions: [String]) {
        message("v") {
            $0.int32(3 << 16)
            $0.int32(Int32(truncatingIfNeeded: unknownOptions.count))
            for option in unknownOptions { $0.string(option) }
        }
    }

    /// Refuses to encrypt the connection. This answer is a byte and no message.
    package mutating func encryptionRefused() {
        bytes.append(UInt8(ascii: "N"))
    }

    /// Waits for the next command, in the state of the transaction.
    package mutating func readyForQuery(_ status: TransactionStatus) {
        message("Z") {
            switch status {
            case .idle: $0.bytes.append(UInt8(ascii: "I"))
            case .inTransaction: $0.bytes.append(UInt8(ascii: "T"))
            case .failed: $0.bytes.append(UInt8(ascii: "E"))
            }
        }
    }

    /// Ends the answer to one statement.
    package mutating func commandComplete(_ tag: String) {
        message("C") { $0.string(tag) }
    }

    /// Answers a query text without any statement.
    package mutating func emptyQueryResponse() { message("I") { _ in } }

    /// Answers Parse.
    package mutating func parseComplete() { message("1") { _ in } }

    /// Answers Bind.
    package mutating func bindComplete() { message("2") { _ in } }

    /// Answers Close.
    package mutating func closeComplete() { message("3") { _ in } }

    /// Answers Describe of something that returns no rows.
    package mutating func noData() { message("n") { _ in } }

    /// Ends the rows of a portal that has more.
    package mutating func portalSuspended() { message("s") { _ in } }

    /// Names the types of a statement's parameters.
    package mutating func parameterDescription(_ types: [UInt32]) {
        message("t") {
            $0.int16(Int16(truncatingIfNeeded: types.count))
            for type in types { $0.int32(Int32(bitPattern: type)) }
        }
    }

    /// Asks for the data of COPY FROM STDIN.
    package mutating func copyInResponse(columns: Int, binary: Bool) {
        message("G") {
            $0.bytes.append(binary ? 1 : 0)
            $0.int16(Int16(truncatingIfNeeded: columns))
            for _ in 0..<columns { $0.int16(binary ? 1 : 0) }
        }
    }

    /// Appends one message whose contents `body` writes.
    mutating func message(_ kind: Unicode.Scalar, _ body: (inout BackendWriter) -> Void) {
        bytes.append(UInt8(truncatingIfNeeded: kind.value))
        let start = bytes.count
        int32(0)
        body(&self)
        setInt32(Int32(truncatingIfNeeded: bytes.count - start), at: start)
    }

    mutating func int16(_ value: Int16) {
        bytes.append(UInt8(truncatingIfNeeded: value >> 8))
        bytes.append(UInt8(truncatingIfNeeded: value))
    }

    mutating func int32(_ value: Int32) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    /// Text up to its first NUL, which would end it for the client, and the NUL.
    mutating func string(_ text: String) {
        for byte in text.utf8 {
            guard byte != 0 else { break }
            bytes.append(byte)
        }
        bytes.append(0)
    }

    mutating func setInt32(_ value: Int32, at start: Int) {
        bytes[start] = UInt8(truncatingIfNeeded: value >> 24)
        bytes[start + 1] = UInt8(truncatingIfNeeded: value >> 16)
        bytes[start + 2] = UInt8(truncatingIfNeeded: value >> 8)
        bytes[start + 3] = UInt8(truncatingIfNeeded: value)
    }

    /// Lets `body` append to the buffer and returns how much it appended.
    mutating func append(_ body: (inout [UInt8]) -> Void) -> Int {
        let start = bytes.count
        body(&bytes)
        return bytes.count - start
    }

    private static let retainedBytes = 1 << 18
}
