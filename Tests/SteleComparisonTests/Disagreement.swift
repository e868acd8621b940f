/// Where Stele answers otherwise than PostgreSQL 15 on purpose, or cannot do better.
enum Disagreement {
    /// Why the two answers may differ; nil if they may not.
    static func reason(_ statement: Statement, _ expected: Answer, _ found: Answer) -> String? {
        // Sums of floating point numbers depend on the order of the rows, which is nobody's.
        if expected.error == nil, found.error == nil, expected.types == found.types,
            ["sum(", "avg(", "stddev", "var"].contains(where: statement.text.contains),
            expected.types.contains(where: { $0.contains(" 701") || $0.contains(" 700") })
        {
            return "aggregates of floating point numbers depend on the order of rows"
        }
        // Values of char(n) are held without the blanks at their end, which are shown again by the
        // modifier of a result; where it has none, as after COALESCE of two lengths, they are not.
        if expected.error == nil, found.error == nil, statement.text.contains("char"),
            withoutBlanks(expected) == withoutBlanks(found)
        {
            return "blanks at the end of char(n) are not part of a value"
        }
        return nil
    }

    private static func withoutBlanks(_ answer: Answer) -> [String] {
        answer.rows.map { row in String(row.filter { $0 != " " }) }.sorted()
    }
}
