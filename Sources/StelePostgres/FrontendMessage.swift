import SteleSQL

// What a client can say, once decoded. Byte ranges are slices of the decoder's buffer, so that a
// query text is the only thing copied on the way in.

/// A message that a client may send once a session has begun.
package enum FrontendMessage: Hashable, Sendable {
    case query(String)
    case parse(Parse)
    case bind(Bind)
    case describe(Target)
    case execute(portal: String, maxRows: Int)
    case close(Target)
    case flush
    case sync
    case terminate
    case copyData(ArraySlice<UInt8>)
    case copyDone
    case copyFail(reason: String)
    /// The answer to an authentication request.
    case password(ArraySlice<UInt8>)
    /// The deprecated fast-path call of a function; its contents do not matter.
    case functionCall
    /// A message whose frame is sound and whose contents are not. After one of the extended
    /// protocol what follows is skipped up to Sync.
    case malformed(SQLError, isExtended: Bool)

    /// A statement to prepare.
    package struct Parse: Hashable, Sendable {
        package var statement: String
        package var text: String
        /// Object identifiers of the parameter types; 0 leaves one to be inferred.
        package var parameterTypes: [UInt32]

        package init(statement: String, text: String, parameterTypes: [UInt32] = []) {
            self.statement = statement
            self.text = text
            self.parameterTypes = parameterTypes
        }
    }

    /// A prepared statement and the values to run it with.
    package struct Bind: Hashable, Sendable {
        package var portal: String
        package var statement: String
        package var parameterFormats: [Int16]
        /// Encoded values; nil is NULL.
        package var parameters: [ArraySlice<UInt8>?]
        package var resultFormats: [Int16]

        package init(
            portal: String, statement: String, parameterFormats: [Int16] = [],
            parameters: [ArraySlice<UInt8>?] = [], resultFormats: [Int16] = []
        ) {
            self.portal = portal
            self.statement = statement
            self.parameterFormats = parameterFormats
            self.parameters = parameters
            self.resultFormats = resultFormats
        }
    }

    /// What Describe and Close refer to.
    package enum Target: Hashable, Sendable {
        case statement(String)
        case portal(String)
    }
}

/// The first thing that a client sends on a connection, in place of a typed message.
package enum OpeningMessage: Hashable, Sendable {
    case startup(StartupMessage)
    case encryptionRequest(Encryption)
    case cancelRequest(processID: Int32, secret: Int32)

    /// A way to encrypt the connection.
    package enum Encryption: Hashable, Sendable {
        case tls
        case gssapi
    }
}

/// A request to begin a session.
package struct StartupMessage: Hashable, Sendable {
    package var majorVersion: Int
    package var minorVersion: Int
    /// Names and values in the order sent, with duplicates.
    package var parameters: [Parameter]

    /// One name and its value.
    package struct Parameter: Hashable, Sendable {
        package var name: String
        package var value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    package init(majorVersion: Int = 3, minorVersion: Int = 0, parameters: [Parameter]) {
        self.majorVersion = majorVersion
        self.minorVersion = minorVersion
        self.parameters = parameters
    }
}
