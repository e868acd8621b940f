import SteleAPI

/// An end of a command that scripts tell apart by its exit code.
struct CommandFailure: Error {
    enum Code: Int32 {
        case failed = 1
        case noSuchKey = 3
        case notExpected = 4
        case unknownOutcome = 5
    }

    let code: Code
    let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
}
