import Foundation
import Testing

/// Scripts that drive whole groups, line by line.
///
/// The project's own ones always run; so do those in `STELE_RAFT_SCRIPTS`, or else those that lie
/// beside the checkout. With `STELE_RAFT_REWRITE=1` the own ones are rewritten instead.
@Suite
struct RaftScripts {
    @Test(arguments: scripts)
    func script(_ script: Script) throws {
        let environment = InteractionEnvironment()
        if RaftScripts.rewrites {
            try script.rewrite { environment.handle($0) }
        } else {
            try script.run { environment.handle($0) }
        }
    }

    private static let rewrites =
        ProcessInfo.processInfo.environment["STELE_RAFT_REWRITE"] == "1"

    private static let scripts: [Script] = {
        if rewrites { return Script.own("interaction") }
        let given: [Script]
        if let folder = ProcessInfo.processInfo.environment["STELE_RAFT_SCRIPTS"] {
            given = Script.files(in: URL(filePath: folder))
        } else {
            given = Script.shared("interaction")
        }
        return given + Script.own("interaction")
    }()
}
