/// Marks a rare path, so that a test can ask whether it was taken; see ``Probes``.
///
/// Costs nothing in release builds, where the call vanishes with its argument.
@inlinable
@inline(__always)
package func mark(_ place: StaticString) {
    #if DEBUG || STELE_PROBES
        noteMark(place)
    #endif
}

/// Whether the simulation, or a test, wants the code at this place to take its rare but permitted
/// way: a smaller batch, an early flush, a retry. Always false outside of a ``Probes/observe(_:)``.
///
/// Costs nothing in release builds, where it is the constant false.
@inlinable
@inline(__always)
package func faultPoint(_ place: StaticString) -> Bool {
    #if DEBUG || STELE_PROBES
        faultStrikes(place)
    #else
        false
    #endif
}

#if DEBUG || STELE_PROBES
    @usableFromInline
    func noteMark(_ place: StaticString) { Probes.current?.hit(place) }

    @usableFromInline
    func faultStrikes(_ place: StaticString) -> Bool { Probes.current?.strikes(place) ?? false }

    /// Collects the marks that are hit, and decides about fault points, while one piece of work runs.
    ///
    /// Bound to the task, or else the thread, that does the work, so tests that run beside each other
    /// see only what is theirs. All nodes of a simulation share one, which changes nothing for them:
    /// decisions follow from the seed and the order of calls alone, and marks decide nothing.
    package final class Probes: Sendable {
        @TaskLocal package static var current: Probes?

        private struct State {
            var hits: [String: Int] = [:]
            var random: SeededRandom
        }

        private let odds: UInt64
        private let state: Locked<State>

        /// - Parameter odds: fault points strike once in so many times; 0 is never.
        package init(faultOdds odds: UInt64 = 0, seed: UInt64 = 0) {
            self.odds = odds
            state = Locked(State(random: SeededRandom(seed: seed)))
        }

        /// Runs `body`, and watches what it and all that it calls passes.
        package func observe<Result, Failure: Error>(
            _ body: () throws(Failure) -> Result
        ) throws(Failure) -> Result {
            let outcome: Swift.Result<Result, Failure> = Self.$current.withValue(self) {
                do throws(Failure) { return .success(try body()) } catch { return .failure(error) }
            }
            return try outcome.get()
        }

        /// How often a mark was hit, or a fault point struck.
        package func hits(_ place: String) -> Int { state.withLock { $0.hits[place] ?? 0 } }

        /// All places that were hit or struck, by name.
        package var places: [String] { state.withLock { $0.hits.keys.sorted() } }

        fileprivate func hit(_ place: StaticString) {
            state.withLock { $0.hits["\(place)", default: 0] += 1 }
        }

        fileprivate func strikes(_ place: StaticString) -> Bool {
            guard odds > 0 else { return false }
            return state.withLock { state in
                guard state.random.oneIn(odds) else { return false }
                state.hits["\(place)", default: 0] += 1
                return true
            }
        }
    }
#endif
