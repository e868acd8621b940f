import Glibc
import NIOCore
import NIOPosix
import StelePostgres
import Testing

@Suite struct AddressCheckTests {
    @Test func anAddressThatIsListenedOnIsTaken() async throws {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(listener.localAddress?.port)
        let error = #expect(throws: IOError.self) {
            try PostgresServer.checkAddress(host: "127.0.0.1", port: port)
        }
        #expect(error?.errnoCode == EADDRINUSE)
        try await listener.close()
        try PostgresServer.checkAddress(host: "127.0.0.1", port: port)
    }

    @Test func anAddressOfAnotherMachineIsRefused() {
        let error = #expect(throws: IOError.self) {
            try PostgresServer.checkAddress(host: "192.0.2.1", port: 5_433)
        }
        #expect(error?.errnoCode == EADDRNOTAVAIL)
    }

    /// Whoever tries again and again until a node is up must not be caught by the check: nobody would
    /// ever answer.
    @Test func nobodyCanConnectToACheck() async throws {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(listener.localAddress?.port)
        try await listener.close()
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: port)
        let connecting = Task.detached {
            var refused = 0
            while !Task.isCancelled {
                let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
                defer { close(descriptor) }
                let result = address.withSockAddr { connect(descriptor, $0, socklen_t($1)) }
                if result == 0 { return -1 }
                refused += 1
            }
            return refused
        }
        for _ in 0..<20_000 {
            try PostgresServer.checkAddress(host: "127.0.0.1", port: port)
        }
        connecting.cancel()
        #expect(await connecting.value > 100)
    }
}
