import SteleBase
import SteleSQL

/// The input says which options a COPY has, where its data is cut, and what that is. However it is
/// cut, the same rows or the same error must come out.
package func fuzzCopy(_ bytes: UnsafeRawBufferPointer) {
    var input = FuzzInput(bytes)
    let options = copyOptions[Int(input.byte()) % copyOptions.count]
    let step = Int(input.byte()) % 7 + 1
    let data = input.bytes(atMost: 2_000)
    let whole = rows(of: [data], options)
    var pieces: [[UInt8]] = []
    var rest = data[...]
    while !rest.isEmpty {
        pieces.append(Array(rest.prefix(step)))
        rest = rest.dropFirst(step)
    }
    let cut = rows(of: pieces, options)
    invariant(whole == cut, "\(whole.suffix(3)) differs from \(cut.suffix(3))")
}

private let copyOptions = [
    "", "(format csv)", "(delimiter '|', null 'null')", "(header)", "(format csv, header match)",
    "(format csv, quote '''', escape '\\')", "(format csv, force_null (a, b), null 'x')",
    "(format csv, force_not_null (a), delimiter ';')", "(encoding 'latin1')", "(freeze, null '')",
]

private func rows(of data: [[UInt8]], _ options: String) -> [String] {
    let result = FuzzSink()
    let database = FuzzSession.database()
    waitFor {
        let session = FuzzSession(database).session
        do throws(SQLError) {
            try await session.simpleQuery(
                "copy h from stdin \(options)", into: FuzzSink(copyData: data))
            try await session.simpleQuery("select * from h", into: result)
        } catch {
            result.complete(tag: "\(error.state) \(error.message) \(error.context ?? "")")
        }
        session.close()
    }
    return result.lines
}
