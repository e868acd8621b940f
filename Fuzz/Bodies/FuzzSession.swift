import Dispatch
import Foundation
import SteleAPI
import SteleBase
import SteleSQL

/// A session on a small data set, for the SQL targets.
struct FuzzSession {
    let session: SQLSession

    /// - Parameter isHasty: begins almost all work anew in a worker.
    init(_ database: FuzzDatabase, isHasty: Bool = false) {
        var random = SeededRandom(seed: 7)
        let numbers = Numbers()
        var environment = SQLEnvironment(
            clock: { 800_000_000_000_000 }, nextRowID: { numbers.next() },
            random: { numbers.next() &* 0x9E37_79B9_7F4A_7C15 },
            schedule: { _, _ in {} }, offload: Self.offload)
        if isHasty { environment.turnBudget = Int(random.uniform(100...2_000)) }
        guard
            let session = try? SQLSession(
                database: database, catalog: SQLCatalogCache(), environment: environment,
                startupParameters: [])
        else { invariantFailed("a session cannot begin") }
        self.session = session
    }

    /// A database of its own with a table that has a column of each kind and some rows. To be called
    /// before `waitFor`, since it waits itself when it is called first.
    static func database() -> FuzzDatabase { FuzzDatabase(copying: withTables) }

    private static let withTables: FuzzDatabase = {
        let database = FuzzDatabase()
        waitFor {
            let session = FuzzSession(database).session
            do throws(SQLError) {
                try await session.simpleQuery(tables, into: FuzzSink())
            } catch { invariantFailed("the tables cannot be made: \(error.message)") }
            session.close()
        }
        return database
    }()

    private static let tables = """
        create table t (k int primary key, b bool, i2 smallint, i8 bigint, f4 real, f8 float8, \
        n numeric(12, 3), x text, v varchar(5), c char(3), d date, ts timestamp, tz timestamptz, \
        y bytea, u uuid);
        insert into t values (1, true, -32768, 9223372036854775807, 1e-40, 'NaN', 12345.678, 'ä', \
        'abc', 'x', '4713-01-01 BC', '294276-12-31', 'infinity', '\\\\x00ff', \
        '00000000-0000-0000-0000-000000000001'), (2, null, null, null, null, null, null, null, \
        null, null, null, null, null, null, null), (3, false, 32767, -9223372036854775808, \
        'infinity', -0.0, 0, '', '', '', '2000-02-29', '-infinity', '2000-01-01 00:00+14', '', \
        'ffffffff-ffff-ffff-ffff-ffffffffffff');
        create table h (a text, b numeric)
        """

    private final class Numbers: @unchecked Sendable {
        // Safety: guarded by the lock.
        private let lock = NSLock()
        private var last: UInt64 = 0

        func next() -> UInt64 {
            lock.withLock {
                last += 1
                return last
            }
        }
    }

    @Sendable private static func offload(_ work: @escaping @Sendable () -> Void) {
        let thread = Thread { work() }
        thread.stackSize = 1 << 30
        thread.start()
    }
}

/// What this process has used of the processors, in nanoseconds.
private func processorTime() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Runs asynchronous work to its end, within a fuzz target.
func waitFor(_ work: @escaping @Sendable () async -> Void) {
    let done = DispatchSemaphore(value: 0)
    Task {
        await work()
        done.signal()
    }
    done.wait()
}

/// Takes results as text, and the time of the longest statement.
final class FuzzSink: ResultSink, @unchecked Sendable {
    // Safety: used by one session, whose calls come one after the other.
    private(set) var lines: [String] = []
    /// In nanoseconds of the processor, which another process cannot lengthen.
    private(set) var longest: UInt64 = 0
    private var started: UInt64
    private var types: [SQLType] = []
    private var copyData: ArraySlice<[UInt8]>

    init(copyData: [[UInt8]] = []) {
        self.copyData = copyData[...]
        started = processorTime()
    }

    func columns(_ columns: [ResultColumn]) { types = columns.map(\.type) }

    func row(_ values: [Datum]) {
        lines.append(
            zip(values, types).map { $0.isNull ? "null" : $0.text(as: $1) }.joined(separator: "|"))
    }

    func complete(tag: String) {
        lines.append(tag)
        let now = processorTime()
        longest = max(longest, now - started)
        started = now
    }
    func suspended() {}
    func emptyQuery() {}
    func notice(_ notice: SQLError) {}
    func copyIn(columns: Int, binary: Bool) {}
    func nextCopyData() async throws(SQLError) -> ArraySlice<UInt8>? {
        copyData.popFirst().map { $0[...] }
    }
    func flushIfNeeded() async throws(SQLError) {
        if lines.count > 10_000 { lines.removeAll() }
    }
}
