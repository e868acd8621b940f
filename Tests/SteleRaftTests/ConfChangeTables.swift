import SteleBase
import Testing

@testable import SteleRaft

/// Tables of membership changes: one configuration per file, changed step by step.
@Suite
struct ConfChangeTables {
    @Test(arguments: Script.own("confchange") + Script.shared("confchange"))
    func table(_ script: Script) throws {
        var tracker = ProgressTracker(maxInflightMessages: 10, maxInflightBytes: .max)
        // Counts directives, so that `next` tells when a member was added.
        var lastIndex: LogIndex = 0
        try script.run { directive in
            defer { lastIndex += 1 }
            let changer = ConfChanger(tracker, lastIndex: lastIndex)
            let changes = try memberChanges(directive.input)
            do throws(ConfChangeError) {
                switch directive.command {
                case "simple": tracker = try changer.simple(changes)
                case "enter-joint":
                    let autoLeave = directive.value("autoleave") == "true"
                    tracker = try changer.enterJoint(autoLeave: autoLeave, changes)
                case "leave-joint": tracker = try changer.leaveJoint()
                default: return "unknown command \(directive.command)"
                }
            } catch {
                return error.description
            }
            let progress = tracker.progress.map { "\($0.id.rawValue): \($0)\n" }
            return "\(tracker.membership)\n" + progress.joined()
        }
    }
}
