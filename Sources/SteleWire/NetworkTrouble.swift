#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Words for what the operating system says when a connection cannot be made.
package enum NetworkTrouble {
    /// Nil for what is rare enough to be told in the system's own words.
    package static func describe(errno: Int32) -> String? {
        switch errno {
        case ECONNREFUSED: "nothing listens there"
        case ETIMEDOUT: "there is no answer"
        case EHOSTUNREACH, ENETUNREACH: "there is no way to the host"
        case ECONNRESET, EPIPE: "the other side closed the connection"
        default: nil
        }
    }
}
