import Foundation
import SteleBase
import SteleRaft
import Testing

@testable import SteleLog

/// How the log's thread ends, and how it tells of what nobody has asked for.
@Suite struct LogThreadTests {
    /// A value that the test and the log's thread share.
    private final class Shared<Value: Sendable>: Sendable {
        private let locked: Locked<Value>

        init(_ value: Value) { locked = Locked(value) }

        var value: Value { locked.withLock { $0 } }

        func change(_ body: (inout Value) -> Void) { locked.withLock { body(&$0) } }
    }

    private func wait(until condition: () -> Bool) {
        for _ in 0..<10_000 {
            if condition() { return }
            usleep(500)
        }
    }

    /// Space that cannot be given back ends the log at once, not when somebody writes again.
    @Test func aFailureOfUpkeepIsToldAtOnce() throws {
        let disk = SimulatedFileSystem(seed: 1)
        let told = Shared<[LogError]>([])
        let (log, _) = try RaftLog.open(
            directory: "log", fileSystem: disk, options: smallOptions(),
            onFailure: { error in told.change { $0.append(error) } })
        let outcomes = RaftLogTests.Outcomes()
        for index in 1...30 {
            let payload = [UInt8](repeating: 1, count: 500)
            log.append(single(LogIndex(index), payload), completion: outcomes.note(index))
        }
        wait { outcomes.numbers.count == 30 }
        #expect(told.value.isEmpty)
        // A segment of the usual size is renamed, a larger one, of a large group, is removed.
        for operation in [FileError.Operation.rename, .remove] {
            disk.inject(.init(operation, code: EIO))
        }
        let part = LogBatch.Part(
            tablet: TabletID(1), replica: ReplicaID(1), compacted: LogPosition(index: 30, term: 1))
        log.append(LogBatch(parts: [part]), completion: outcomes.note(31))
        wait { !told.value.isEmpty }
        #expect(outcomes.failures.isEmpty)
        let failure = try #require(told.value.first)
        guard case .file(let error) = failure else {
            Issue.record("\(failure)")
            return
        }
        #expect([.rename, .remove].contains(error.operation) && error.code == EIO)
        log.append(single(31, [1]), completion: outcomes.note(32))
        log.close()
        #expect(outcomes.failures == [failure])
        #expect(told.value.count == 1)
    }

    @Test func closingIsNotAFailure() throws {
        let told = Shared<[LogError]>([])
        let (log, _) = try RaftLog.open(
            directory: "log", fileSystem: SimulatedFileSystem(seed: 1), options: smallOptions(),
            onFailure: { error in told.change { $0.append(error) } })
        log.append(single(1, [1])) { _ in }
        log.close()
        #expect(told.value.isEmpty)
    }

    /// Not only the first one, and also after the log thread itself has closed the log.
    @Test(arguments: [false, true]) func everyCallerOfCloseWaits(isClosedByItself: Bool) throws {
        let disk = SimulatedFileSystem(seed: 1)
        let (log, _) = try RaftLog.open(
            directory: "log", fileSystem: disk, options: smallOptions())
        let isClosed = Shared(false)
        if isClosedByItself {
            log.append(single(1, [1])) { _ in
                disk.stall(.sync)
                log.close()
                isClosed.change { $0 = true }
            }
            wait { isClosed.value }
        } else {
            disk.stall(.sync)
            log.append(single(1, [1])) { _ in isClosed.change { $0 = true } }
        }
        let returned = Shared(0)
        for _ in 0..<2 {
            Thread.detachNewThread {
                log.close()
                returned.change { $0 += 1 }
            }
        }
        usleep(30_000)
        #expect(returned.value == 0)
        disk.resume()
        wait { returned.value == 2 }
        #expect(returned.value == 2 && isClosed.value)
        try openWriter(disk).writer.close()
    }

    /// Whoever drops the last reference on the log thread does not wait for itself.
    @Test func theLastReferenceMayGoOnTheLogThread() throws {
        let disk = SimulatedFileSystem(seed: 1)
        let holder = Shared<RaftLog?>(nil)
        func write() throws {
            let log = try RaftLog.open(
                directory: "log", fileSystem: disk, options: smallOptions()).log
            holder.change { $0 = log }
            log.append(single(1, [1])) { _ in
                // The other reference is gone by then.
                usleep(20_000)
                holder.change { $0 = nil }
            }
        }
        try write()
        var writer: LogWriter?
        wait {
            writer = try? openWriter(disk).writer
            return writer != nil
        }
        #expect(writer != nil)
        writer?.close()
    }
}
