import SteleBase

extension RaftCore {
    /// In asynchronous mode entries wait for their durability before they are applied.
    private var appliesUnstable: Bool { !configuration.asyncStorageWrites }

    /// Whether `ready()` would have anything to do in it.
    var hasReady: Bool {
        !messages.isEmpty || !messagesAfterAppend.isEmpty || log.unstable.hasNextEntries
            || softState != previousSoftState || hardState != previousHardState
            || log.unstable.nextSnapshot != nil || !readStates.isEmpty
            || log.hasNextCommitted(allowUnstable: appliesUnstable)
    }

    /// Hands out everything there is to do, in a buffer whose memory is used again.
    mutating func ready(into ready: inout Ready) {
        invariant(stepsOnAdvance.isEmpty, "the last ready was not advanced")
        isBusy = true
        recycle(&ready.messages)
        ready.removeAll()
        if softState != previousSoftState { ready.softState = softState }
        if hardState != previousHardState { ready.hardState = hardState }
        swap(&ready.readStates, &readStates)
        ready.entries.append(contentsOf: log.unstable.nextEntries)
        ready.snapshot = log.unstable.nextSnapshot
        log.nextCommitted(allowUnstable: appliesUnstable, into: &ready.committedEntries)
        ready.mustSync =
            !ready.entries.isEmpty || vote != previousHardState.vote
            || term != previousHardState.term
        swap(&ready.messages, &messages)
        if configuration.asyncStorageWrites {
            addStorageMessages(to: &ready)
        } else {
            deferOwnMessages(in: &ready)
        }
        accept(ready)
        // No tick will do it.
        if isHibernated { releaseBuffers() }
        checkInDebugBuilds()
    }

    /// Takes back the arrays of messages that were sent, without what is shared with others.
    private mutating func recycle(_ messages: inout [Message]) {
        for index in messages.indices {
            if messages[index].type == .append, messages[index].entries.capacity > 0,
                spareEntries.count < 16
            {
                var entries: [Entry] = []
                swap(&entries, &messages[index].entries)
                entries.removeAll(keepingCapacity: true)
                spareEntries.append(entries)
            }
            if messages[index].responses.capacity > 0, spareResponses.count < 4 {
                var responses: [Message] = []
                swap(&responses, &messages[index].responses)
                responses.removeAll(keepingCapacity: true)
                spareResponses.append(responses)
            }
        }
    }

    /// Gives back memory that only a busy group needs.
    mutating func releaseBuffers() {
        guard messages.isEmpty, messagesAfterAppend.isEmpty else { return }
        messages = []
        messagesAfterAppend = []
        spareEntries = []
        spareResponses = []
    }

    /// Everything in the last `ready` is done: durable, sent and applied.
    mutating func advance() {
        let steps = stepsOnAdvance
        stepsOnAdvance = []
        for step in steps { try? process(step) }
        checkInDebugBuilds()
    }

    private mutating func addStorageMessages(to ready: inout Ready) {
        if !ready.entries.isEmpty || ready.hardState != nil || ready.snapshot != nil
            || !messagesAfterAppend.isEmpty
        {
            var responses = spareResponses.popLast() ?? []
            swap(&responses, &messagesAfterAppend)
            // After the own acknowledgement of the same entries, which is cheaper while their terms
            // are still in memory.
            if let response = storageAppendResponse(to: ready) { responses.append(response) }
            ready.messages.append(
                Message(
                    type: .storageAppend, from: id, to: .appendThread,
                    term: ready.hardState?.term ?? 0, entries: ready.entries,
                    commit: ready.hardState?.commit ?? 0, vote: ready.hardState?.vote ?? .none,
                    snapshot: ready.snapshot, responses: responses))
        }
        if !ready.committedEntries.isEmpty {
            var responses = spareResponses.popLast() ?? []
            responses.append(storageApplyResponse(to: ready))
            ready.messages.append(
                Message(
                    type: .storageApply, from: id, to: .applyThread,
                    entries: ready.committedEntries, responses: responses))
        }
    }

    private mutating func deferOwnMessages(in ready: inout Ready) {
        for message in messagesAfterAppend {
            if message.to == id {
                stepsOnAdvance.append(message)
            } else {
                ready.messages.append(message)
            }
        }
        messagesAfterAppend.removeAll(keepingCapacity: true)
        if let response = storageAppendResponse(to: ready) { stepsOnAdvance.append(response) }
        if !ready.committedEntries.isEmpty {
            stepsOnAdvance.append(storageApplyResponse(to: ready))
        }
    }

    /// What storage answers when all that it was told so far is durable.
    ///
    /// It names the term of now, and is ignored in a later one: by then other entries may stand at
    /// the same indices, have been replaced by these again, and not be durable in this form. It
    /// covers entries of earlier requests too, so that an answer of theirs that was ignored for
    /// that reason is made up for.
    private func storageAppendResponse(to ready: Ready) -> Message? {
        let hasEntries = !log.unstable.entries.isEmpty
        guard hasEntries || ready.snapshot != nil else { return nil }
        var response = Message(
            type: .storageAppendResponse, from: .appendThread, to: id, term: term,
            snapshot: ready.snapshot)
        if hasEntries {
            let last = log.lastPosition
            response.index = last.index
            response.logTerm = last.term
        }
        return response
    }

    private func storageApplyResponse(to ready: Ready) -> Message {
        Message(
            type: .storageApplyResponse, from: .applyThread, to: id,
            entries: ready.committedEntries)
    }

    private mutating func accept(_ ready: Ready) {
        previousSoftState = softState
        previousHardState = hardState
        log.acceptUnstable()
        if let last = ready.committedEntries.last {
            log.acceptApplying(
                through: last.index, bytes: ready.committedEntries.byteCount,
                allowUnstable: appliesUnstable)
        }
    }
}
