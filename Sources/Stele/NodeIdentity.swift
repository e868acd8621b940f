import SteleAPI
import SteleBase
import SteleCluster
import SteleTablet
import SteleTransaction
import SteleWire

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Who a node is: kept in the file `identity` of its directory, written once, when a cluster takes
/// the node in, and when it begins to serve.
///
/// Format: `STELE` and a version byte, the directory's unique id, the membership if there is one
/// (length and bytes), a byte that tells whether the node has served, CRC32C of everything before it.
///
/// Invariant: there is no log or store without an identity, and since the node has served, no
/// identity without a log. A node that went on without what it has voted and acknowledged could elect
/// two leaders, or lose what a client was promised.
struct NodeIdentity: Sendable {
    private static let magic = Array("STELE".utf8)
    private static let version: UInt8 = 2
    private static let fileName = "identity"

    /// Tells this directory from all others.
    var directoryID: UniqueID
    /// The cluster as it was formed; nil as long as the node belongs to none.
    var membership: ClusterMembership?
    /// Whether the node has, or may have, promised something that its log has to remember.
    var hasServed = false

    /// The node's id in the cluster it belongs to.
    var node: NodeID {
        membership?.nodes.first { $0.instance == directoryID }?.node ?? .none
    }

    /// The identity of `directory`; a new one, written at once, if there is none yet.
    static func load(from directory: String) throws(SteleError) -> NodeIdentity {
        let path = directory + "/" + fileName
        if let bytes = try readFile(path) { return try NodeIdentity(bytes: bytes, path: path) }
        for name in [Storage.logName, Storage.storeName] where exists(directory + "/" + name) {
            throw SteleError(
                .configuration,
                "\(directory) holds a \(name), but not the file \(fileName) that belongs to it")
        }
        if let other = try foreignName(in: directory) {
            throw SteleError(
                .configuration,
                "\(directory) is no node's directory, and cannot become one, because it is not "
                    + "empty: it holds \(other)")
        }
        var random = SystemRandomNumberGenerator()
        let identity = NodeIdentity(directoryID: UniqueID(from: &random), membership: nil)
        try identity.store(in: directory)
        return identity
    }

    /// Refuses a configuration that is meant for another member or another cluster: two nodes under
    /// one identity would vote twice.
    func check(_ configuration: NodeConfiguration) throws(SteleError) {
        guard let membership, membership.nodes.count > 1,
            let own = membership.nodes.first(where: { $0.instance == directoryID })?.address
        else {
            return try checkOthers(configuration, known: [])
        }
        try checkOthers(configuration, known: membership.nodes.map(\.address))
        guard let listen = configuration.listen, listen != own else { return }
        let address = try NetworkAddress(parsing: listen)
        let advertised = try NetworkAddress(parsing: own)
        let isElsewhere =
            address.port != advertised.port
            || !(address.isAnyHost || configuration.join.contains(own))
        guard !isElsewhere else {
            throw SteleError(
                .configuration,
                "\(configuration.directory) is of the member at \(own), which cannot listen on "
                    + listen)
        }
    }

    private func checkOthers(
        _ configuration: NodeConfiguration, known: [String]
    ) throws(SteleError) {
        let others = configuration.join.filter { $0 != configuration.listen }
        guard let membership, !others.isEmpty, !others.contains(where: known.contains) else {
            return
        }
        throw SteleError(
            .configuration,
            "\(configuration.directory) belongs to cluster \(membership.cluster), to which none of "
                + "\(others.joined(separator: ", ")) belongs")
    }

    /// Replaces the file as a whole, and returns once that is durable.
    func store(in directory: String) throws(SteleError) {
        var writer = ByteWriter()
        writer.writeRaw(Self.magic)
        writer.write(Self.version)
        writer.write(directoryID.high)
        writer.write(directoryID.low)
        var content = ByteWriter()
        membership?.encode(into: &content)
        writer.writeBytes(content.bytes)
        writer.write(UInt8(hasServed ? 1 : 0))
        writer.write(CRC32C.of(writer.bytes))
        try replaceFile(directory, Self.fileName, writer.bytes)
    }

    private init(directoryID: UniqueID, membership: ClusterMembership?) {
        self.directoryID = directoryID
        self.membership = membership
    }

    private init(bytes: [UInt8], path: String) throws(SteleError) {
        guard bytes.count > 4, bytes.starts(with: Self.magic) else {
            throw SteleError(.configuration, "\(path) is not the identity of a Stele node")
        }
        guard bytes[Self.magic.count] == Self.version else {
            throw SteleError(
                .configuration,
                "\(path) is of version \(bytes[Self.magic.count]); this program knows \(Self.version)"
            )
        }
        do {
            var check = ByteReader(bytes[(bytes.count - 4)...])
            guard try check.read(UInt32.self) == CRC32C.of(bytes[..<(bytes.count - 4)]) else {
                throw DecodingError("the checksum does not match")
            }
            var reader = ByteReader(bytes[(Self.magic.count + 1)..<(bytes.count - 4)])
            let high = try reader.read(UInt64.self)
            directoryID = UniqueID(high: high, low: try reader.read(UInt64.self))
            let content = try reader.readBytes()
            hasServed = try reader.read(UInt8.self) != 0
            try reader.expectEnd()
            if !content.isEmpty {
                var inner = ByteReader(content)
                membership = try ClusterMembership(from: &inner)
                try inner.expectEnd()
            }
        } catch {
            throw SteleError(.storage, "\(path) is damaged: \(error)")
        }
    }
}

