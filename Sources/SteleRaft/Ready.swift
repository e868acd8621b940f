import SteleBase

/// Everything that a replica wants done, as of one moment.
package struct Ready: Sendable {
    /// Set if the leader or the own role changed.
    package var softState: SoftState?
    /// To be made durable; nil if unchanged.
    package var hardState: HardState?
    /// Answers to reads.
    package var readStates: [ReadState] = []
    /// To be made durable, replacing whatever the log has from the first one's index on.
    package var entries: [Entry] = []
    /// To be made durable before `entries`, replacing the whole log and the state machine.
    package var snapshot: Snapshot?
    /// To be applied, in order.
    package var committedEntries: [Entry] = []
    /// To be sent; in classic mode after all of the above is durable.
    package var messages: [Message] = []
    /// Whether entries, term or vote changed, so that durable has to mean synced.
    package var mustSync = false

    package init() {}

    /// Empties it and keeps its memory.
    mutating func removeAll() {
        softState = nil
        hardState = nil
        readStates.removeAll(keepingCapacity: true)
        // First the messages, which share the entries.
        messages.removeAll(keepingCapacity: true)
        entries.removeAll(keepingCapacity: true)
        snapshot = nil
        committedEntries.removeAll(keepingCapacity: true)
        mustSync = false
    }

    /// Whether there is nothing to do.
    package var isEmpty: Bool {
        softState == nil && hardState == nil && readStates.isEmpty && entries.isEmpty
            && snapshot == nil && committedEntries.isEmpty && messages.isEmpty
    }
}
