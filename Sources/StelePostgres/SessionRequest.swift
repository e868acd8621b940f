import SteleSQL

// What a start-up packet asks for, checked as PostgreSQL checks it: the last of several equal
// names counts, and `options` carries settings in the form of command-line arguments.

/// Who wants a session, and with which settings.
package struct SessionRequest: Hashable, Sendable {
    package var user: String
    package var database: String
    /// What the client knows the connection by; see BackendKeyData.
    package var processID: Int32
    /// The settings to begin with, in order.
    package var settings: [StartupMessage.Parameter]
    /// Names of protocol options that nobody here knows.
    var unknownOptions: [String]

    init(_ message: StartupMessage, processID: Int32) throws(SQLError) {
        var user = ""
        var database = ""
        self.processID = processID
        settings = []
        unknownOptions = []
        for parameter in message.parameters {
            switch parameter.name {
            case "user":
                user = parameter.value
            case "database":
                database = parameter.value
            case "options":
                settings += try Self.settings(inArguments: parameter.value)
            case "replication":
                guard ["false", "off", "no", "0"].contains(parameter.value) else {
                    throw .unsupported("replication")
                }
            case let name where name.hasPrefix("_pq_."):
                unknownOptions.append(name)
            default:
                settings.append(parameter)
            }
        }
        guard !user.isEmpty else {
            throw SQLError("28000", "no PostgreSQL user name specified in startup packet")
        }
        self.user = user
        self.database = database.isEmpty ? user : database
    }

    /// The settings in `-c name=value` and `--name=value`.
    private static func settings(
        inArguments text: String
    ) throws(SQLError) -> [StartupMessage.Parameter] {
        var settings: [StartupMessage.Parameter] = []
        var arguments = words(of: text)[...]
        while let argument = arguments.popFirst() {
            var assignment: Substring?
            if argument == "-c" {
                assignment = arguments.popFirst()?[...]
            } else if argument.hasPrefix("-c") || argument.hasPrefix("--") {
                assignment = argument.dropFirst(2)
            }
            guard let assignment, let equals = assignment.firstIndex(of: "=") else {
                throw SQLError(
                    "42601", "invalid command-line argument for server process: \(argument)")
            }
            let name = assignment[..<equals].map { $0 == "-" ? "_" : $0 }
            let value = assignment[assignment.index(after: equals)...]
            settings.append(.init(name: String(name), value: String(value)))
        }
        return settings
    }

    /// Splits at blanks; a backslash takes the next character as it is.
    private static func words(of text: String) -> [String] {
        var words: [String] = []
        var word: String?
        var characters = text.unicodeScalars.makeIterator()
        while let character = characters.next() {
            if character == "\\" {
                word = word ?? ""
                if let next = characters.next() { word?.unicodeScalars.append(next) }
            } else if character.properties.isWhitespace {
                if let word { words.append(word) }
                word = nil
            } else {
                word = word ?? ""
                word?.unicodeScalars.append(character)
            }
        }
        if let word { words.append(word) }
        return words
    }
}
