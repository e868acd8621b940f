import SteleAPI

/// `host:port`, the form in which addresses are written everywhere; `[::1]:7400` for IPv6.
package struct NetworkAddress: Hashable, Sendable, CustomStringConvertible {
    package var host: String
    package var port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// - Throws: ``SteleError/Code/configuration`` if `text` is no address.
    package init(parsing text: String) throws(SteleError) {
        let problem = SteleError(.configuration, "\"\(text)\" is no address of the form HOST:PORT")
        guard let colon = text.lastIndex(of: ":"),
            let port = UInt16(text[text.index(after: colon)...])
        else { throw problem }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw problem
        }
        guard !host.isEmpty else { throw problem }
        self.init(host: String(host), port: Int(port))
    }

    /// Whether a listener there is reached at every address of its machine.
    package var isAnyHost: Bool { host == "0.0.0.0" || host == "::" }

    /// Whether only processes of its machine reach a listener there.
    package var isLoopback: Bool {
        if host == "localhost" || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    package var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