extension ClusterMembership {
    /// A cluster of one node.
    static func alone(_ directory: UniqueID, address: String) -> ClusterMembership {
        fresh(directory, [Member(node: NodeID(1), instance: directory, address: address)])
    }

    /// A new cluster of `members`, with the tablets that a new cluster has.
    static func fresh(_ cluster: UniqueID, _ members: [Member]) -> ClusterMembership {
        ClusterMembership(
            cluster: cluster, nodes: members,
            tablets: freshTablets(on: members.map(\.node)).map { descriptor in
                var writer = ByteWriter()
                descriptor.encode(into: &writer)
                return writer.bytes
            })
    }

    /// The tablets of a fresh cluster of `nodes`: one for the system, one for all data.
    ///
    /// The system tablet has up to five replicas, the data tablet up to three.
    static func freshTablets(on nodes: [NodeID]) -> [TabletDescriptor] {
        func replicas(_ most: Int) -> [TabletDescriptor.Replica] {
            nodes.sorted().prefix(most).map { .init(node: $0, id: ReplicaID($0.rawValue)) }
        }
        return [
            TabletDescriptor(
                id: .system, range: Keyspace.systemRange, generation: 1, replicas: replicas(5)),
            TabletDescriptor(
                id: .firstData, range: Keyspace.data, generation: 1, replicas: replicas(3)),
        ]
    }

    /// The tablets' descriptors, which travel as opaque bytes.
    func tabletDescriptors() throws(DecodingError) -> [TabletDescriptor] {
        var descriptors: [TabletDescriptor] = []
        for bytes in tablets {
            var reader = ByteReader(bytes)
            descriptors.append(try TabletDescriptor(from: &reader))
            try reader.expectEnd()
        }
        return descriptors
    }
}

/// Whether there is anything of that name.
private func exists(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
}

/// Something in a directory that no node that is about to begin there has made; nil if there is none.
private func foreignName(in directory: String) throws(SteleError) -> String? {
    // What a new file system holds, what the demo keeps for a node, and an identity that was not
    // finished.
    let known = [".", "..", "lost+found", "stderr.log", "identity.new"]
    guard let stream = opendir(directory) else { throw failure("cannot read \(directory)") }
    defer { closedir(stream) }
    while let entry = readdir(stream) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if !known.contains(name) { return name }
    }
    return nil
}

/// The content of a file; nil if there is none.
private func readFile(_ path: String) throws(SteleError) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
        if errno == ENOENT { return nil }
        throw failure("cannot open \(path)")
    }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4_096)
    while true {
        let count = read(descriptor, &chunk, chunk.count)
        if count < 0 { throw failure("cannot read \(path)") }
        if count == 0 { return bytes }
        bytes.append(contentsOf: chunk[..<count])
    }
}

/// Writes a file beside the old one, syncs it, puts it in its place, and syncs the directory.
private func replaceFile(
    _ directory: String, _ name: String, _ bytes: [UInt8]
) throws(SteleError) {
    let path = directory + "/" + name
    let temporary = path + ".new"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw failure("cannot create \(temporary)") }
    var written = 0
    while written < bytes.count {
        let count = bytes[written...].withUnsafeBytes {
            write(descriptor, $0.baseAddress, $0.count)
        }
        guard count > 0 else {
            close(descriptor)
            throw failure("cannot write \(temporary)")
        }
        written += count
    }
    let isSynced = fsync(descriptor) == 0
    close(descriptor)
    guard isSynced else { throw failure("cannot sync \(temporary)") }
    guard rename(temporary, path) == 0 else { throw failure("cannot rename \(temporary)") }
    try syncDirectory(directory)
}

/// Makes durable which names a directory has.
///
/// - Parameter tolerated: error codes that count as success.
private func syncDirectory(_ path: String, tolerating tolerated: [Int32] = []) throws(SteleError) {
    let directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if directory < 0, !tolerated.contains(errno) { throw failure("cannot open \(path)") }
    guard directory >= 0 else { return }
    defer { close(directory) }
    if fsync(directory) != 0, !tolerated.contains(errno) { throw failure("cannot sync \(path)") }
}

/// Creates a directory and those above it, as far as they do not exist, durably.
///
/// What leads to one that exists is synced too: whoever created it may have been killed right after.
func makeDirectory(_ path: String) throws(SteleError) {
    var prefix = path.hasPrefix("/") ? "/" : ""
    for part in path.split(separator: "/") {
        let parent = prefix.isEmpty ? "." : prefix
        prefix += part + "/"
        let isNew = mkdir(prefix, 0o700) == 0
        guard isNew || errno == EEXIST else {
            throw failure("cannot create the directory \(prefix)")
        }
        // One that was made for us may lie below one that we may not read or that nothing keeps.
        try syncDirectory(
            parent, tolerating: isNew ? [] : [EACCES, EPERM, EINVAL, EROFS])
    }
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
        throw SteleError(.configuration, "\(path) is not a directory")
    }
}

private func failure(_ what: String) -> SteleError {
    SteleError(.configuration, "\(what): \(String(cString: strerror(errno)))")
}
