import SteleBase
import SteleSQL

/// The input is a text of statements, which is run twice: in one turn, and begun anew at every
/// opportunity. Both must come to the same, and neither may end the process. A statement that
/// takes more than 100 ms is a finding, as far as the code is optimized.
package func fuzzSQL(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count < 4_096, let text = String(validating: bytes, as: UTF8.self),
        // What differs from run to run.
        !["random", "gen_random", "clock_timestamp", "pg_sleep", "generate_series"]
            .contains(where: text.lowercased().contains)
    else { return }
    let once = answers(to: text, isHasty: false)
    let again = answers(to: text, isHasty: true)
    invariant(
        once.lines == again.lines, "\(once.lines.suffix(3)) differs from \(again.lines.suffix(3))")
    #if !DEBUG
        // Several times, since pages of memory and the like are fetched when first used.
        guard once.longest > patience else { return }
        let best = (0..<4).map { _ in answers(to: text, isHasty: false).longest }.min() ?? 0
        invariant(best <= patience, "a statement takes \(best / 1_000_000) ms")
    #endif
}

#if !DEBUG
    /// In nanoseconds.
    private let patience: UInt64 = 100_000_000
#endif

private func answers(to text: String, isHasty: Bool) -> FuzzSink {
    let database = FuzzSession.database()
    let sink = FuzzSink()
    waitFor {
        let session = FuzzSession(database, isHasty: isHasty).session
        do throws(SQLError) {
            try await session.simpleQuery(text, into: sink)
        } catch {
            sink.complete(tag: "\(error.state) \(error.message)")
        }
        session.close()
    }
    return sink
}
