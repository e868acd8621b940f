import SteleBase
import Testing

#if DEBUG || STELE_PROBES
    @Suite struct ProbesTests {
        private func classify(_ value: Int) -> Bool {
            if value < 0 { mark("probes test: negative") }
            return faultPoint("probes test: fault")
        }

        @Test func `marks are counted only inside of what is observed`() {
            let probes = Probes()
            _ = classify(-1)
            probes.observe { for value in [-1, 0, 1, -2] { _ = classify(value) } }
            _ = classify(-1)
            #expect(probes.hits("probes test: negative") == 2)
            #expect(probes.places == ["probes test: negative"])
        }

        @Test func `fault points strike by their odds, and the same for the same seed`() {
            func strikes(_ seed: UInt64, odds: UInt64) -> [Bool] {
                Probes(faultOdds: odds, seed: seed).observe { (0..<1_000).map(classify) }
            }
            #expect(strikes(1, odds: 4) == strikes(1, odds: 4))
            #expect(strikes(1, odds: 4) != strikes(2, odds: 4))
            #expect((150...350).contains(strikes(3, odds: 4).count { $0 }))
            #expect(!strikes(1, odds: 0).contains(true))
            #expect(!classify(1))
        }

        @Test func `work side by side is observed apart`() async {
            await withTaskGroup(of: Void.self) { group in
                for number in 1...8 {
                    group.addTask {
                        let probes = Probes()
                        for _ in 0..<number {
                            probes.observe { _ = self.classify(-1) }
                            await Task.yield()
                        }
                        #expect(probes.hits("probes test: negative") == number)
                    }
                }
            }
        }

        @Test func `what is observed may throw its own error`() {
            #expect(throws: DecodingError.self) {
                try Probes().observe { () throws(DecodingError) in
                    var reader = ByteReader([])
                    _ = try reader.read(UInt8.self)
                }
            }
        }
    }
#endif
