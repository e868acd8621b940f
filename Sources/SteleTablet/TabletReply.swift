import SteleBase
import SteleClock
import SteleEngine

/// The leader's answer to a ``TabletRequest``.
package enum TabletReply: Sendable {
    /// One per key, in the order asked for; `at` is the timestamp read at.
    case values([[UInt8]?], at: Timestamp)
    case page(ScanPage, at: Timestamp)
    /// One per key. `clock` is the leader's time: the holder's next snapshot is not below it. The
    /// grant is nil if the transaction holds no lock at all.
    case locked([Locked], grant: LockGrant?, clock: Timestamp)
    case committed(Timestamp)
    case released
    case failed(Failure)

    package struct Locked: Sendable {
        /// False when the key was skipped because another transaction holds it.
        package var isLocked: Bool
        package var value: [UInt8]?

        package init(isLocked: Bool, value: [UInt8]?) {
            self.isLocked = isLocked
            self.value = value
        }
    }

    /// Why a request was not carried out.
    package struct Failure: Sendable {
        package enum Reason: UInt8, Sendable {
            /// This replica does not lead, or not safely, or its clock is far behind the request's;
            /// `leader` may name who does.
            case notLeader = 1
            /// The command was proposed and leadership was lost before its fate was known.
            case outcomeUnknown = 2
            /// Something that was read, or is to be written, was changed by another transaction.
            case conflict = 3
            case deadlock = 4
            case lockNotAvailable = 5
            /// A lock that the transaction relies on was lost, though it may be held again by now.
            case lockLost = 6
            case overloaded = 7
            /// The request itself cannot be served: it has keys of several tablets.
            case invalid = 8
            case storage = 9
            /// The answer would be larger than any may be.
            case tooLarge = 10
            /// Whoever asked waits no longer.
            case cancelled = 11
            /// What was to be read, or was read before, lies below the watermark.
            case snapshotTooOld = 20
            /// Whether an earlier attempt of the commit is in effect cannot be told, because it
            /// began below the watermark, which `watermark` names. This attempt is not.
            case begunTooEarly = 21
            /// The node that was asked is stopped or about to stop.
            case stopped = 22
            /// The time that the call was given was over before it was sent.
            case timedOut = 23
            /// The node that was asked belongs to no cluster yet.
            case notInitialized = 24
        }

        package var reason: Reason
        package var message: String
        package var leader: NodeID
        /// The term in which `leader` leads; 0 if none is named.
        package var term: UInt64
        package var watermark = Timestamp.zero

        package init(
            _ reason: Reason, _ message: String, leader: NodeID = .none, term: UInt64 = 0
        ) {
            self.reason = reason
            self.message = message
            self.leader = leader
            self.term = term
        }
    }
}
