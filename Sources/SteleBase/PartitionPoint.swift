extension RandomAccessCollection where Index == Int {
    /// The place of the first element that does not lie before what is looked for; those that do come
    /// first.
    @inlinable
    package func partitionPoint(_ isBefore: (Element) -> Bool) -> Int {
        var low = startIndex
        var high = endIndex
        while low < high {
            let middle = low + (high - low) / 2
            if isBefore(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
