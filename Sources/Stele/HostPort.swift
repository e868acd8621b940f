import NIOCore
import SteleAPI
import SteleBase
import SteleClock
import SteleTablet
import SteleTransaction

/// How coordinators reach the node: one event into its inbox, one continuation back.
struct HostPort: RequestPort {
    let host: NodeHost
    let numbers: TransactionNumbers
    let readers: OpenReaders

    var now: UInt64 { SystemClocks.monotonic() }

    func nextToken() -> UInt64 { host.nextToken() }

    func cancel(_ token: UInt64) { host.post(.cancel(token)) }

    func send(_ request: TabletRequest, timeout: Duration, token: UInt64) async -> TabletReply {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                host.post(.submit(request, timeout, token: token, .task(continuation)))
                // The handler came too early if the task was cancelled before.
                if Task.isCancelled { host.post(.cancel(token)) }
            }
        } onCancel: {
            host.post(.cancel(token))
        }
    }

    func answerAtOnce(_ request: TabletRequest) -> TabletReply? { host.answerAtOnce(request) }

    func post(_ request: TabletRequest, whenDone: @escaping @Sendable () -> Void) {
        host.post(
            .submit(
                request, .seconds(10), token: host.nextToken(), .callback { _ in whenDone() }))
    }

    func note(_ transaction: TransactionID, readsAt timestamp: Timestamp?) {
        readers.note(transaction, readsAt: timestamp)
    }

    func nextTransaction() throws(SteleError) -> TransactionID { try numbers.next() }

    func inBackground(_ work: @escaping @Sendable () async -> Void) {
        // What is left when the loop has ended goes with whoever holds it.
        if !host.isClosed { Task(executorPreference: host.executor) { await work() } }
    }

    func standBack(upTo most: Duration) async {
        let wait = TimeAmount.nanoseconds(.random(in: 0...TimeAmount(most).nanoseconds))
        // A loop that shuts down ends the wait at once.
        await withUnsafeContinuation { continuation in
            host.loop.scheduleTask(in: wait) {}.futureResult
                .whenComplete { _ in continuation.resume() }
        }
    }
}
