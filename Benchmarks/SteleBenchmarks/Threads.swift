import Glibc

/// Wakes one waiting thread. Safety: a semaphore of POSIX is made for several threads.
final class Signal: @unchecked Sendable {
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() { sem_init(semaphore, 0, 0) }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func send() { sem_post(semaphore) }

    func wait() { while sem_wait(semaphore) != 0 {} }
}

/// Runs `body` in so many threads with their numbers, and returns what each returned.
func inThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Int) -> [Int] {
    let work = (0..<count).map { ThreadWork(number: $0, body: body) }
    let threads = work.map { work in
        var thread = pthread_t()
        let context = Unmanaged.passRetained(work).toOpaque()
        let code = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                let work = Unmanaged<ThreadWork>.fromOpaque(context).takeRetainedValue()
                work.result = work.body(work.number)
                return nil
            }, context)
        precondition(code == 0, "no thread could be started")
        return thread
    }
    for thread in threads { pthread_join(thread, nil) }
    return work.map(\.result)
}

/// Safety: the thread alone uses it until it is joined.
private final class ThreadWork: @unchecked Sendable {
    let number: Int
    let body: @Sendable (Int) -> Int
    var result = 0

    init(number: Int, body: @escaping @Sendable (Int) -> Int) {
        self.number = number
        self.body = body
    }
}

/// Removes a directory of files and directories, if it is there.
func removeAll(_ path: String) throws {
    guard system("rm -rf '\(path)'") == 0 else {
        throw DbBench.Failure(description: "cannot remove \(path)")
    }
}
