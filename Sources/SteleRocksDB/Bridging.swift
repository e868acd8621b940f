internal import CRocksDB
import SteleBase
import SteleEngine

extension Array where Element == UInt8 {
    /// Lends the bytes to one call of the shim.
    @inline(__always)
    func withBytes<Result>(_ body: (stele_bytes) -> Result) -> Result {
        withUnsafeBufferPointer { body(stele_bytes(data: $0.baseAddress, count: $0.count)) }
    }

    /// Copies bytes that the shim lends to a sink.
    @inline(__always)
    init(_ bytes: stele_bytes) {
        self = Array(UnsafeBufferPointer(start: bytes.data, count: bytes.count))
    }
}

extension ArraySlice where Element == UInt8 {
    /// Lends the bytes to one call of the shim.
    @inline(__always)
    func withBytes<Result>(_ body: (stele_bytes) -> Result) -> Result {
        withUnsafeBufferPointer { body(stele_bytes(data: $0.baseAddress, count: $0.count)) }
    }
}

extension EngineError {
    /// What the shim reported; frees the message.
    init(code: stele_code, message: UnsafeMutablePointer<CChar>?, directory: String) {
        let text = message.map { String(cString: $0) } ?? "out of memory"
        stele_message_free(message)
        let code = Code(code)
        self.init(code, code == .invalidArgument ? text : "\(directory): \(text)")
    }
}

extension EngineError.Code {
    init(_ code: stele_code) {
        self =
            switch Int(code) {
            case STELE_CORRUPTION: .corruption
            case STELE_NO_SPACE: .noSpace
            case STELE_LOCKED: .locked
            case STELE_INCOMPATIBLE: .incompatible
            case STELE_INVALID_ARGUMENT: .invalidArgument
            case STELE_BUSY: .busy
            case STELE_BELOW_WATERMARK: .belowWatermark
            default: .io
            }
    }
}
