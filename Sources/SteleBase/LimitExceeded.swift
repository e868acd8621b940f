/// Something exceeds one of ``Limits``: the one error for all of them, which names the limit.
///
/// Layers with errors of their own take over its words.
package struct LimitExceeded: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is limited; the raw value is the name in ``Limits``.
    package enum Limit: String, CaseIterable, Hashable, Sendable {
        case keyBytes, storedKeyBytes, valueBytes, keyNesting, transactionBytes
        case transactionWrites, transactionReadBytes, expectedKeys, requestKeys, answerBytes
        case bufferedBytes, frameBytes, messageBytes, logInFlightBytes, connections, connectionBytes
        case openRequests, openTransactions, queuedSteps

        /// The limit itself.
        package var value: Int {
            switch self {
            case .keyBytes: Limits.keyBytes
            case .storedKeyBytes: Limits.storedKeyBytes
            case .valueBytes: Limits.valueBytes
            case .keyNesting: Limits.keyNesting
            case .transactionBytes: Limits.transactionBytes
            case .transactionWrites: Limits.transactionWrites
            case .transactionReadBytes: Limits.transactionReadBytes
            case .expectedKeys: Limits.expectedKeys
            case .requestKeys: Limits.requestKeys
            case .answerBytes: Limits.answerBytes
            case .bufferedBytes: Limits.bufferedBytes
            case .frameBytes: Limits.frameBytes
            case .messageBytes: Limits.messageBytes
            case .logInFlightBytes: Limits.logInFlightBytes
            case .connections: Limits.connections
            case .connectionBytes: Limits.connectionBytes
            case .openRequests: Limits.openRequests
            case .openTransactions: Limits.openTransactions
            case .queuedSteps: Limits.queuedSteps
            }
        }

        /// Whether less load, rather than a smaller request, is what helps.
        package var isOfLoad: Bool {
            switch self {
            case .bufferedBytes, .logInFlightBytes, .connections, .connectionBytes, .openRequests,
                .openTransactions, .queuedSteps:
                true
            case .keyBytes, .storedKeyBytes, .valueBytes, .keyNesting, .transactionBytes,
                .transactionWrites, .transactionReadBytes, .expectedKeys, .requestKeys, .answerBytes,
                .frameBytes, .messageBytes:
                false
            }
        }

        fileprivate func named(_ count: Int) -> String {
            switch self {
            case .keyBytes, .storedKeyBytes: "a key of \(count) bytes"
            case .valueBytes: "a value of \(count) bytes"
            case .keyNesting: "a key of tuples nested \(count) deep"
            case .transactionBytes: "a transaction of \(count) bytes"
            case .transactionWrites: "a transaction of \(count) writes"
            case .transactionReadBytes: "a transaction that has to check \(count) bytes of keys"
            case .expectedKeys: "a transaction that expects the values of \(count) keys"
            case .requestKeys: "a request that names \(count) keys"
            case .answerBytes: "an answer of \(count) bytes"
            case .bufferedBytes: "a node whose transactions and requests hold \(count) bytes"
            case .frameBytes: "a request of \(count) bytes"
            case .messageBytes: "a message of \(count) bytes"
            case .logInFlightBytes: "a log with \(count) bytes that are not committed"
            case .connections: "the number of \(count) connections"
            case .connectionBytes: "a node whose clients' connections hold \(count) bytes"
            case .openRequests: "the number of \(count) requests of one connection without an answer"
            case .openTransactions: "the number of \(count) transactions open on one connection"
            case .queuedSteps: "the number of \(count) steps of a transaction that wait"
            }
        }
    }

    package let limit: Limit
    /// What was asked for.
    package let count: Int
    /// What is allowed: the limit, unless a setting says otherwise.
    package let allowed: Int

    package init(_ limit: Limit, count: Int, allowed: Int? = nil) {
        self.limit = limit
        self.count = count
        self.allowed = allowed ?? limit.value
    }

    package var description: String {
        "\(limit.named(count)) exceeds the limit of \(allowed) (Limits.\(limit.rawValue))"
    }
}
