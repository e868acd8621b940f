import SteleBase
import SteleClock
import Testing

/// A monitor of a node among `members` with a maximum offset of 250 ms and readings that count for
/// 400 ms, whose own clock shows its monotonic clock plus one hour.
private struct Observer {
    static let hour: UInt64 = 3_600_000_000
    var monitor: OffsetMonitor
    var now: UInt64 = 1_000_000

    init(members: Int = 3) {
        monitor = OffsetMonitor(
            members: members, maximumOffset: 250_000, maximumAge: 400_000)
    }

    /// An exchange with a peer whose clock is `offset` ahead; ends now.
    mutating func exchange(
        with peer: UInt64, offset: Int64, there: UInt64 = 200, back: UInt64 = 200
    ) {
        let sentAt = now
        let reading = UInt64(Int64(Self.hour + sentAt + there) + offset)
        now += there + back
        monitor.receive(
            reading, from: NodeID(peer), sentAt: sentAt, receivedAt: now,
            ownAtSending: Self.hour + sentAt)
    }

    func bounds(_ peer: UInt64) -> ClosedRange<Int64>? {
        monitor.offset(of: NodeID(peer), at: now)
    }

    var verdict: OffsetMonitor.Verdict { monitor.verdict(at: now) }

    var isConfirmed: Bool {
        if case .confirmed = verdict { true } else { false }
    }
}

@Suite struct OffsetMonitorTests {
    @Test func `a node by itself needs nobody to confirm its clock`() {
        #expect(Observer(members: 1).verdict == .confirmed(error: 0))
    }

    @Test func `a node is unconfirmed until a majority has shown its clocks`() {
        var observer = Observer(members: 5)
        #expect(observer.verdict == .unconfirmed)
        observer.exchange(with: 2, offset: 10)
        #expect(observer.verdict == .unconfirmed)
        observer.exchange(with: 3, offset: -10)
        #expect(observer.isConfirmed)
        observer.monitor.forget(NodeID(3))
        #expect(observer.verdict == .unconfirmed)
    }

    @Test(arguments: [(0, 0), (0, 40_000), (40_000, 0), (20_000, 20_000)] as [(UInt64, UInt64)])
    func `bounds hold whichever way took longer`(there: UInt64, back: UInt64) throws {
        for offset in [-70_000, 0, 70_000] as [Int64] {
            var observer = Observer()
            observer.exchange(with: 2, offset: offset, there: there, back: back)
            let bounds = try #require(observer.bounds(2))
            #expect(bounds.contains(offset))
            #expect(bounds.upperBound - bounds.lowerBound <= Int64(there + back) + 300)
        }
    }

    @Test func `the error of a confirmed clock is the bound of those that agree`() {
        var observer = Observer()
        observer.exchange(with: 2, offset: 3_000, there: 0, back: 0)
        observer.exchange(with: 3, offset: -50_000, there: 0, back: 0)
        guard case .confirmed(let error) = observer.verdict else {
            Issue.record("\(observer.verdict)")
            return
        }
        #expect((50_000...50_300).contains(error))
    }

