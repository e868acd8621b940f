import Foundation

/// Does what sessions hand over, each piece on a thread of its own, whose stack is as deep as any
/// statement needs.
enum TestWorker {
    @Sendable static func run(_ work: @escaping @Sendable () -> Void) {
        let thread = Thread { work() }
        thread.stackSize = 512 << 20
        thread.start()
    }
}
