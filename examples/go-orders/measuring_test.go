package main

import (
	"bytes"
	"encoding/json"
	"math/rand"
	"sort"
	"testing"
	"testing/quick"
)

func TestEveryLatencyLiesInItsBucketAndIsKeptToThreeDigits(t *testing.T) {
	check := func(ns uint64, shift uint8) bool {
		ns >>= shift % 64
		bucket := bucketOf(ns)
		if ns > highestLatency {
			return bucket == bucketOf(highestLatency)
		}
		low, high := lowestIn(bucket), highestIn(bucket)
		return low <= ns && ns <= high && (high-low)*1000 <= ns && bucket < histogramBuckets
	}
	if err := quick.Check(check, &quick.Config{MaxCount: 100_000}); err != nil {
		t.Error(err)
	}
	for bucket := 0; bucket < histogramBuckets-1; bucket++ {
		if highestIn(bucket)+1 != lowestIn(bucket+1) {
			t.Fatal("a gap behind bucket", bucket)
		}
	}
}

func TestTheSlowestAreKeptWhateverTheirOrder(t *testing.T) {
	check := func(seed int64, size uint16) bool {
		random := rand.New(rand.NewSource(seed))
		var set slowSet
		var all []uint64
		for n := 0; n < int(size%300); n++ {
			response := uint64(random.Intn(1000))
			all = append(all, response)
			set.offer(5, 6, 5+response, 1)
		}
		sort.Slice(all, func(a, b int) bool { return all[a] > all[b] })
		if len(all) > slowKept {
			all = all[:slowKept]
		}
		var kept []uint64
		for _, request := range set.requests[:set.kept] {
			kept = append(kept, request.end-request.due)
		}
		sort.Slice(kept, func(a, b int) bool { return kept[a] > kept[b] })
		if len(kept) != len(all) {
			return false
		}
		for n := range all {
			if kept[n] != all[n] {
				return false
			}
		}
		return true
	}
	if err := quick.Check(check, &quick.Config{MaxCount: 2_000}); err != nil {
		t.Error(err)
	}
}

func TestALaneStepsThroughTheExactTimesAndSkipsLikeItSteps(t *testing.T) {
	check := func(rateSeed uint32, workersSeed, steps uint8, instant uint32) bool {
		rate := uint64(rateSeed)%mostRate + 1
		workers := int(workersSeed%4) + 1
		l := newLane(77, rate, workers-1, workers)
		for n := 0; n < int(steps); n++ {
			offset, _ := mulDiv(l.request, second, rate)
			if l.due != 77+offset {
				return false
			}
			l.advance()
		}
		stepped, skipped := l, l
		until := l.due + uint64(instant)%5_000
		count := uint64(0)
		for ; stepped.due < until; stepped.advance() {
			count++
		}
		return skipped.skipTo(until) == count && stepped == skipped
	}
	if err := quick.Check(check, &quick.Config{MaxCount: 20_000}); err != nil {
		t.Error(err)
	}
}

func TestTheClockAgreesWithTheKernels(t *testing.T) {
	clock := newClock()
	const near = 100_000 // ns; they have 200 ms of comparison behind them
	for n := 0; n < 1000; n++ {
		before := kernelMonotonic()
		now := clock.now()
		after := kernelMonotonic()
		if now+near < before || now > after+near {
			t.Fatalf("%d, where the kernel said %d before and %d after", now, before, after)
		}
	}
}

// A second as it is printed.
type printedLine struct {
	Kind         string
	Index        uint64
	StartNs      uint64 `json:"start_ns"`
	Due, Done    uint64
	Response     [][2]uint64
	Service      [][2]uint64
	Slow         [][4]uint64
	LateNsMax    uint64 `json:"late_ns_max"`
	Requests     uint64
	Unserved     uint64
	Checksum     string
	ScheduleKept bool `json:"schedule_kept"`
	Partial      string
	Workers      []workerThread
	GC           struct{ Cycles, PauseTotalNs int64 }
}

func printedLines(t *testing.T, text []byte) []printedLine {
	t.Helper()
	var lines []printedLine
	decoder := json.NewDecoder(bytes.NewReader(text))
	for decoder.More() {
		var line printedLine
		if err := decoder.Decode(&line); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		lines = append(lines, line)
	}
	return lines
}

func count(pairs [][2]uint64) uint64 {
	sum := uint64(0)
	for _, pair := range pairs {
		sum += pair[1]
	}
	return sum
}

