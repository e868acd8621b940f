import SteleBase
import SteleTablet

/// Reads and locks between turns: most need neither the log nor another node, and what they read is in
/// memory. Whoever asks is spared the way through a turn, and the turn the work.
extension NodeCore {
    /// Leave to make the reads of a request to a tablet that this node leads, once its locks are
    /// granted; nil if it has to be asked for in a turn. Must not run beside a turn.
    ///
    /// - Parameter monotonic: the time now, read after the request was made: its answer may lack what
    ///   was acknowledged later, and nothing else.
    package func permitReads(_ request: TabletRequest, monotonic: UInt64) -> ReadPermit? {
        let key = request.routingKey
        for index in tablets.indices where tablets[index].descriptor.range.contains(key) {
            clock.monotonic = max(clock.monotonic, monotonic)
            refreshLease(index)
            guard let permit = tablets[index].permitReads(request) else { return nil }
            if request.isLock {
                mark("cluster: locks are granted between turns")
                lockers.insert(request.transaction)
            } else {
                mark("cluster: a read between turns")
            }
            return permit
        }
        return nil
    }
}
