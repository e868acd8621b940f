import SteleBase
import SteleClock

/// A moment to read at, and for whom.
@usableFromInline
package struct ReadPoint: Hashable, Sendable {
    @usableFromInline package var timestamp: Timestamp
    /// What was written above `timestamp` up to here may have been written before the read began:
    /// it is reported as uncertain. Equal to `timestamp`: nothing is uncertain.
    @usableFromInline package var uncertaintyLimit: Timestamp
    /// Reads its own intents, whatever their timestamp.
    @usableFromInline package var transaction: TransactionID

    @inlinable
    package init(
        _ timestamp: Timestamp, uncertaintyLimit: Timestamp? = nil,
        transaction: TransactionID = .none
    ) {
        self.timestamp = timestamp
        self.uncertaintyLimit = uncertaintyLimit ?? timestamp
        self.transaction = transaction
    }

    /// Up to where versions and intents of others concern the read.
    @inlinable
    package var newest: Timestamp { max(timestamp, uncertaintyLimit) }
}

/// What a read found at one key.
package enum ReadOutcome: Hashable, Sendable {
    /// No version is visible.
    case none
    /// A value of `count` bytes, appended to the caller's buffer.
    case value(timestamp: Timestamp, transaction: TransactionID, count: Int)
    case deletion(timestamp: Timestamp, transaction: TransactionID)
    /// The read cannot be answered without knowing what becomes of the intent or of the version.
    case conflict(ReadConflict)
}

/// What keeps a read from being answered.
package enum ReadConflict: Hashable, Sendable {
    /// An intent of another transaction at or below the read's timestamp or uncertainty limit.
    case intent(IntentOwner)
    /// The newest version within the uncertainty window is at this timestamp.
    case uncertain(Timestamp)
}

/// Where a scan ends before its range does.
///
/// Without a limit of keys, a page holds at least one row or conflict if there is one.
package struct ScanLimits: Hashable, Sendable {
    package var rows: Int
    /// Of the page's rows with their headers.
    package var bytes: Int
    /// Keys with versions or an intent to visit, rows or not. A key costs a bounded number of steps
    /// however many versions it has, so this bounds the work over deleted stretches; but not over
    /// versions that were dropped and that no compaction has met yet.
    package var keys: Int
    /// Conflicts to collect, so that several can be resolved at once.
    package var conflicts: Int

    package init(
        rows: Int = .max, bytes: Int = Limits.scanPageBytes, keys: Int = .max,
        conflicts: Int = 64
    ) {
        self.rows = rows
        self.bytes = bytes
        self.keys = keys
        self.conflicts = conflicts
    }

    /// Keys in which more conflicts are looked for behind the first one.
    package static let keysAfterConflict = 1024
}
