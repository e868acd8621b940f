/// Keys that were met, for as many as there are: those that come in ascending order, as most do where
/// rows are read in order, are compared with the one before and hashed only if that order ends.
package struct KeySet {
    private var run: [KeyBytes] = []
    private var others = KeyTable<Bool>()

    package init() {}

    /// Returns whether the key is new.
    package mutating func insert(_ key: KeyBytes) -> Bool {
        if others.isEmpty, run.last?.precedes(key) ?? true {
            run.append(key)
            return true
        }
        if isInRun(key) { return false }
        return others.updateValue(true, forKey: DictionaryKey(key)) == nil
    }

    private func isInRun(_ key: KeyBytes) -> Bool {
        let place = run.partitionPoint { $0.precedes(key) }
        return place < run.count && run[place] == key
    }
}
