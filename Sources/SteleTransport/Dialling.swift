import NIOCore
import NIOPosix
import SteleWire

extension Transport {
    /// Opens a connection to `address` whose events go to `owner`. On the loop.
    func connect(
        to address: NetworkAddress, owner: any ConnectionOwner
    ) -> EventLoopFuture<any Channel> {
        let owner = NIOLoopBound(owner, eventLoop: loop)
        let bufferBytes = settings.bufferBytes
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(settings.connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    channel.limitSilence()
                    try channel.pipeline.syncOperations.addHandler(
                        Connection(owner: owner.value, bufferLimit: bufferBytes))
                }
            }
        // Numbers need no resolver, whose answers come late.
        if let known = try? SocketAddress(ipAddress: address.host, port: address.port) {
            return bootstrap.connect(to: known)
        }
        return bootstrap.connect(host: address.host, port: address.port)
    }
}

extension Channel {
    /// Gives the connection up when what was sent stays unacknowledged for five seconds.
    ///
    /// Otherwise TCP repeats ever more rarely after a network failure, and would find out that it
    /// has ended minutes too late; a new connection finds out at once.
    fileprivate func limitSilence() {
        #if os(Linux)
            let userTimeout = NIOBSDSocket.Option(rawValue: 18)  // TCP_USER_TIMEOUT
            try? syncOptions?.setOption(.tcpOption(userTimeout), value: 5_000)
        #endif
    }
}
