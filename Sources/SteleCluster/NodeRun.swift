import SteleBase
import SteleEngine
import SteleRaft
import SteleTablet

/// One run of a node's process.
package struct NodeRun: Hashable, Sendable {
    /// Counts the node's starts.
    package var boot: UInt64
    /// Drawn at random at the start.
    package var mark: UInt64

    package init(boot: UInt64, mark: UInt64) {
        self.boot = boot
        self.mark = mark
    }
}

/// How a node whose directory is an older copy of its own is found out and kept away.
///
/// Such a node has forgotten votes that it gave, entries that it acknowledged, leases that it
/// granted, and numbers of transactions; to believe any of it again could undo what was acknowledged
/// to clients. Every start of a node is numbered, durably, before it promises anything, and every
/// peer remembers, durably too, the latest start that it has heard of. A copy starts under a number
/// that was used before.
///
/// Nothing leaves a node before its disk holds its number: peers that had heard of it would refuse
/// the next run, which could not but take the same number, if the node crashed before.
///
/// Every frame begins with the sender's run, and with the receiver's as the sender knows it. So a
/// copy is told by the first frame that reaches it, before it has taken in anything else.
///
/// Invariants:
/// - Nothing of a run counts at a node that has heard of a later one, or of another one of the same
///   number: no vote, grant or acknowledgement, and no request of its clients.
/// - A node that was told so takes in nothing more, says so in its own record, and never runs on
///   this directory again.
///
/// A copy that was made during the latest run that the others know of cannot be told from the
/// directory itself; nor can one whose node starts often enough, while it reaches nobody, that its
/// number passes the one that they know.
extension NodeCore {
    /// What every frame to a peer begins with.
    func introduction(to peer: Int) -> PeerMessage {
        .run(
            NodeRun(boot: boot, mark: runMark), yours: outgoing[peer].run,
            firstTransaction: firstTransaction)
    }

    /// Whether this start of the node is on its disk.
    var isNumbered: Bool { durableRecord?.boot == boot }

    /// Whether what comes from a peer counts, by what its frame begins with.
    func mayTakeIn(_ run: NodeRun, knowing own: NodeRun?, from peer: Int) -> Bool {
        if let own, own.boot > boot || own.boot == boot && own.mark != runMark {
            learnOutdated(from: outgoing[peer].node, own)
        }
        return !isOutdated && admit(run, of: peer)
    }

    private func admit(_ run: NodeRun, of peer: Int) -> Bool {
        if outgoing[peer].run == run {
            outgoing[peer].refusedBoot = nil
            return true
        }
        if let known = outgoing[peer].run, run.boot <= known.boot {
            mark("cluster: a node with an older copy of its directory is refused")
            if outgoing[peer].refusedBoot != run.boot {
                outgoing[peer].refusedBoot = run.boot
                effects.notices.append(
                    .peerRefused(outgoing[peer].node, boot: run.boot, known: known.boot))
            }
            return false
        }
        outgoing[peer].run = run
        outgoing[peer].refusedBoot = nil
        requestedRecord.note(run, of: outgoing[peer].node)
        effects.record = requestedRecord
        return true
    }

    /// A peer knows of a later run of this node, or of another one under this run's number.
    private func learnOutdated(from node: NodeID, _ run: NodeRun) {
        guard !isOutdated else { return }
        requestedRecord.isOutdated = true
        effects.record = requestedRecord
        effects.notices.append(.outdated(boot: boot, by: node, known: run.boot))
    }

    /// Whether this node was told that its directory is an older copy.
    package var isOutdated: Bool { requestedRecord.isOutdated }

    /// Whether a node was last heard of as one that runs on an older copy of its directory.
    package func isRefused(_ node: NodeID) -> Bool {
        node == configuration.node
            ? isOutdated : outgoing.contains { $0.node == node && $0.refusedBoot != nil }
    }

    /// Why the node must not run; once it is sure to remember that.
    var outdatedFailure: EngineError? {
        durableRecord?.isOutdated == true ? Self.outdated : nil
    }

    static let outdated = EngineError(
        .corruption,
        "the directory is an older copy of this node's: what the node promised since is lost, and "
            + "its peers refuse it. Put the newest copy back, or give it up")
}
