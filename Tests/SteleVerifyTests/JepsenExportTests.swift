import SteleVerify
import Testing

/// The export, line by line.
struct JepsenExportTests {
    @Test func registers() {
        var history = History()
        history.invoke(.write(key: 5, value: 1), process: 3, time: 123)
        history.invoke(.read(key: 5, value: nil), process: 4, time: 130)
        history.complete(.ok, process: 3, time: 140)
        history.complete(.ok, .read(key: 5, value: 1), process: 4, time: 150)
        history.invoke(.compareAndSet(key: 5, expected: nil, new: 2), process: 3, time: 160)
        history.complete(.info, process: 3, time: 170)
        #expect(
            history.ednLines() == [
                "{:index 0, :time 123, :process 3, :type :invoke, :f :write, :value [5 1]}",
                "{:index 1, :time 130, :process 4, :type :invoke, :f :read, :value [5 nil]}",
                "{:index 2, :time 140, :process 3, :type :ok, :f :write, :value [5 1]}",
                "{:index 3, :time 150, :process 4, :type :ok, :f :read, :value [5 1]}",
                "{:index 4, :time 160, :process 3, :type :invoke, :f :cas, :value [5 [nil 2]]}",
                "{:index 5, :time 170, :process 3, :type :info, :f :cas, :value [5 [nil 2]]}",
            ])
    }

    @Test func transactions() {
        var history = History()
        history.invoke(
            .transaction([.append(key: 5, value: 1), .readList(key: 5, values: nil)]),
            process: 3, time: 123)
        history.complete(
            .ok, .transaction([.append(key: 5, value: 1), .readList(key: 5, values: [4, 1])]),
            process: 3, time: 200)
        history.invoke(
            .transaction([.write(key: 1, value: 2), .readRegister(key: 1, value: nil)]),
            process: 4, time: 201)
        #expect(
            history.ednLines() == [
                "{:index 0, :time 123, :process 3, :type :invoke, :f :txn, "
                    + ":value [[:append 5 1] [:r 5 nil]]}",
                "{:index 1, :time 200, :process 3, :type :ok, :f :txn, "
                    + ":value [[:append 5 1] [:r 5 [4 1]]]}",
                "{:index 2, :time 201, :process 4, :type :invoke, :f :txn, "
                    + ":value [[:w 1 2] [:r 1 nil]]}",
            ])
    }

    @Test func completionWithoutInvocationIsIgnored() {
        var history = History()
        history.complete(.ok, .read(key: 1, value: 1), process: 1, time: 1)
        #expect(history.events.isEmpty)
    }
}