    @Test func `one liar among three neither confirms nor convicts`() {
        var observer = Observer()
        observer.exchange(with: 2, offset: 5_000_000)
        #expect(observer.verdict == .disputed)
        observer.exchange(with: 3, offset: 1_000)
        #expect(observer.isConfirmed)
        // The liar's offset is no part of the error.
        if case .confirmed(let error) = observer.verdict { #expect(error < 2_000) }
    }

    @Test(arguments: [-5_000_000, -300_000, -210_000, 210_000, 300_000, 5_000_000] as [Int64])
    func `a clock beyond 80 percent from all peers is out of bounds`(offset: Int64) {
        var observer = Observer()
        observer.exchange(with: 2, offset: offset)
        observer.exchange(with: 3, offset: offset + 500)
        #expect(observer.verdict == .outOfBounds)
    }

    @Test(arguments: [-195_000, 0, 195_000] as [Int64])
    func `a clock within 80 percent is confirmed`(offset: Int64) {
        var observer = Observer()
        observer.exchange(with: 2, offset: offset)
        observer.exchange(with: 3, offset: offset)
        #expect(observer.isConfirmed)
    }

    @Test func `peers that disagree with each other confirm nobody`() {
        var observer = Observer(members: 5)
        // Each is within 80 percent of the own clock, but only two of them can be right with it.
        for (peer, offset) in [(2, -190_000), (3, 190_000)] as [(UInt64, Int64)] {
            observer.exchange(with: peer, offset: offset)
        }
        #expect(observer.verdict == .disputed)
        observer.exchange(with: 4, offset: -180_000)
        #expect(observer.isConfirmed)
    }

    @Test func `bounds widen with age, and a reading narrows them`() throws {
        var observer = Observer()
        observer.exchange(with: 2, offset: 0)
        let fresh = try #require(observer.bounds(2))
        observer.now += 10_000_000
        let aged = try #require(observer.bounds(2))
        #expect(aged.upperBound - fresh.upperBound == 24_000)
        #expect(fresh.lowerBound - aged.lowerBound == 24_000)
        observer.exchange(with: 2, offset: 0)
        #expect(observer.bounds(2) == fresh)
    }

    @Test func `what peers showed long ago says nothing about the clocks of now`() {
        var observer = Observer()
        observer.exchange(with: 2, offset: 0)
        observer.now += 400_000 - 400
        #expect(observer.isConfirmed)
        observer.now += 1
        #expect(observer.verdict == .unconfirmed)
        // The one that is still there contradicts; the other cannot confirm any more.
        observer.exchange(with: 3, offset: 290_000)
        #expect(observer.verdict == .disputed)
        observer.exchange(with: 2, offset: 0)
        #expect(observer.isConfirmed)
    }

    @Test func `two exchanges say together more than each alone`() throws {
        var observer = Observer()
        observer.exchange(with: 2, offset: 1_000, there: 100_000, back: 0)
        observer.exchange(with: 2, offset: 1_000, there: 0, back: 100_000)
        let bounds = try #require(observer.bounds(2))
        #expect(bounds.contains(1_000) && bounds.upperBound - bounds.lowerBound < 2_000)
    }

    @Test func `a slow exchange does not replace what is known better`() throws {
        var observer = Observer()
        observer.exchange(with: 2, offset: 1_000)
        observer.exchange(with: 2, offset: 1_000, there: 100_000, back: 100_000)
        let bounds = try #require(observer.bounds(2))
        #expect(bounds.contains(1_000) && bounds.upperBound - bounds.lowerBound < 2_000)
    }

    @Test func `a clock that was set voids what was known of it`() throws {
        var observer = Observer()
        observer.exchange(with: 2, offset: 0)
        observer.exchange(with: 2, offset: 600_000, there: 30_000, back: 30_000)
        #expect(try #require(observer.bounds(2)).contains(600_000))
    }

    @Test func `what counts no more narrows nothing: the clock may have been set since`() throws {
        var observer = Observer()
        observer.exchange(with: 2, offset: 0, there: 20_000, back: 20_000)
        observer.now += 400_000
        observer.exchange(with: 2, offset: 30_000, there: 0, back: 40_000)
        #expect(try #require(observer.bounds(2)).contains(30_000))
        let width = try #require(observer.bounds(2)).count
        #expect(width > 40_000)
    }

    @Test func `an answer that was overtaken says nothing`() throws {
        var observer = Observer()
        let early = observer.now
        observer.now += 100_000
        observer.exchange(with: 2, offset: 600_000)
        let bounds = observer.bounds(2)
        observer.monitor.receive(
            Observer.hour + early, from: NodeID(2), sentAt: early, receivedAt: observer.now,
            ownAtSending: Observer.hour + early)
        #expect(observer.bounds(2) == bounds)
    }

    @Test func `what is known of peers moves with the own clock`() throws {
        var observer = Observer()
        observer.exchange(with: 2, offset: 4_000_000)
        observer.exchange(with: 3, offset: 4_001_000)
        #expect(observer.verdict == .outOfBounds)
        observer.monitor.ownClockWasSet(by: 4_000_000)
        #expect(observer.isConfirmed)
        #expect(try #require(observer.bounds(3)).contains(1_000))
    }

    @Test func `an exchange slower than the maximum offset confirms nobody`() {
        var observer = Observer()
        observer.exchange(with: 2, offset: 0, there: 140_000, back: 140_000)
        #expect(observer.verdict == .disputed)
    }

    @Test func `nonsense is ignored`() {
        var observer = Observer()
        let peer = NodeID(2)
        observer.monitor.receive(.max, from: peer, sentAt: 0, receivedAt: 1, ownAtSending: 5)
        observer.monitor.receive(5, from: peer, sentAt: 2, receivedAt: 1, ownAtSending: 5)
        observer.monitor.receive(5, from: peer, sentAt: 0, receivedAt: .max, ownAtSending: 5)
        #expect(observer.bounds(2) == nil)
        #expect(observer.monitor.verdict(at: .max) == .unconfirmed)
    }

    /// Random clocks, delays and ages: bounds always hold the true offset, a confirmed node is
    /// within the maximum offset of a majority, and one out of bounds is not within 80 percent.
    @Test func `verdicts are true of random clusters`() {
        var random = SeededRandom(seed: 11)
        var counts: [Int] = [0, 0, 0, 0]
        for _ in 0..<4_000 {
            let members = [3, 5, 7][Int(random.below(3))]
            var observer = Observer(members: members)
            var offsets: [Int64] = []
            for peer in 2...UInt64(members) {
                let spread: UInt64 = random.oneIn(3) ? 1_000_000 : 250_000
                let offset = Int64(random.uniform(0...2 * spread)) - Int64(spread)
                offsets.append(offset)
                guard !random.oneIn(6) else { continue }
                observer.exchange(
                    with: peer, offset: offset,
                    there: random.below(random.oneIn(3) ? 150_000 : 5_000),
                    back: random.below(random.oneIn(3) ? 150_000 : 5_000))
                if random.oneIn(4) { observer.now += random.below(300_000) }
                if let bounds = observer.bounds(peer) { #expect(bounds.contains(offset)) }
            }
            func isMajority(within limit: Int64) -> Bool {
                offsets.count { abs($0) <= limit } + 1 > members / 2
            }
            switch observer.verdict {
            case .confirmed:
                counts[0] += 1
                #expect(isMajority(within: 250_000))
            case .unconfirmed: counts[1] += 1
            case .disputed: counts[2] += 1
            case .outOfBounds:
                counts[3] += 1
                #expect(!isMajority(within: 200_000))
            }
        }
        #expect(counts.allSatisfy { $0 > 100 }, "\(counts)")
    }
}

/// Clocks that drift as far as is allowed for, read with the resolution that they have.
@Suite struct DriftingClockTests {
    /// A clock that shows `start` at true time 0 and gains so many parts per billion. Times are in
    /// nanoseconds; readings are whole microseconds, rounded down, as those of the system are.
    private struct Oscillator {
        var start: Int64
        var gain: Int64

        func exact(_ time: Int64) -> Int64 {
            start + time + Int64((Int128(time) * Int128(gain)) / 1_000_000_000)
        }
        func read(_ time: Int64) -> UInt64 { UInt64(exact(time) / 1_000) }
    }

    @Test func `bounds hold the offset of drifting clocks, whatever their phase`() {
        var random = SeededRandom(seed: 4)
        for _ in 0..<4_000 {
            func gain() -> Int64 { Int64(random.below(2_400_001)) - 1_200_000 }
            let ownGain = gain()
            // Monotonic and physical time come from one oscillator; slewing is at most 1,000 ppm.
            let oscillator = max(-200_000, min(200_000, ownGain))
            let monotonic = Oscillator(start: 5_000_000_000, gain: oscillator)
            let own = Oscillator(
                start: 3_600_000_000_000 + Int64(random.below(1_000)), gain: ownGain)
            let peer = Oscillator(
                start: own.start + Int64(random.below(200_000_000)) - 100_000_000, gain: gain())
            var monitor = OffsetMonitor(members: 3, maximumOffset: 250_000, maximumAge: 400_000)
            var time: Int64 = 1_000_000_000
            for _ in 0..<8 {
                time += Int64(random.below(200_000_000))
                let sentAt = time
                time += Int64(random.below(random.oneIn(3) ? 100_000_000 : 1_000))
                let reading = peer.read(time)
                time += Int64(random.below(random.oneIn(3) ? 100_000_000 : 1_000))
                monitor.receive(
                    reading, from: NodeID(2), sentAt: monotonic.read(sentAt),
                    receivedAt: monotonic.read(time), ownAtSending: own.read(sentAt))
                let later = time + Int64(random.below(300_000_000))
                let offset = Int64(peer.read(later)) - Int64(own.read(later))
                let bounds = monitor.offset(of: NodeID(2), at: monotonic.read(later))
                #expect(bounds?.contains(offset) == true)
            }
        }
    }
}