func TestSecondsArePrintedInOrderAsSoonAsNoWorkerCanAddToThem(t *testing.T) {
	var out bytes.Buffer
	board, err := newBoard(&out, 1000, 2)
	if err != nil {
		t.Fatal(err)
	}
	workers := []*worker{{}, {}}
	for _, w := range workers {
		if w.relay, err = newRelay(); err != nil {
			t.Fatal(err)
		}
	}
	step := func(want int) {
		t.Helper()
		if err := board.collect(workers); err != nil {
			t.Fatal(err)
		}
		if lines := printedLines(t, out.Bytes()); len(lines) != want {
			t.Fatalf("%d seconds were printed, not %d", len(lines), want)
		}
	}
	first, second := workers[0].relay, workers[1].relay
	first.current().note(100, 150, 200, 7)
	step(0)
	current, _ := first.next(1)
	step(0)
	current.note(startOf(1), startOf(1)+5, startOf(1)+30, 7)
	current, _ = first.next(4) // nothing was due in seconds 2 and 3
	second.current().note(110, 110, 5_000_000, 8)
	second.end()
	step(2)
	current.note(startOf(4), startOf(4), startOf(4)+1, 7)
	first.end()
	step(5)
	lines := printedLines(t, out.Bytes())
	for n, line := range lines {
		if line.Kind != "second" || line.Index != uint64(n) || line.StartNs != 1000+uint64(n)*1_000_000_000 {
			t.Errorf("%+v", line)
		}
	}
	if lines[0].Done != 2 || lines[0].LateNsMax != 50 || len(lines[0].Slow) != 2 {
		t.Errorf("%+v", lines[0])
	}
	if lines[0].Response[0] != [2]uint64{100, 1} || lines[0].Service[0] != [2]uint64{50, 1} {
		t.Errorf("%+v", lines[0])
	}
	if lines[2].Due != 0 || len(lines[2].Response) != 0 {
		t.Errorf("%+v", lines[2])
	}
}

func startOf(n uint64) uint64 { return n * 1_000_000_000 }

func TestARelayThatNobodyReadsNeverStopsItsWorker(t *testing.T) {
	relay, err := newRelay()
	if err != nil {
		t.Fatal(err)
	}
	missed := 0
	for second := uint64(1); second < 20; second++ {
		relay.current().note(1, 1, 2, 3)
		if _, ok := relay.next(second); !ok {
			missed++
		}
	}
	relay.end()
	taken := uint64(0)
	relay.take(func(full *interval) { taken += full.done })
	if missed != 19-(relayIntervals-1) || taken != 19 {
		t.Errorf("%d seconds were not swapped, %d requests found", missed, taken)
	}
}

func TestMeasuringARequestAllocatesNothing(t *testing.T) {
	relay, err := newRelay()
	if err != nil {
		t.Fatal(err)
	}
	clock, current, n := newClock(), relay.current(), uint64(0)
	allocations := testing.AllocsPerRun(10_000, func() {
		n++
		current.note(n, clock.now(), clock.now()+n*1000, 1)
	})
	if allocations != 0 {
		t.Errorf("%g allocations", allocations)
	}
}

func TestPrintingASecondAllocatesNextToNothing(t *testing.T) {
	board, err := newBoard(new(discarded), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	relay, err := newRelay()
	if err != nil {
		t.Fatal(err)
	}
	workers, number := []*worker{{relay: relay}}, uint64(0)
	allocations := testing.AllocsPerRun(100, func() {
		current := relay.current()
		for n := uint64(0); n < 1000; n++ {
			current.note(0, n, n*n*100, 1)
		}
		number++
		relay.next(number)
		if err := board.collect(workers); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%g allocations for a second", allocations)
	if allocations > 10 {
		t.Errorf("%g allocations", allocations)
	}
}

type discarded struct{}

func (*discarded) Write(text []byte) (int, error) { return len(text), nil }

func BenchmarkMeasuring(b *testing.B) {
	clock := newClock()
	b.Run("clock", func(b *testing.B) {
		for n := 0; n < b.N; n++ {
			clock.now()
		}
	})
	b.Run("kernel's clock", func(b *testing.B) {
		for n := 0; n < b.N; n++ {
			clock.kernel()
		}
	})
	relay, err := newRelay()
	if err != nil {
		b.Fatal(err)
	}
	current := relay.current()
	b.Run("note", func(b *testing.B) {
		for n := uint64(0); n < uint64(b.N); n++ {
			current.note(n, n, n+400+n%128, 1)
		}
	})
	b.Run("note, each slower than the last", func(b *testing.B) {
		for n := uint64(0); n < uint64(b.N); n++ {
			current.note(n, n+n, n+n+n, 1)
		}
	})
}
