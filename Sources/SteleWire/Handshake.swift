import SteleBase

/// Who a node says it is.
package struct Introduction: Hashable, Sendable {
    /// The cluster it belongs to; ``UniqueID/none`` of a client or a node not taken in yet.
    package var cluster: UniqueID
    /// ``NodeID/none`` of a client or a node not taken in yet.
    package var node: NodeID
    /// Tells the node's directory apart from any other, even one with the same node id.
    package var instance: UniqueID
    package var info: NodeInfo

    package init(cluster: UniqueID, node: NodeID, instance: UniqueID, info: NodeInfo) {
        self.cluster = cluster
        self.node = node
        self.instance = instance
        self.info = info
    }

    /// What a client says of itself; `cluster` if it knows which one it means to reach.
    package static func client(of cluster: UniqueID = .none) -> Introduction {
        Introduction(cluster: cluster, node: .none, instance: .none, info: NodeInfo())
    }
}

/// What others may want to know about a running node.
package struct NodeInfo: Hashable, Sendable {
    /// `host:port` at which peers and clients reach it.
    package var address: String
    /// `host:port` of its Postgres front; empty if it has none.
    package var postgres: String
    package var pid: UInt32
    /// When the process started, in microseconds since 1970.
    package var bootTime: UInt64
    /// Such as `region=eu,zone=a`; may be empty.
    package var locality: String
    /// The version of the package that it was built from.
    package var version: String

    package init(
        address: String = "", postgres: String = "", pid: UInt32 = 0, bootTime: UInt64 = 0,
        locality: String = "", version: String = ""
    ) {
        self.address = address
        self.postgres = postgres
        self.pid = pid
        self.bootTime = bootTime
        self.locality = locality
        self.version = version
    }
}

/// The first message of a connection, from the side that dialled.
package struct Hello: Hashable, Sendable {
    package enum Role: UInt8, Hashable, Sendable {
        case peer = 1
        /// Clients and administration.
        case client = 2
    }

    package var role: Role
    /// The node that is meant to be reached; ``NodeID/none`` is whoever answers.
    package var receiver: NodeID
    package var sender: Introduction

    package init(role: Role, receiver: NodeID = .none, sender: Introduction) {
        self.role = role
        self.receiver = receiver
        self.sender = sender
    }
}

/// The answer to a ``Hello`` that was accepted.
package struct Welcome: Hashable, Sendable {
    package var sender: Introduction

    package init(sender: Introduction) { self.sender = sender }
}

/// The answer to a ``Hello`` that was not; the connection is closed after it.
package struct Refusal: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Reason: UInt8, Hashable, Sendable {
        /// The two sides speak different versions of the protocol.
        case version = 1
        case otherCluster = 2
        /// The receiver is another node than the one that was meant.
        case otherNode = 3
        /// The sender is no member of the cluster, or uses the id of another node.
        case notMember = 4
        /// The receiver belongs to no cluster yet.
        case notInitialized = 5
        case tooManyConnections = 6
        case stopping = 7
        case malformed = 8
    }

    package var reason: Reason
    package var message: String

    package init(_ reason: Reason, _ message: String) {
        self.reason = reason
        self.message = message
    }

    package var description: String { message }
}

extension Hello {
    /// Why `receiver` must not let the sender in; nil if nothing speaks against it.
    ///
    /// Whether the sender is a member of the cluster is not known here and remains to be judged.
    package func refusal(by receiver: Introduction) -> Refusal? {
        if sender.cluster != .none, receiver.cluster != .none, sender.cluster != receiver.cluster {
            return Refusal(
                .otherCluster,
                "\(receiver.info.address) belongs to cluster \(receiver.cluster), not to "
                    + "\(sender.cluster)")
        }
        if self.receiver != .none, receiver.node != .none, self.receiver != receiver.node {
            return Refusal(
                .otherNode,
                "\(receiver.info.address) is node \(receiver.node), not \(self.receiver)")
        }
        guard role == .peer else { return nil }
        if receiver.node == .none || receiver.cluster == .none {
            return Refusal(
                .notInitialized, "\(receiver.info.address) does not belong to a cluster yet")
        }
        if sender.node == .none || sender.cluster == .none {
            return Refusal(.notMember, "a node that belongs to no cluster cannot be a peer")
        }
        if sender.node == receiver.node {
            return sender.instance == receiver.instance
                ? Refusal(.otherNode, "node \(receiver.node) has called itself")
                : Refusal(
                    .notMember, "another node uses the id \(receiver.node) of this one")
        }
        return nil
    }
}

extension Welcome {
    /// Why the dialler of `hello` must not talk to who answered; nil if nothing speaks against it.
    package func refusal(by hello: Hello) -> Refusal? {
        if hello.sender.cluster != .none, sender.cluster != hello.sender.cluster {
            return Refusal(
                .otherCluster,
                "cluster \(sender.cluster) answered instead of \(hello.sender.cluster)")
        }
        if hello.receiver != .none, sender.node != hello.receiver {
            return Refusal(
                .otherNode, "node \(sender.node) answered instead of \(hello.receiver)")
        }
        return nil
    }
}
