import NIOCore
import NIOPosix
import SteleAPI
import SteleWire

extension Error {
    /// Why a connection could not be made, for people.
    var connectionTrouble: String {
        switch self as any Error {
        case let error as SteleError: error.message
        case let error as IOError:
            NetworkTrouble.describe(errno: error.errnoCode) ?? "\(error)"
        case ChannelError.connectTimeout: "there is no answer"
        case let error as NIOConnectionError:
            error.connectionErrors.first?.error.connectionTrouble ?? "the host is unknown"
        default: "\(self)"
        }
    }
}
