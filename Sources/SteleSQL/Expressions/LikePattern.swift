/// The pattern of `LIKE`: `%` is any characters, `_` one, and a backslash takes the next literally.
struct LikePattern {
    private enum Item: Equatable {
        case any
        case one
        case scalar(Unicode.Scalar)
        /// A backslash at the end: an error for any text that reaches it.
        case dangling
    }

    private var items: [Item] = []
    private let ignoresCase: Bool

    init(_ pattern: String, _ like: Expression.Like) {
        ignoresCase = like.ignoresCase
        var scalars = (ignoresCase ? pattern.inLowerCase : pattern).unicodeScalars.makeIterator()
        while let scalar = scalars.next() {
            switch scalar {
            case "%": if items.last != .any { items.append(.any) }
            case "_": items.append(.one)
            case "\\":
                items.append(scalars.next().map(Item.scalar) ?? .dangling)
            default: items.append(.scalar(scalar))
            }
        }
    }

    /// Whether the whole text matches. Goes back only to the last `%`, so it takes at most the
    /// product of both lengths.
    func matches(_ text: String, _ meter: WorkMeter) throws(SQLError) -> Bool {
        try meter.charge(20 * text.utf8.count + 20 * items.count)
        let scalars = Array((ignoresCase ? text.inLowerCase : text).unicodeScalars)
        var position = 0
        var item = 0
        var retry: (item: Int, position: Int)?
        while position < scalars.count {
            if item < items.count, items[item] == .dangling {
                throw SQLError("22025", "LIKE pattern must not end with escape character")
            }
            if item < items.count, items[item] == .any {
                item += 1
                retry = (item, position)
            } else if item < items.count,
                items[item] == .one || items[item] == .scalar(scalars[position])
            {
                item += 1
                position += 1
            } else if let last = retry {
                try meter.charge(4 * (position - last.position))
                item = last.item
                position = last.position + 1
                retry = (item, position)
            } else {
                return false
            }
        }
        while item < items.count, items[item] == .any { item += 1 }
        return item == items.count
    }
}
