extension String {
    /// As a name has to be written: in quotes unless it is one without them too.
    var asIdentifier: String {
        let isPlain =
            !isEmpty && !Self.reserved.contains(self)
            && utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 95 }
            && !(48...57).contains(utf8.first ?? 48)
        if isPlain { return self }
        return "\"" + split(separator: "\"", omittingEmptySubsequences: false)
            .joined(separator: "\"\"") + "\""
    }

    /// The words of PostgreSQL 15 that are no names without quotes.
    private static let reserved = Set(
        """
        all analyse analyze and any array as asc asymmetric both case cast check collate column \
        constraint create current_catalog current_date current_role current_time \
        current_timestamp current_user default deferrable desc distinct do else end except false \
        fetch for foreign from grant group having in initially intersect into lateral leading \
        limit localtime localtimestamp not null offset on only or order placing primary \
        references returning select session_user some symmetric table then to trailing true \
        union unique user using variadic when where window with authorization binary collation \
        concurrently cross current_schema freeze full ilike inner is isnull join left like \
        natural notnull outer overlaps right similar tablesample verbose between bigint bit \
        boolean char character coalesce dec decimal exists extract float greatest grouping inout \
        int integer interval least national nchar none normalize nullif numeric out overlay \
        position precision real row setof smallint substring time timestamp treat trim values \
        varchar xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse \
        xmlpi xmlroot xmlserialize xmltable
        """.split(separator: " ").map(String.init))
}
