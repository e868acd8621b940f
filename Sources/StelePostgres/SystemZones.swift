import SteleSQL

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The zone database of the operating system, as a source of time zones for sessions.
///
/// A zone's file of a few kilobytes is read when its name is first used, on the thread that asks;
/// ``ZoneDatabase`` keeps what was in it.
package enum SystemZones {
    /// Where systems keep the files.
    package static let directory = "/usr/share/zoneinfo"

    /// No file of a zone comes near this.
    private static let limit = 1 << 20

    package static func database(in directory: String = directory) -> ZoneDatabase {
        ZoneDatabase { name in
            guard isDirectory(directory) else { return .noDirectory(directory) }
            guard let spelled = spelling(of: name, in: directory),
                let bytes = contents("\(directory)/\(spelled)")
            else { return .unknown }
            return .found(name: spelled, bytes: bytes)
        }
    }

    /// The name with the case that the files have.
    private static func spelling(of name: String, in directory: String) -> String? {
        var spelled: [String] = []
        for part in name.split(separator: "/") {
            let path = ([directory] + spelled).joined(separator: "/")
            guard let entry = entry(of: path, like: part.lowercased()) else { return nil }
            spelled.append(entry)
        }
        return spelled.joined(separator: "/")
    }

    private static func entry(of directory: String, like name: String) -> String? {
        guard let stream = opendir(directory) else { return nil }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let found = withUnsafePointer(to: &entry.pointee.d_name) { field in
                field.withMemoryRebound(
                    to: CChar.self, capacity: MemoryLayout.size(ofValue: field.pointee)
                ) { String(cString: $0) }
            }
            if found.lowercased() == name { return found }
        }
        return nil
    }

    private static func isDirectory(_ path: String) -> Bool {
        guard let stream = opendir(path) else { return false }
        closedir(stream)
        return true
    }

    private static func contents(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "rb") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = fread(&bytes, 1, limit, file)
        guard count > 0, count < limit else { return nil }
        return Array(bytes[..<count])
    }
}
