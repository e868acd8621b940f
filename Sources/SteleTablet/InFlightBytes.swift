import SteleBase

/// What the leaders on one node have proposed and not seen committed, of all its tablets together.
package final class InFlightBytes {
    package fileprivate(set) var total = 0
    package let limit: Int

    package init(limit: Int = Limits.logInFlightBytes) { self.limit = limit }

    /// Whether so many bytes more may be proposed: any number while nothing else is in flight.
    func hasRoom(for bytes: Int) -> Bool { total == 0 || bytes <= limit - total }
}

extension Tablet {
    /// Takes in how much of this tablet's is in flight by now.
    package func countInFlight() {
        nodeInFlight.total += group.uncommittedBytes - countedInFlight
        countedInFlight = group.uncommittedBytes
    }
}
