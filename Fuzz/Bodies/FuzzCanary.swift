/// Holds a planted bug: a harness that does not find it would find no other bug either.
package func fuzzCanary(_ bytes: UnsafeRawBufferPointer) {
    if bytes.count >= 4, bytes[0] == 0x53, bytes[1] == 0x54, bytes[2] == 0x45, bytes[3] == 0x4C {
        fatalError("the planted bug was found")
    }
}
