import SteleBase
import SteleRaft

/// Names one sending of a request by the node at which it entered.
///
/// A request that is not answered is sent again, there or elsewhere, under the same id and a higher
/// number. Whoever gets two of the same id has one request, and answers it once.
package struct RequestAttempt: Hashable, Sendable {
    package var id: UInt64
    package var number: UInt64

    package init(id: UInt64, number: UInt64) {
        self.id = id
        self.number = number
    }
}

/// What travels with a request from the node at which it entered.
package struct RequestHeader: Hashable, Sendable {
    /// How a request may get to the leader.
    package enum Passage: UInt8, Sendable {
        /// Its receiver leads, as far as the sender knows.
        case direct = 0
        /// Its sender cannot reach the leader or does not know it; the receiver may pass it on.
        case mayBePassedOn = 1
        /// It was passed on, and will not be once more.
        case passedOn = 2
    }

    package var attempt: RequestAttempt
    /// The term of the leader that the request is meant for; the leader of any other refuses. So what
    /// was delayed on its way has no effect after a change of leaders. 0 if the sender knows none.
    package var term: Term
    package var passage: Passage
    /// How many messages with parts of it came before; see ``PeerMessage/requestPart(_:number:_:)``.
    package var parts = 0

    package init(_ attempt: RequestAttempt, term: Term, passage: Passage = .direct) {
        self.attempt = attempt
        self.term = term
        self.passage = passage
    }
}

extension RequestAttempt {
    func encode(into writer: inout ByteWriter) {
        writer.write(id)
        writer.writeVarint(number)
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        let id = try reader.read(UInt64.self)
        self.init(id: id, number: try reader.readVarint())
    }
}

extension RequestHeader {
    func encode(into writer: inout ByteWriter) {
        attempt.encode(into: &writer)
        writer.writeVarint(term)
        writer.write(passage.rawValue)
        writer.writeVarint(UInt64(parts))
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        let attempt = try RequestAttempt(from: &reader)
        let term = try reader.readVarint()
        let code = try reader.read(UInt8.self)
        guard let passage = Passage(rawValue: code) else {
            throw DecodingError("\(code) is no way for a request to get to a leader")
        }
        self.init(attempt, term: term, passage: passage)
        parts = Int(clamping: try reader.readVarint())
    }
}
