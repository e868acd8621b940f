import SteleAPI
import Testing

/// What values are stored as, and what they are read back as.
@Suite struct ValueTests {
    private func text(_ value: some ValueConvertible) -> String {
        String(decoding: value.steleBytes, as: UTF8.self)
    }

    @Test func `an array literal is one of numbers, and bytes have to be called so`() async throws {
        let database = try LocalKernel().database
        try await database.put("numbers", [1, 2, 3])
        try await database.put("bytes", [1, 2, 3] as [UInt8])
        #expect(try await database.get("numbers", as: String.self) == "[1,2,3]")
        #expect(try await database.get("numbers", as: [Int].self) == [1, 2, 3])
        #expect(try await database.get("bytes", as: [UInt8].self) == [1, 2, 3])
    }

    @Test func `arrays of numbers and truth values read back`() throws {
        #expect(text([1, -2, Int.max]) == "[1,-2,\(Int.max)]")
        #expect(try [Int](steleBytes: Array("[ 1 , -2]".utf8)) == [1, -2])
        #expect(try [Double](steleBytes: ([0.5, -.infinity] as [Double]).steleBytes) == [0.5, -.infinity])
        #expect(try [Bool](steleBytes: [true, false].steleBytes) == [true, false])
        #expect(try [Int](steleBytes: ([] as [Int]).steleBytes) == [])
        for broken in ["", "[", "]", "1", "[1", "1]", "[,]", "[1,]", "[1 2]", "[a]", "[1]]"] {
            #expect(throws: SteleError.self) { try [Int](steleBytes: Array(broken.utf8)) }
        }
    }
}
