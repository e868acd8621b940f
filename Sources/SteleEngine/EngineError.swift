import SteleClock

/// Why the engine could not do what it was asked for.
package struct EngineError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: UInt8, Hashable, Sendable {
        /// The disk or the library failed.
        case io
        /// Stored bytes are not what was written.
        case corruption
        /// No space is left on the device.
        case noSpace
        /// Another process has the directory open.
        case locked
        /// The directory holds a newer format, or something that is not a store of ours.
        case incompatible
        /// The bytes handed in are no mutation list, or exceed a limit.
        case invalidArgument
        /// Background work is behind: nothing was written, and the same call may succeed later.
        case busy
        /// A read of what garbage collection may have dropped.
        case belowWatermark
        /// A read from memory would have had to wait for the disk; see ``StorageEngine/inMemory``.
        case notInMemory
    }

    package var code: Code
    package var message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// After a fatal error the engine takes no more writes, but still reads; only a restart helps.
    package var isFatal: Bool {
        code != .invalidArgument && code != .busy && code != .belowWatermark
            && code != .notInMemory
    }

    /// Whether stored bytes are not what was written, so that a restart does not help either.
    package var isCorruption: Bool { code == .corruption }

    package var description: String { message }
}

extension EngineError {
    /// Refuses a read at `timestamp` where versions up to `watermark` may be gone.
    package init(_ timestamp: Timestamp, below watermark: Timestamp) {
        self.init(
            .belowWatermark,
            "timestamp \(timestamp.rawValue) lies below the watermark \(watermark.rawValue) "
                + "of garbage collection")
    }
}
