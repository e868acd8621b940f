import SteleBase
import SteleCluster
import SteleWire

/// What a ``Transport`` tells the node that it belongs to. All calls are made on the event loop.
package protocol TransportDelegate: AnyObject {
    /// `node` has sent `messages`, in this order.
    func received(_ messages: [PeerMessage], from node: NodeID)

    /// Connections to `node` stand in both directions.
    func connected(to node: NodeID)

    /// A connection to `node` was closed, by whichever side; follows each ``connected(to:)`` once.
    ///
    /// A process that is killed is noticed at once by this, one that hangs is not.
    func disconnected(from node: NodeID)

    /// What `node` says of itself, at each of its handshakes.
    func peerInfo(_ info: NodeInfo, of node: NodeID)

    /// Why the sender of `hello` must not be let in, beyond what ``Hello/refusal(by:)`` knows:
    /// whether it is a member of the cluster, with this instance id.
    func refusal(of hello: Hello) -> Refusal?

    /// A client has asked for something: answer each request once with
    /// ``ClientConnection/send(_:)``, from any thread and in any order.
    func request(_ request: ClientRequest, from connection: ClientConnection)

    /// The connection of a client has closed: roll its transactions back.
    func closed(_ connection: ClientConnection)
}
