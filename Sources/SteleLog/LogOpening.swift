import Glibc
import SteleBase
import SteleRaft

extension LogWriter {
    /// Locks a directory, reads the log in it, and begins a new segment behind its end.
    ///
    /// Until everything has been read and found in order, nothing on disk is changed.
    package static func open(
        directory: String, fileSystem: any FileSystem, options: LogOptions
    ) throws(LogError) -> sending (writer: LogWriter, recovered: RecoveredLog) {
        if options.mustExist, !(try hasLog(directory, fileSystem)) {
            throw .missing(directory: directory)
        }
        let lock = try takeLock(directory, fileSystem, mustExist: options.mustExist)
        let recovery = try LogRecovery(
            files: fileSystem, directory: directory, mustExist: options.mustExist)
        let catalog = LogCatalog(recovery.state)
        let writer = LogWriter(
            catalog: catalog, files: fileSystem, directory: directory, options: options, lock: lock,
            end: recovery.end, spares: recovery.spares)
        let recovered = try catalog.recovered(options)
        try reachingDisk { () throws(FileError) in
            try writer.settle(recovery)
        }
        do throws(LogError) {
            try writer.beginSegment()
        } catch {
            writer.removeUnfinishedSegment()
            throw error
        }
        while try writer.upkeep() {}
        return (writer, recovered)
    }

    /// Whether a directory holds any file of a log, in whatever state; false if there is none.
    private static func hasLog(
        _ directory: String, _ files: any FileSystem
    ) throws(LogError) -> Bool {
        let names: [String]
        do throws(FileError) {
            names = try files.list(directory)
        } catch {
            if error.code == ENOENT { return false }
            throw .file(error)
        }
        return names.contains { name in
            [".log", ".spare"].contains { LogFormat.sequence(of: name, suffix: $0) != nil }
        }
    }

    private static func takeLock(
        _ directory: String, _ files: any FileSystem, mustExist: Bool
    ) throws(LogError) -> any FileLock {
        let isNew = try reachingDisk { () throws(FileError) in
            try files.createDirectory(directory)
        }
        let names = try reachingDisk { () throws(FileError) in try files.list(directory) }
        if let foreign = foreignName(names) {
            throw .foreignDirectory(directory: directory, file: foreign)
        }
        if !isNew, !names.contains(LogFormat.lockName) {
            // A log that is refused gets no lock file either. It is read again under the lock.
            _ = try LogRecovery(files: files, directory: directory, mustExist: mustExist)
        }
        let lock = try reachingDisk { () throws(FileError) in
            // Not only when it is new: whoever created it may have been killed right after.
            do throws(FileError) {
                try files.syncDirectory(FilePath.parent(of: directory))
            } catch {
                // A directory that was made for us, below one that we may not read.
                if isNew || !error.isPermission { throw error }
            }
            return try files.lock(directory + "/" + LogFormat.lockName)
        }
        guard let lock else { throw .locked(directory: directory) }
        return lock
    }

    /// A name that no log gives a file, in a directory without a log. Beside a log it may be there.
    private static func foreignName(_ names: [String]) -> String? {
        if names.contains(where: { LogFormat.sequence(of: $0, suffix: ".log") != nil }) {
            return nil
        }
        return names.first { name in
            name != LogFormat.lockName && name != "lost+found"
                && LogFormat.sequence(of: name, suffix: ".spare") == nil
        }
    }

    /// Makes what was read durable and removes what is not part of the log.
    private func settle(_ recovery: LogRecovery) throws(FileError) {
        if let unproven = recovery.unproven, !unproven.bytes.isEmpty {
            // Written anew, not only synced: after a failed sync the kernel may hold pages that
            // are not on disk but count as clean, and a later sync would pass over them.
            mark("log: the end of the log was not proven to be synced")
            try unproven.file.write(unproven.bytes, at: unproven.offset)
            try unproven.file.sync()
            unproven.file.endWriting()
        }
        var removed = 0
        if let path = recovery.abandoned {
            mark("log: a segment whose creation was cut short is dropped")
            removed += try files.open(path, create: false).size()
            try files.remove(path)
        }
        while spares.count > options.spareSegments {
            let spare = spares.removeLast()
            removed += spare.bytes
            try files.remove(spare.path)
        }
        try files.syncDirectory(directory)
        catalog.state.withLock { $0.fileBytes -= removed }
    }

    /// Removes what a failure to begin a segment left, as far as that can be done: otherwise a node
    /// that is started again and again would use up the rest of a disk that is all but full.
    ///
    /// Nothing relies on it yet, for no older segment has been given back since.
    private func removeUnfinishedSegment() {
        guard let unfinishedPath else { return }
        mark("log: a segment that could not be begun is removed")
        try? files.remove(unfinishedPath)
        try? files.syncDirectory(directory)
    }

    /// Entries `from ..< upTo` of a replica that are durable, contiguous, at least one if it is
    /// there, and no more than `maxBytes` of payload otherwise.
    package func entries(
        of tablet: TabletID, replica: ReplicaID, from: LogIndex, upTo: LogIndex, maxBytes: Int
    ) throws(LogError) -> [Entry] {
        let key = ReplicaKey(tablet: tablet, replica: replica)
        return try catalog.entries(key, from: from, upTo: upTo, maxBytes: maxBytes)
    }

    /// The total length of the log's files.
    package var bytesOnDisk: Int { catalog.state.withLock(\.fileBytes) }
}
