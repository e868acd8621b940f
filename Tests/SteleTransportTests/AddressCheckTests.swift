import Glibc
import NIOCore
import NIOPosix
import SteleAPI
import SteleTransport
import SteleWire
import Testing

@Suite struct AddressCheckTests {
    @Test func anAddressThatIsListenedOnIsTaken() async throws {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(listener.localAddress?.port)
        let address = NetworkAddress(host: "127.0.0.1", port: port)
        #expect(
            throws: SteleError(.configuration, "the address 127.0.0.1:\(port) is in use")
        ) { try address.checkIsFree() }
        try await listener.close()
        try address.checkIsFree()
    }

    @Test func anAddressOfAnotherMachineIsRefused() {
        let error = #expect(throws: SteleError.self) {
            try NetworkAddress(host: "192.0.2.1", port: 5_433).checkIsFree()
        }
        #expect(error?.message.hasPrefix("cannot listen on 192.0.2.1:5433") == true)
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
            try NetworkAddress(host: "127.0.0.1", port: port).checkIsFree()
        }
        connecting.cancel()
        #expect(await connecting.value > 100)
    }
}
