import PostgresJudge

/// Where Stele answers otherwise than PostgreSQL 15 on purpose, or cannot do better.
enum Disagreement {
    /// Why the two answers may differ; nil if they may not.
    static func reason(_ statement: Statement, _ expected: Answer, _ found: Answer) -> String? {
        // Sums of floating point numbers depend on the order of the rows, which is nobody's.
        if expected.error == nil, found.error == nil, expected.types == found.types,
            ["sum(", "avg(", "stddev", "var_", "variance("].contains(where: statement.text.contains),
            expected.types.contains(where: { $0.contains(" 701") || $0.contains(" 700") })
        {
            return "aggregates of floating point numbers depend on the order of rows"
        }
        // Values of char(n) are held without the blanks at their end, which are shown again by the
        // modifier of a result; where it has none, as after COALESCE of two lengths, they are not.
        if statement.mayShowBlanks,
            expected.error == nil && found.error == nil
                && withoutBlanks(expected) == withoutBlanks(found)
                || statement.mayCountBlanks
                    && [expected.error, found.error].allSatisfy({ $0?.hasPrefix("22") ?? true })
        {
            return "blanks at the end of char(n) are not part of a value"
        }
        // Which rows beyond a limit are computed is up to the plan.
        if statement.text.contains(" limit "), (expected.error == nil) != (found.error == nil),
            (expected.error ?? found.error)?.hasPrefix("22") == true
        {
            return "a row beyond a limit may be computed or not"
        }
        // So is which of several conditions is tested first, where a key is among them.
        if statement.text.contains(" and k > "), (expected.error == nil) != (found.error == nil),
            (expected.error ?? found.error)?.hasPrefix("22") == true
        {
            return "a row that a condition on the key leaves out may be tested by others or not"
        }
        // The planner knows of a CASE which branch is taken, and so which modifier its type has.
        if expected.error == nil, found.error == nil, expected.rows.sorted() == found.rows.sorted(),
            ["case ", "coalesce(", "nullif("].contains(where: statement.text.contains),
            expected.types.map(withoutModifiers) == found.types.map(withoutModifiers)
        {
            return "a type has the modifier of the branch that is taken"
        }
        // Operators and functions of types that are not here fit what fits none here.
        if let message = expected.message, found.error != nil,
            ["json", "interval", "anyarray", "money", "network", "anyrange"]
                .contains(where: message.contains)
        {
            return "PostgreSQL has operators of more types"
        }
        if found.message?.hasPrefix("operator does not exist: unknown - ") == true {
            return "PostgreSQL has operators of more types"
        }
        // The days of so late a year overflow there, and some other date comes of it.
        if found.error == "22007", found.message?.contains("date: \"123456789.125\"") == true {
            return "PostgreSQL takes a day of the year 123,456,789 for a date"
        }
        // Which of several items is compared first is nobody's, either.
        if statement.text.contains(" not in ("), expected.error == nil,
            found.error?.hasPrefix("22") == true
        {
            return "the items of NOT IN may be compared in another order"
        }
        // What is no date can be wrong in several ways.
        let ofDates: Set = ["22007", "22008", "22009", "22023"]
        if let one = expected.error, let other = found.error, ofDates.contains(one),
            ofDates.contains(other)
        {
            return "of a text that is no date another part is found to be wrong"
        }
        // The order of a table's rows is nobody's, and groups and orders may be computed before or after
        // what is put out of a row.
        if let one = expected.error, let other = found.error,
            statement.text.contains(" from t") || statement.text.hasPrefix("update t "),
            [one, other].allSatisfy({ $0.hasPrefix("22") || isOfValue($0, expected) })
                || [one, other].contains("23505") && [one, other].contains(where: { $0.hasPrefix("22") })
        {
            return "of two rows, or parts of a row, that fail another comes first"
        }
        return nil
    }

    /// PostgreSQL has a code for features that it does not have, for some values that it cannot convert.
    private static func isOfValue(_ code: String, _ answer: Answer) -> Bool {
        code == "0A000" && answer.error == code
            && ["cannot convert infinity", "cannot convert NaN", "unit \""]
                .contains { answer.message?.hasPrefix($0) == true }
    }

    private static func withoutModifiers(_ types: String) -> String {
        types.replacing(/\([0-9]+\)/, with: "")
    }

    private static func withoutBlanks(_ answer: Answer) -> [String] {
        answer.rows.map { row in String(row.filter { $0 != " " }) }.sorted()
    }
}
