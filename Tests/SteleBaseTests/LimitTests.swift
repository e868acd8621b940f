import SteleAPI
import SteleBase
import Testing

@Suite struct LimitTests {
    @Test func `the error of each limit names it and what was asked for`() {
        for limit in LimitExceeded.Limit.allCases {
            let text = LimitExceeded(limit, count: limit.value + 1).description
            #expect(text.contains("\(limit.value + 1)"))
            #expect(
                text.hasSuffix("exceeds the limit of \(limit.value) (Limits.\(limit.rawValue))"))
        }
        let excess = LimitExceeded(.connections, count: 4, allowed: 3)
        #expect(excess.description.contains("the limit of 3 "))
    }

    @Test func `too much load may be tried again, too large a request may not`() {
        for limit in LimitExceeded.Limit.allCases {
            let error = SteleError(LimitExceeded(limit, count: 1 << 40))
            #expect(error.isRetryable == limit.isOfLoad)
        }
    }
}

@Suite struct LockedTests {
    @Test func `no change to a locked value is lost`() async {
        let number = Counter()
        await withTaskGroup { group in
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<5_000 { number.value.withLock { $0 += 1 } }
                }
            }
        }
        #expect(number.value.withLock { $0 } == 20_000)
    }

    @Test func `an error leaves the lock free`() {
        let number = Counter()
        #expect(throws: DecodingError.self) {
            try number.value.withLock { _ throws(DecodingError) in throw DecodingError("no") }
        }
        #expect(number.value.withLock { $0 } == 0)
    }

    private final class Counter: Sendable { let value = Locked(0) }
}
