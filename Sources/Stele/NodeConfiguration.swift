import Logging
import SteleAPI
import SteleBase

/// How a ``Node`` is set up.
///
///     NodeConfiguration(directory: "data")                              // alone, embedded
///     NodeConfiguration(
///         directory: "/var/lib/shop", listen: "127.0.0.1:7400",
///         join: ["127.0.0.1:7400", "127.0.0.1:7401", "127.0.0.1:7402"])  // one of three
public struct NodeConfiguration: Sendable {
    /// Where the node keeps everything it must not forget. Created if it does not exist.
    public var directory: String
    /// `host:port` for peers, clients and administration; nil listens nowhere. Port 0 takes any.
    ///
    /// Of a loopback address unless ``isInsecure``.
    public var listen: String?
    /// Allows to listen at an address that other machines reach, though nothing is encrypted and
    /// nobody is asked for a password: for networks that keep strangers out by other means.
    public var isInsecure = false
    /// The addresses of the nodes that are to form a cluster, this one's too or not.
    ///
    /// Empty makes a new directory a cluster of one node at once; otherwise the node waits until one
    /// of them is told to initialise the cluster.
    public var join: [String]
    /// Where the node's Postgres front can be reached, as far as it has one; only told to others.
    public var postgresAddress: String?
    /// Free words on where the node stands, such as `region=eu,zone=a`; only told to others.
    public var locality: String
    /// Bytes of memory for what the store caches; 128 MiB by default. Three quarters are for blocks of
    /// its files with their indexes and filters, a quarter is for rows that were read by their key.
    ///
    /// Data beyond it are read through the operating system. Unflushed writes take memory of their
    /// own, up to some 256 MiB.
    public var cacheBytes: Int
    /// Bytes that the log of one tablet is kept to for replicas on nodes that are down; 64 MiB by
    /// default. A node that was down for more than that has to be rebuilt.
    public var tabletLogBytes = Limits.tabletLogBytes
    /// Bytes that the logs of all tablets of the node are kept to for any replica that lags; 1 GiB
    /// by default.
    public var nodeLogBytes = Limits.nodeLogBytes
    /// For how long what was overwritten or deleted can still be read by transactions that began
    /// before; 1 hour by default. Older snapshots are kept for as long as transactions read them, up
    /// to 24 times as long. To be the same on all nodes of a cluster.
    public var retention = Duration.seconds(3_600)
    public var logger: Logger

    public init(
        directory: String, listen: String? = nil, join: [String] = [],
        postgresAddress: String? = nil, locality: String = "", cacheBytes: Int = Limits.cacheBytes,
        logger: Logger = Logger(label: "stele")
    ) {
        self.directory = directory
        self.listen = listen
        self.join = join
        self.postgresAddress = postgresAddress
        self.locality = locality
        self.cacheBytes = cacheBytes
        self.logger = logger
    }
}
