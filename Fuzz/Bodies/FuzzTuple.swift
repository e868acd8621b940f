import SteleBase

package func fuzzTuple(_ bytes: UnsafeRawBufferPointer) {
    _ = try? OrderedCoding.decodeAll(Array(bytes)[...])
}
