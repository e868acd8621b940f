import SteleBase

/// Settings of a log; the defaults are meant for production.
package struct LogOptions: Sendable {
    /// The usual length of a segment; a larger record gets a segment of its own size.
    package var segmentBytes = 64 << 20
    /// Payload bytes of the newest entries that opening returns, for one replica.
    package var tailBytesPerReplica = 4 << 20
    /// The same for all replicas together.
    package var tailBytesInTotal = Limits.logCacheBytes
    /// How far zeros are written ahead of the records in a segment that is new.
    package var zeroedBytes = 1 << 20
    /// How many files of reclaimed segments are kept to be used again.
    package var spareSegments = 2
    /// From so many full segments on, live entries are copied out of the oldest one when less
    /// than half of all is live.
    package var segmentsBeforeMoving = 3
    /// How much of the oldest segment is read and copied at a time, between two groups of batches:
    /// little enough to take no longer than a few syncs.
    package var movedBytes = 64 << 10
    /// Whether a log has been begun already: then a directory without one, or without any record of
    /// it, is refused and not made one.
    package var mustExist = false
    /// Where salts are drawn from: random in production, from the seed in a simulation.
    package var saltSeed: UInt64

    /// Default settings.
    package init(saltSeed: UInt64 = .random(in: .min ... .max)) { self.saltSeed = saltSeed }
}
