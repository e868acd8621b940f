import NIOCore
import SteleAPI
import SteleBase
import SteleTablet
import SteleTransaction

/// How coordinators reach the node: one event into its inbox, one continuation back.
struct HostPort: RequestPort {
    let host: NodeHost
    let numbers: TransactionNumbers

    func send(_ request: TabletRequest, timeout: Duration) async -> TabletReply {
        await withUnsafeContinuation { host.post(.submit(request, timeout, .task($0))) }
    }

    func post(_ request: TabletRequest, whenDone: @escaping @Sendable () -> Void) {
        host.post(.submit(request, .seconds(1), .callback { _ in whenDone() }))
    }

    func nextTransaction() throws(SteleError) -> TransactionID { try numbers.next() }

    func standBack(upTo most: Duration) async {
        let wait = TimeAmount.nanoseconds(.random(in: 0...TimeAmount(most).nanoseconds))
        // A loop that shuts down ends the wait at once.
        await withUnsafeContinuation { continuation in
            host.loop.scheduleTask(in: wait) {}.futureResult
                .whenComplete { _ in continuation.resume() }
        }
    }
}
