import SteleBase

/// What belongs to one replica: the data of its tablet's range, and its own local items.
package struct ReplicaScope: Hashable, Sendable {
    package var tablet: TabletID
    package var replica: ReplicaID
    package var range: KeyRange

    package init(tablet: TabletID, replica: ReplicaID, range: KeyRange) {
        self.tablet = tablet
        self.replica = replica
        self.range = range
    }

    /// What the keys of all local items of the replica begin with.
    package var localPrefix: [UInt8] {
        Array(LocalKey(tablet: tablet, replica: replica, item: .applied).bytes.dropLast())
    }
}

extension AppliedState {
    /// Reads the local item of a replica that is exported; without one there is no replica.
    package init(exported value: [UInt8], of scope: ReplicaScope) throws(EngineError) {
        let name = "replica \(scope.replica) of tablet \(scope.tablet)"
        guard !value.isEmpty else {
            throw EngineError(.invalidArgument, "\(name) has no applied state to export")
        }
        do throws(DecodingError) {
            try self.init(tablet: scope.tablet, replica: scope.replica, localValue: value)
        } catch {
            throw EngineError(.corruption, "the applied state of \(name): \(error)")
        }
    }
}

/// A replica's state at one moment, read chunk by chunk while the engine goes on.
///
/// Keeps what it reads from being compacted away, so it is not to be kept for long.
package protocol ReplicaExport: AnyObject, Sendable {
    /// How far the log is applied in this state.
    var applied: AppliedState { get }

    /// The next chunk, or nil after the last one. It exceeds `maxBytes`, by its frame at most,
    /// only if a single pair does.
    func nextChunk(maxBytes: Int) throws(EngineError) -> [UInt8]?
}

/// Builds a replica from the chunks of an export, beside what the engine holds.
///
/// Nothing of it shows before ``finish()``; one that is let go before leaves no trace.
package protocol ReplicaImport: AnyObject, Sendable {
    /// Takes the next chunk. After an error the import is of no use any more.
    func add(_ chunk: ArraySlice<UInt8>) throws(EngineError)

    /// Replaces all that the replica had by what was added, in one step, durable on return.
    ///
    /// Refuses, and changes nothing, unless all chunks came and hold the applied state they name.
    /// - Returns: the applied state that came with it, under the name of the importing replica.
    func finish() throws(EngineError) -> AppliedState
}
