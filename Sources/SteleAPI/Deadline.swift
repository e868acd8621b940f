/// A moment on a backend's clock by which a call has to have ended.
package struct Deadline: Hashable, Comparable, Sendable {
    /// Of the monotonic clock.
    package var microseconds: UInt64

    package init(microseconds: UInt64) { self.microseconds = microseconds }

    package init(after duration: Duration, from now: UInt64) {
        let (sum, isTooFar) = now.addingReportingOverflow(duration.microseconds)
        self.init(microseconds: isTooFar ? .max : sum)
    }

    package static let never = Deadline(microseconds: .max)

    package func later(by duration: Duration) -> Deadline {
        Deadline(after: duration, from: microseconds)
    }

    package static func < (left: Deadline, right: Deadline) -> Bool {
        left.microseconds < right.microseconds
    }

    /// How long it is until then; nil if it has passed.
    package func timeLeft(from now: UInt64) -> Duration? {
        guard microseconds > now else { return nil }
        return self == .never ? .maximum : .microseconds(Int64(clamping: microseconds - now))
    }
}

extension Duration {
    /// Longer than anything lasts.
    fileprivate static let maximum = Duration.seconds(Int64.max >> 1)

    /// Whole microseconds, negative ones counted as none.
    package var microseconds: UInt64 {
        let (seconds, attoseconds) = components
        let whole = max(seconds, 0).multipliedReportingOverflow(by: 1_000_000)
        guard !whole.overflow else { return .max / 2 }
        return UInt64(whole.partialValue) + UInt64(max(attoseconds, 0) / 1_000_000_000_000)
    }
}

extension SteleError {
    /// A call began when its time was over already; nothing was done.
    package static let timedOut = SteleError(
        .timedOut, "the time that the call was given is over")
}
