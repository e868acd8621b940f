/// Ends the process when `condition` is false, in debug and in release builds alike.
///
/// An invariant is a statement about our own code that must hold whatever the outside world does;
/// bad input is reported with a typed error instead. `precondition` is not used for this purpose
/// because it loses its message at `-O`.
@inlinable
@inline(__always)
package func invariant(
    _ condition: @autoclosure () -> Bool,
    _ message: @autoclosure () -> String,
    file: StaticString = #fileID,
    line: UInt = #line
) {
    if !condition() {
        invariantFailed(message(), file: file, line: line)
    }
}

/// Ends the process because a state was reached that our own code must never reach.
@usableFromInline
package func invariantFailed(
    _ message: String, file: StaticString = #fileID, line: UInt = #line
) -> Never {
    fatalError("invariant violated: \(message)", file: file, line: line)
}
