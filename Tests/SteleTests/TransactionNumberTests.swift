import SteleAPI
import SteleBase
import Testing

@testable import Stele

@Suite struct TransactionNumberTests {
    @Test func `a node that has not written its log yet is starting, not slow`() throws {
        let numbers = TransactionNumbers()
        func code() -> SteleError.Code? {
            do {
                _ = try numbers.next()
                return nil
            } catch { return error.code }
        }
        #expect(code() == .notInitialized)
        numbers.join()
        #expect(code() == .unavailable)
        numbers.start(node: NodeID(1), at: 7)
        #expect(code() == .unavailable)
        numbers.extend(to: 8)
        #expect(code() == nil)
        #expect(code() == .overloaded)
    }
}
