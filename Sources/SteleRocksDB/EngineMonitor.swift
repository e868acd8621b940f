internal import CRocksDB
import SteleBase
import SteleEngine

/// Remembers an engine's first fatal error, wherever that happened, and tells its owner.
final class EngineMonitor: Sendable {
    private let directory: String
    private let observer: (@Sendable (EngineEvent) -> Void)?
    private let first = Locked<EngineError?>(nil)

    init(directory: String, observer: (@Sendable (EngineEvent) -> Void)?) {
        self.directory = directory
        self.observer = observer
    }

    /// The first fatal error; it stays.
    var failure: EngineError? { first.withLock { $0 } }

    func fail(_ error: EngineError) {
        let isFirst = first.withLock { first in
            guard first == nil else { return false }
            first = error
            return true
        }
        if isFirst { observer?(.failed(error)) }
    }

    /// What the shim calls; its context is a monitor that outlives the open store.
    static let sink: stele_event_sink = { context, event, code, message in
        guard let context else { return }
        let monitor = Unmanaged<EngineMonitor>.fromOpaque(context).takeUnretainedValue()
        switch Int(event) {
        case STELE_EVENT_FLUSHED: monitor.observer?(.flushed)
        case STELE_EVENT_WRITES: monitor.observer?(.pressure(WritePressure(shim: UInt8(code))))
        default:
            let text = String(decoding: Array(message), as: UTF8.self)
            monitor.fail(
                EngineError(EngineError.Code(code), "\(monitor.directory): \(text)"))
        }
    }
}

extension WritePressure {
    init(shim code: UInt8) {
        switch Int(code) {
        case STELE_WRITES_NORMAL: self = .normal
        case STELE_WRITES_DELAYED: self = .delayed
        default: self = .stopped
        }
    }
}
