import SteleBase
import SteleSQL

/// The input is a text of statements, which is run twice: in one turn, and begun anew at every
/// opportunity. Both must come to the same, and neither may end the process or take long: what
/// takes longer than the fuzzer's patience is a finding.
package func fuzzSQL(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count < 4_096, let text = String(validating: bytes, as: UTF8.self),
        // What differs from run to run.
        !["random", "gen_random", "clock_timestamp", "pg_sleep", "generate_series"]
            .contains(where: text.lowercased().contains)
    else { return }
    let once = answers(to: text, isHasty: false)
    let again = answers(to: text, isHasty: true)
    invariant(once == again, "\(once.suffix(3)) differs from \(again.suffix(3))")
}

private func answers(to text: String, isHasty: Bool) -> [String] {
    let sink = FuzzSink()
    waitFor {
        let session = FuzzSession(isHasty: isHasty).session
        try? await session.simpleQuery(FuzzSession.tables, into: FuzzSink())
        do throws(SQLError) {
            try await session.simpleQuery(text, into: sink)
        } catch {
            sink.complete(tag: "\(error.state) \(error.message)")
        }
        session.close()
    }
    return sink.lines
}
