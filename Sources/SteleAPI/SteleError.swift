import SteleBase
import SteleClock

/// What went wrong, as far as a caller can react to it.
///
/// The set of codes is open: a later version may add some, so a `switch` over them needs a default.
public struct SteleError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kind of an error. One code stands for one way to react.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        public let name: String

        package init(_ name: String) { self.name = name }

        public var description: String { name }

        /// Another transaction changed what this one read or wrote. Run it again.
        public static let conflict = Code("conflict")
        /// The transaction was part of a deadlock and was chosen to give way. Run it again.
        public static let deadlock = Code("deadlock")
        /// What was to be read is older than the history that is kept. Run the transaction again.
        public static let snapshotTooOld = Code("snapshotTooOld")
        /// A lock was held by another transaction and the caller did not want to wait (any longer).
        public static let lockNotAvailable = Code("lockNotAvailable")
        /// Whether the transaction was committed could not be found out. Look before trying again.
        public static let commitOutcomeUnknown = Code("commitOutcomeUnknown")
        /// No majority of the replicas, or no node, could be reached in time.
        public static let unavailable = Code("unavailable")
        /// The node has too much to do. Try again later.
        public static let overloaded = Code("overloaded")
        /// A key, value, transaction or request exceeds a limit, which the message names.
        public static let limitExceeded = Code("limitExceeded")
        /// The call makes no sense as it stands, as the message tells.
        public static let invalidArgument = Code("invalidArgument")
        /// The transaction has ended; its handle can do nothing any more.
        public static let transactionClosed = Code("transactionClosed")
        /// A stored value is not of the type that was asked for.
        public static let valueMismatch = Code("valueMismatch")
        /// The call was cancelled.
        public static let cancelled = Code("cancelled")
        /// The time that the call was given is over. Nothing of it is in effect.
        public static let timedOut = Code("timedOut")
        /// The node or client is stopped or is about to stop.
        public static let stopped = Code("stopped")
        /// The node belongs to no cluster yet.
        public static let notInitialized = Code("notInitialized")
        /// The directory, port or cluster cannot be used, as the message tells.
        public static let configuration = Code("configuration")
        /// The disk failed or stored data is damaged. The node takes no more writes.
        public static let storage = Code("storage")
        /// The other side sent something that is not part of the protocol.
        public static let protocolViolation = Code("protocolViolation")
        /// The feature is not part of this version.
        public static let unsupported = Code("unsupported")
    }

    /// What became of the transaction, or single write, that an error ended.
    public enum CommitOutcome: Hashable, Sendable {
        /// It is in effect.
        case committed
        /// It is not in effect and never will be.
        case notCommitted
        /// It may or may not be in effect.
        case unknown
    }

    public var code: Code
    /// For people; the wording may change.
    public var message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// Whether running the same transaction again may well succeed. ``Database/write(_:_:)`` does
    /// so by itself, and passes the error on when that has not helped.
    ///
    /// False for an unknown outcome, since trying again could do the same thing twice; and for a lock
    /// or an answer that did not come in the time that the caller was ready to wait.
    public var isRetryable: Bool {
        code == .conflict || code == .deadlock || code == .snapshotTooOld
            || code == .unavailable || code == .overloaded
    }

    /// What became of the writes.
    public var commitOutcome: CommitOutcome {
        code == .commitOutcomeUnknown ? .unknown : .notCommitted
    }

    public var description: String { "\(code.name): \(message)" }
}

extension SteleError {
    package init(_ excess: LimitExceeded) {
        self.init(excess.limit.isOfLoad ? .overloaded : .limitExceeded, excess.description)
    }

    package static func keyTooLong(_ count: Int) -> SteleError {
        SteleError(LimitExceeded(.keyBytes, count: count))
    }

    package static func valueTooLong(_ count: Int) -> SteleError {
        SteleError(LimitExceeded(.valueBytes, count: count))
    }

    package static func transactionTooLarge(_ count: Int) -> SteleError {
        SteleError(LimitExceeded(.transactionBytes, count: count))
    }

    package static let transactionClosed = SteleError(
        .transactionClosed, "the transaction has ended")
}
