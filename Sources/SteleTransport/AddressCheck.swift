import NIOCore
import SteleAPI
import SteleWire

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

extension NetworkAddress {
    /// Throws what would keep a server from listening here now.
    ///
    /// The address is bound and let go, and never listened on: the kernel would accept a client that
    /// connects in that moment, and nobody would ever answer it.
    ///
    /// - Throws: ``SteleError/Code/configuration``.
    package func checkIsFree() throws(SteleError) {
        do {
            try bindAndLetGo()
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw SteleError(.configuration, "the address \(self) is in use")
        } catch {
            throw SteleError(.configuration, "cannot listen on \(self): \(error)")
        }
    }

    private func bindAndLetGo() throws {
        let address = try SocketAddress.makeAddressResolvingHost(host, port: port)
        #if canImport(Glibc)
            let kind = Int32(SOCK_STREAM.rawValue)
        #else
            let kind = SOCK_STREAM
        #endif
        let descriptor = socket(CInt(address.protocol.rawValue), kind, 0)
        guard descriptor >= 0 else { throw IOError(errnoCode: errno, reason: "socket") }
        defer { close(descriptor) }
        // As the server does: connections of an earlier process that linger are no obstacle.
        var isReused: CInt = 1
        let size = socklen_t(MemoryLayout<CInt>.size)
        guard setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &isReused, size) == 0 else {
            throw IOError(errnoCode: errno, reason: "setsockopt")
        }
        guard bindSocket(descriptor, to: address) == 0 else {
            throw IOError(errnoCode: errno, reason: "bind")
        }
    }
}

/// Outside of the type, whose `bind` would hide the system's.
private func bindSocket(_ descriptor: CInt, to address: SocketAddress) -> CInt {
    address.withSockAddr { bind(descriptor, $0, socklen_t($1)) }
}
