import Logging
import NIOCore
import NIOPosix
import SteleAPI
import SteleBase
import SteleWire
import Synchronization

/// Keeps one connection to some node of the cluster, and finds another node when it breaks.
///
/// All who need a connection at the same time wait for the same attempt. An attempt goes through the
/// addresses once, or, with patience, again and again until the time is over. Once a cluster has
/// been met, nodes of other clusters are not accepted any more.
final class Connector: Sendable {
    private let addresses: [NetworkAddress]
    private let loop: any EventLoop
    private let logger: Logger
    private let state = Mutex(State())
    private let lastHandle = Atomic<UInt64>(0)

    private struct State {
        var link: Link?
        var attempt: EventLoopFuture<Link>?
        /// The address to begin with: not the one whose connection has just broken.
        var first = 0
        var cluster = UniqueID.none
        var isClosed = false
    }

    private static let connectTimeout = TimeAmount.seconds(2)
    private static let pause = TimeAmount.milliseconds(100)

    init(addresses: [NetworkAddress], loop: any EventLoop, logger: Logger) {
        self.addresses = addresses
        self.loop = loop
        self.logger = logger
    }

    deinit { close() }

    /// A number for a transaction, unique within the client.
    func nextHandle() -> UInt64 { lastHandle.wrappingAdd(1, ordering: .relaxed).newValue }

    /// An open connection.
    ///
    /// - Parameters:
    ///   - patience: for how long an attempt that begins now goes on.
    ///   - deadline: when this caller waits for it no longer.
    /// - Throws: ``SteleError/Code/unavailable`` if no node could be reached by then.
    func link(patience: TimeAmount, by deadline: Deadline) async throws(SteleError) -> Link {
        switch find(patience) {
        case .open(let link): return link
        case .closed: throw Self.closed
        case .attempt(let attempt):
            let found = try await wait(for: attempt, by: deadline)
            if state.withLock(\.isClosed) { throw Self.closed }
            guard let found else {
                throw SteleError(.unavailable, "no node could be reached in time")
            }
            return found
        }
    }

    /// What comes of an attempt, or nil when the time of one of those who wait for it is over.
    ///
    /// - Throws: ``SteleError/Code/cancelled`` as soon as the task is cancelled.
    private func wait(
        for attempt: EventLoopFuture<Link>, by deadline: Deadline
    ) async throws(SteleError) -> Link? {
        // Kept by whatever comes first.
        let result = loop.makePromise(of: Link?.self)
        attempt.map { Optional($0) }.cascade(to: result)
        var timer: Scheduled<Void>?
        if deadline != .never {
            let left = deadline.timeLeft(from: RemoteDatabase.clock()) ?? .zero
            timer = loop.scheduleTask(in: TimeAmount(left)) { result.succeed(nil) }
        }
        defer { timer?.cancel() }
        do {
            return try await withTaskCancellationHandler {
                try await result.futureResult.get()
            } onCancel: {
                result.fail(LinkFailure.cancelled(isSent: false).withoutEffect)
            }
        } catch let error as SteleError {
            throw error
        } catch {
            throw SteleError(.unavailable, "\(error)")
        }
    }

    func close() {
        let link = state.withLock { state in
            state.isClosed = true
            defer { state.link = nil }
            return state.link
        }
        link?.close()
    }

    private enum Found {
        case open(Link)
        case attempt(EventLoopFuture<Link>)
        case closed
    }

    /// The present connection, or the attempt to get one.
    private func find(_ patience: TimeAmount) -> Found {
        let (found, begun) = state.withLock { state -> (Found, EventLoopFuture<Link>?) in
            if state.isClosed { return (.closed, nil) }
            if let link = state.link, link.isOpen { return (.open(link), nil) }
            if let attempt = state.attempt { return (.attempt(attempt), nil) }
            if let broken = state.link.take() { state.first = index(after: broken.address) }
            let attempt = dialAll(from: state.first, state.cluster, until: .now() + patience)
            state.attempt = attempt
            return (.attempt(attempt), attempt)
        }
        begun?.whenComplete { self.settle(try? $0.get()) }
        return found
    }

    /// Notes what came of the attempt, whoever still waits for it.
    private func settle(_ link: Link?) {
        let isClosed = state.withLock { state in
            state.attempt = nil
            guard !state.isClosed else { return true }
            state.link = link
            if let cluster = link?.node.cluster, cluster != .none { state.cluster = cluster }
            return false
        }
        if isClosed { link?.close() }
    }

    private func index(after address: NetworkAddress) -> Int {
        let index = addresses.firstIndex(of: address) ?? 0
        return (index + 1) % addresses.count
    }

    private static let closed = SteleError(.stopped, "the client was closed")

    /// Waits for a random time of up to `most`, or until the loop shuts down.
    func standBack(upTo most: Duration) async {
        let wait = TimeAmount.nanoseconds(.random(in: 0...TimeAmount(most).nanoseconds))
        await withUnsafeContinuation { continuation in
            loop.scheduleTask(in: wait) {}.futureResult
                .whenComplete { _ in continuation.resume() }
        }
    }

    // MARK: Dialling

    /// Tries all addresses in turn, and starts over until `deadline`.
    private func dialAll(
        from first: Int, _ cluster: UniqueID, until deadline: NIODeadline
    ) -> EventLoopFuture<Link> {
        let order = addresses[first...] + addresses[..<first]
        return dial(Array(order)[...], cluster, troubles: []).flatMapError { error in
            guard .now() + Self.pause < deadline else { return self.loop.makeFailedFuture(error) }
            return self.loop.flatScheduleTask(in: Self.pause) {
                self.dialAll(from: first, cluster, until: deadline)
            }.futureResult
        }
    }

    private func dial(
        _ rest: ArraySlice<NetworkAddress>, _ cluster: UniqueID, troubles: [String]
    ) -> EventLoopFuture<Link> {
        guard let address = rest.first else {
            let message = "no node can be reached: " + troubles.joined(separator: "; ")
            return loop.makeFailedFuture(SteleError(.unavailable, message))
        }
        return dial(address, cluster).flatMapError { error in
            let trouble = "\(address): \(error.connectionTrouble)"
            self.logger.debug("\(trouble)")
            return self.dial(rest.dropFirst(), cluster, troubles: troubles + [trouble])
        }
    }

    private func dial(_ address: NetworkAddress, _ cluster: UniqueID) -> EventLoopFuture<Link> {
        let promise = loop.makePromise(of: Link.self)
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(Self.connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        LinkHandler(address: address, cluster: cluster, promise: promise))
                }
            }
        let channel: EventLoopFuture<any Channel>
        if let known = try? SocketAddress(ipAddress: address.host, port: address.port) {
            channel = bootstrap.connect(to: known)
        } else {
            channel = bootstrap.connect(host: address.host, port: address.port)
        }
        channel.cascadeFailure(to: promise)
        return promise.futureResult
    }
}
