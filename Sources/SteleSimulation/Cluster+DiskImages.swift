import SteleBase
import SteleCluster
import SteleEngine

/// A copy of all that a node has on its disk, made while it ran.
struct DiskImage {
    let log: SimulatedLog
    let engine: MemoryEngine
    /// The run during which it was made.
    let boot: UInt64
}

/// Copies of disks are made, and put back when the node has long gone on: it has then forgotten what
/// it promised. Its peers must notice, and nothing of it may count.
///
/// Only copies are put back that can be noticed: those of a run that came before the latest one that
/// all peers remember.
extension SimulatedCluster {
    func startDiskImages() {
        guard scenario.imageInterval > 0 else { return }
        takeImages()
    }

    private func takeImages() {
        for node in nodes {
            guard let core = node.core, core.durableRecord != nil, node.properDisk == nil else {
                continue
            }
            node.images.removeAll { $0.boot == core.boot && faultRandom.oneIn(2) }
            guard node.images.count < 4 else { continue }
            node.images.append(
                DiskImage(
                    log: node.log.copyOfDisk(), engine: node.engine.copyOfDisk(), boot: core.boot))
        }
        after(200_000) { [self] in takeImages() }
    }

    /// Puts an old copy in place of some node's disk, if there is one that can be noticed.
    func putImageBack() {
        let candidates = nodes.flatMap { node in noticeableImages(of: node).map { (node, $0) } }
        guard let (node, image) = candidates.randomElement(using: &faultRandom) else { return }
        result.counts.images += 1
        crash(node)
        trace.note(
            .fault, at: now, UInt64(node.place), image.boot,
            "\(node.id) gets its disk of run \(image.boot) back")
        node.properDisk = DiskImage(log: node.log, engine: node.engine, boot: 0)
        node.log = image.log
        node.engine = image.engine.copyOfDisk()
        after(faultRandom.uniform(1_000...500_000)) { [self] in
            start(node)
            expectNotice(node, life: node.life, connected: 0)
        }
    }

    /// A node that has been connected for a second must have been told.
    private func expectNotice(_ node: SimulatedNode, life: Int, connected: Int) {
        guard node.life == life, node.properDisk != nil, let core = node.core, !core.isOutdated
        else { return }
        let isRunning = node.pausedUntil <= now && !node.isTurnOpen
        let reaches = nodes.contains { peer in
            peer.place != node.place && peer.isUp && peer.pausedUntil <= now && !peer.isTurnOpen
                && peer.outbound[node.place] != 0
                && channels[channel(from: peer.place, to: node.place)].condition == .open
        }
        let connected = isRunning && reaches ? connected + 1 : 0
        if connected > 10 {
            return fail("\(node.id) runs with an old copy of its disk, and nobody notices")
        }
        after(100_000) { [self] in expectNotice(node, life: life, connected: connected) }
    }

    private func noticeableImages(of node: SimulatedNode) -> [DiskImage] {
        guard node.isUp, node.properDisk == nil else { return [] }
        let known = nodes.compactMap { peer in
            peer.place == node.place ? nil : peer.core?.durableRecord?.run(of: node.id)?.boot
        }
        guard known.count == nodes.count - 1, let oldest = known.min() else { return [] }
        return node.images.filter { $0.boot < oldest }
    }

    /// A node stopped because it found its disk to be an old copy: the right one is put back.
    func refuseImage(of node: SimulatedNode) {
        result.counts.refusedImages += 1
        crash(node)
        after(faultRandom.uniform(1_000...100_000)) { [self] in start(node) }
    }

    /// What was on the disk when an old copy took its place is there again.
    func putProperDiskBack(_ node: SimulatedNode) {
        guard let disk = node.properDisk else { return }
        trace.note(.fault, at: now, UInt64(node.place), 0, "\(node.id) gets its own disk back")
        node.log = disk.log
        node.engine = disk.engine
        node.properDisk = nil
    }
}
