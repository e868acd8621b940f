import SteleAPI
import SteleBase

/// What a client, or somebody who administers the cluster, asks of a node.
///
/// Requests of one connection are independent of each other and answered in any order, except that
/// the steps of one transaction take effect in the order in which they were sent.
package struct ClientRequest: Hashable, Sendable {
    /// Chosen by the client; the ``ClientReply`` carries it back.
    package var id: UInt64
    package var body: Body

    package enum Body: Hashable, Sendable {
        case status
        /// Makes the nodes that wait for it a new cluster.
        case initialize
        /// One node tells another, which waits to be taken in, that it is a member now.
        case bootstrap(ClusterMembership)
        case database(ClientKeyspace, DatabaseVerb)
    }

    package init(id: UInt64, body: Body) {
        self.id = id
        self.body = body
    }
}

/// The parts of the keyspace that clients may name; numbered as the kernel numbers them.
package enum ClientKeyspace: UInt8, Hashable, Sendable, CaseIterable {
    /// What users of the key-value interface write.
    case user = 0x10
    /// Tables, their catalogue included.
    case sql = 0x20
}

/// Single operations on a database, and the steps of transactions.
package enum DatabaseVerb: Hashable, Sendable {
    case get(KeyBytes)
    case put(KeyBytes, [UInt8])
    case delete(KeyBytes)
    /// A page of the newest rows, as one snapshot of its own.
    case scan(ScanRequest)
    /// Writes `new` (nil deletes) if the value is `expected` (nil if there must be none).
    case compareAndSet(KeyBytes, expected: [UInt8]?, new: [UInt8]?)
    /// Adds to the decimal number that is the value; no value counts as 0.
    case increment(KeyBytes, by: Int64)
    case transaction(TransactionStep)
}

/// Which rows to scan, and in which direction.
package struct ScanRequest: Hashable, Sendable {
    package var range: KeyRange
    package var limit: Int
    package var reverse: Bool
    /// How many of the transaction's own writes are to be seen; nil is all.
    package var writes: Int?

    package init(range: KeyRange, limit: Int, reverse: Bool, writes: Int? = nil) {
        self.range = range
        self.limit = limit
        self.reverse = reverse
        self.writes = writes
    }
}

/// One step of a transaction: what it did locally since the last step, then one verb that waits.
///
/// Writes and savepoints need no answer, so they travel with the next step that does. After a step
/// whose effects could not be applied the transaction has failed: every later step but a rollback
/// fails likewise, so that no commit can lose writes.
package struct TransactionStep: Hashable, Sendable {
    /// Chosen by the client, unique within its connection. The transaction ends with it.
    package var handle: UInt64
    /// Present in the transaction's first step and in no other.
    package var begin: TransactionOptions?
    package var effects: [Effect]
    package var action: Action

    package enum Effect: Hashable, Sendable {
        /// Nil deletes.
        case write(KeyBytes, [UInt8]?)
        case beginStatement
        /// Gives the present state of the write buffer a number, larger than all before.
        case savepoint(UInt64)
        case rollbackTo(UInt64)
        /// The commit fails unless the key has this value then.
        case expect(KeyBytes, [UInt8]?)
    }

    package enum Action: Hashable, Sendable {
        /// Only applies the effects, for when they grow too many for one message.
        case none
        case get([KeyBytes])
        case scan(ScanRequest)
        /// The values of the last keys are only read, once all locks are held.
        case lock([KeyBytes], LockMode, LockWait, reading: [KeyBytes])
        case commit
        case rollback
    }

    /// How many effects a step may carry.
    package static let effectLimit = 16_384

    package init(
        handle: UInt64, begin: TransactionOptions? = nil, effects: [Effect] = [], action: Action
    ) {
        self.handle = handle
        self.begin = begin
        self.effects = effects
        self.action = action
    }
}
