// The entry that libFuzzer calls; the body is in Fuzz/Bodies.
import SteleFuzzing

@c(LLVMFuzzerTestOneInput)
public func fuzzOne(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzzDatum(UnsafeRawBufferPointer(start: start, count: count))
    return 0
}
