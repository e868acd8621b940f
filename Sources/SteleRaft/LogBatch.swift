import SteleBase

/// What one turn of a node adds to the node's one shared log, for any number of tablets.
///
/// The whole batch becomes one record: after a crash it is there in full or not at all.
package struct LogBatch: Sendable {
    /// One replica's share of a batch.
    package struct Part: Sendable {
        package var tablet: TabletID
        package var replica: ReplicaID
        /// Replaces the hard state, when there is one.
        package var hardState: HardState?
        /// Contiguous; everything at or above the first one's index is overwritten.
        package var entries: [Entry]
        /// Entries at or below this index are not needed any more; its term is kept.
        package var compacted: LogPosition?
        /// The replica is gone, and all that the log holds of it; the part says nothing else.
        package let isRemoval: Bool

        package init(
            tablet: TabletID, replica: ReplicaID, hardState: HardState? = nil,
            entries: [Entry] = [], compacted: LogPosition? = nil
        ) {
            self.tablet = tablet
            self.replica = replica
            self.hardState = hardState
            self.entries = entries
            self.compacted = compacted
            self.isRemoval = false
        }

        /// Has the log forget a replica. Until the record is synced it may come back after a crash.
        package init(removing replica: ReplicaID, of tablet: TabletID) {
            self.tablet = tablet
            self.replica = replica
            self.entries = []
            self.isRemoval = true
        }
    }

    package var parts: [Part]
    /// Replaces the node's own record (identity of the boot, bound of the clock), when not nil.
    package var nodeRecord: [UInt8]?

    package init(parts: [Part] = [], nodeRecord: [UInt8]? = nil) {
        self.parts = parts
        self.nodeRecord = nodeRecord
    }

    package var isEmpty: Bool { parts.isEmpty && nodeRecord == nil }
}

/// An index of a log together with the term of its entry.
package struct LogPosition: Hashable, Sendable {
    package var index: LogIndex
    package var term: Term

    package init(index: LogIndex, term: Term) {
        self.index = index
        self.term = term
    }
}

/// What a log holds of one replica when a node starts.
package struct RecoveredReplica: Sendable {
    package var tablet: TabletID
    package var replica: ReplicaID
    package var hardState: HardState
    /// The last position that was compacted away; (0, 0) if nothing was.
    package var compacted: LogPosition
    /// The terms of all entries above it, as runs: the first index of each run and its term.
    package var termRuns: [LogPosition]
    package var lastIndex: LogIndex
    /// The newest entries, contiguous up to `lastIndex`, as many as the reader keeps in memory.
    package var tail: [Entry]
    /// What the entries take up, those that are not in memory included.
    package var sizes: LogSizes

    package init(
        tablet: TabletID, replica: ReplicaID, hardState: HardState, compacted: LogPosition,
        termRuns: [LogPosition], lastIndex: LogIndex, tail: [Entry], sizes: LogSizes = LogSizes()
    ) {
        self.tablet = tablet
        self.replica = replica
        self.hardState = hardState
        self.compacted = compacted
        self.termRuns = termRuns
        self.lastIndex = lastIndex
        self.tail = tail
        self.sizes = sizes
    }
}

/// Everything that a log holds when a node starts.
package struct RecoveredLog: Sendable {
    /// By ascending tablet, then replica.
    package var replicas: [RecoveredReplica]
    package var nodeRecord: [UInt8]?

    package init(replicas: [RecoveredReplica] = [], nodeRecord: [UInt8]? = nil) {
        self.replicas = replicas
        self.nodeRecord = nodeRecord
    }
}
