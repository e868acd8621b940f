import SteleClock
import SteleRaft
import SteleTablet

/// What the node asks its log to make durable, one record a turn, and what follows once it is.
extension NodeCore {
    /// The log has made everything durable that was asked for up to `token`.
    package func logSynced(_ token: UInt64) {
        var count = 0
        for append in appends {
            guard append.token <= token else { break }
            count += 1
            for part in append.parts { partSynced(part) }
            if let record = append.record {
                durableRecord = record
                clock.hybrid.raiseBound(to: record.clockBound)
            }
        }
        appends.removeFirst(count)
    }

    private func partSynced(_ part: PendingAppend.Part) {
        let tablet = tablets[part.tablet]
        let cached = tablet.log.cachedBytes
        tablet.log.append(part.entries, hardState: part.hardState)
        if let position = part.compacted { tablet.log.compact(to: position) }
        let growth = tablet.log.cachedBytes - cached
        logCaches.changed(part.tablet, by: growth) { tablets[$0].log }
        for response in part.responses {
            if response.to == tablet.replica {
                try? tablet.group.step(response)
            } else {
                send(response, of: part.tablet)
            }
        }
    }

    func takeReady(_ index: Int) {
        let tablet = tablets[index]
        var ready = Ready()
        swap(&ready, &states[index].ready)
        tablet.group.ready(into: &ready)
        for message in ready.messages {
            switch message.to {
            case .appendThread:
                append(
                    PendingAppend.Part(
                        tablet: index, hardState: ready.hardState, entries: message.entries,
                        responses: message.responses),
                    mustSync: ready.mustSync)
            case .applyThread: tablet.apply(message)
            default: send(message, of: index)
            }
        }
        tablet.answerCommitted()
        // A tablet that sleeps keeps no memory for work.
        if !tablet.group.isHibernated { swap(&ready, &states[index].ready) }
    }

    /// Queues what Raft wants made durable for this turn's log record.
    ///
    /// A commit index alone need not be durable, so it rides along with the next record; responses
    /// that wait for nothing new go out as soon as what was asked for before them is durable.
    private func append(_ part: PendingAppend.Part, mustSync: Bool) {
        var part = part
        let index = part.tablet
        if let hardState = part.hardState { states[index].hardState = hardState }
        if mustSync {
            part.hardState = states[index].hardState
            states[index].unwritten.append(part)
            return
        }
        part.hardState = nil
        if !states[index].unwritten.isEmpty {
            states[index].unwritten.append(part)
        } else if !appends.isEmpty {
            appends[appends.count - 1].parts.append(part)
        } else {
            partSynced(part)
        }
    }

    /// One record for everything that this turn has to make durable.
    func writeLog() {
        var append = PendingAppend(token: lastAppend + 1, askedAt: clock.monotonic)
        var batch = LogBatch()
        for index in tablets.indices {
            let tablet = tablets[index]
            for part in states[index].unwritten {
                append.parts.append(part)
                guard part.isDurable else { continue }
                batch.parts.append(
                    LogBatch.Part(
                        tablet: tablet.descriptor.id, replica: tablet.replica,
                        hardState: part.hardState, entries: part.entries,
                        compacted: part.compacted))
            }
            states[index].unwritten.removeAll(keepingCapacity: true)
        }
        if let record = effects.record {
            batch.nodeRecord = record.bytes
            append.record = record
        }
        guard !batch.isEmpty else { return }
        lastAppend += 1
        appends.append(append)
        effects.log = (lastAppend, batch)
    }

    /// Keeps the record on disk ahead of what the clock and the numbering of transactions will need.
    ///
    /// As long as physical time has not passed what was promised before it was set back, or by an
    /// earlier run, the hybrid clock gives nothing, so it needs nothing above: otherwise each of
    /// several short runs would put off the next one for another second. That of a node by itself
    /// goes on, but while its time stands still it needs next to nothing.
    ///
    /// And while the clock is not confirmed it only needs what grants go by: a clock that stood an
    /// hour ahead when the machine started, and was then set right, would make the next run wait an
    /// hour.
    func renewRecord() {
        var clockNeed = Timestamp(microseconds: isClockConfirmed ? clock.physical : lentPhysical)
        if clockWait == 0 { clockNeed = max(clockNeed, clock.hybrid.last) }
        let headroom: UInt64 = physicalClock.isHeld ? 1_000 : 700_000
        clockNeed = clockNeed.advanced(byMicroseconds: headroom)
        let transactionNeed = transactionsUsed + 1 << 21
        guard requestedRecord.clockBound < clockNeed
            || requestedRecord.transactionBound < transactionNeed
        else { return }
        requestedRecord.clockBound = max(
            requestedRecord.clockBound, clockNeed.advanced(byMicroseconds: headroom / 2))
        requestedRecord.transactionBound = max(
            requestedRecord.transactionBound, transactionsUsed + 1 << 22)
        effects.record = requestedRecord
    }

    /// The record of a node that stops in good order: its next run waits only until its clock has
    /// passed what this one granted to its peers, and not at all if it has none.
    package func finalRecord() -> NodeRecord {
        var record = requestedRecord
        record.clockBound = promised
        record.transactionBound = max(transactionsUsed, firstTransaction)
        return record
    }
}
