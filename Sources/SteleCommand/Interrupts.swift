import Dispatch
import Foundation
import Synchronization

/// Turns SIGINT and SIGTERM into a flag that can be polled or awaited.
final class Interrupts: @unchecked Sendable {
    // Safety: `sources` is written by the initialiser only.
    private struct State {
        var isRaised = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())
    private var sources: [any DispatchSourceSignal] = []

    init() {
        for number in [SIGINT, SIGTERM] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { [weak self] in self?.raise() }
            source.resume()
            sources.append(source)
        }
    }

    var isRaised: Bool { state.withLock { $0.isRaised } }

    /// Returns once a signal has come.
    func wait() async {
        await withCheckedContinuation { continuation in
            let isRaised = state.withLock { state in
                if !state.isRaised { state.waiters.append(continuation) }
                return state.isRaised
            }
            if isRaised { continuation.resume() }
        }
    }

    /// What may take long and cannot be interrupted, such as the reading of a long log.
    final class Phase: Sendable {
        private let isOver = Mutex(false)

        /// From here on a signal waits for whoever awaits it.
        func end() { isOver.withLock { $0 = true } }

        fileprivate func exit() {
            isOver.withLock { isOver in if !isOver { Foundation.exit(0) } }
        }
    }

    /// Ends the process at a signal until the result is told that its phase is over. Nothing is
    /// served in it, so that it is as after a crash: nothing that was acknowledged is lost.
    func exitWhenRaised() -> Phase {
        let phase = Phase()
        Task {
            await wait()
            phase.exit()
        }
        return phase
    }

    /// Acts as if a signal had come.
    func raise() {
        let waiters = state.withLock { state in
            state.isRaised = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}
