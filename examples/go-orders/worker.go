package main

import (
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// A worker waits for each request's intended start, serves it, and notes when it was done: an open
// loop on one thread. The starts were fixed before; a request that is late moves none of them, and
// its response time counts from when it was due.
//
// One reading of the clock for a request while there is a queue. Nothing is allocated, locked, or
// asked of the kernel.
type worker struct {
	number  int
	clock   *clock
	corpus  *corpus
	service *service
	relay   *relay
	halt    *atomic.Bool
	thread  uint64 // the kernel's number, known once it is ready

	// What is left when it ended.
	checksum   uint64 // of the rehearsal
	rehearsed  bool
	requests   uint64 // of the recorded part
	handled    uint64 // of all parts
	recording  bool   // the warm-up is over
	onTime     uint64 // done before the schedule's end
	unserved   uint64
	refused    uint64
	swapMissed uint64 // seconds that were counted with the one before: printing lay behind
	halted     bool
}

// A timeline has the instants that divide a run.
type timeline struct {
	begin  uint64 // request 0 is due, warm-up begins
	record uint64 // it ends
	end    uint64 // nothing is due from here on
	cut    uint64 // what was not started by now is unserved
}

func newTimeline(begin uint64, warmup, recorded time.Duration) timeline {
	t := timeline{begin: begin, record: begin + uint64(warmup)}
	t.end = t.record + uint64(recorded)
	// A run that keeps its schedule has a short queue at its end, which is still served. One that
	// does not could take as long again, and would learn nothing new.
	grace := recorded / 10
	if grace > time.Second {
		grace = time.Second
	}
	if grace < 100*time.Millisecond {
		grace = 100 * time.Millisecond
	}
	t.cut = t.end + uint64(grace)
	return t
}

// rehearsedRequests is how many requests are handled before the schedule begins: two windows are
// settled and a third has begun.
func rehearsedRequests(window uint64) uint64 { return 2*window + window/100 + 1000 }

// run rehearses, says that it is ready, and follows the schedule once it is told the timeline.
// A closed channel instead ends it.
func (w *worker) run(plan inProcessPlan, ready func(), begin <-chan timeline) {
	runtime.LockOSThread()
	w.thread = uint64(syscall.Gettid())
	w.rehearse(plan)
	ready()
	timeline, ok := <-begin
	if !ok {
		w.relay.end()
		return
	}
	// Sleeping is not exact; the last part is spun.
	const early = 2_000_000
	if now := w.clock.now(); now+early < timeline.begin {
		time.Sleep(time.Duration(timeline.begin - now - early))
	}
	lane := newLane(timeline.begin, plan.rate, w.number, plan.workers)
	if stopped := w.follow(&lane, timeline); stopped != 0 {
		w.countUnserved(&lane, timeline, stopped)
	}
	if !w.recording {
		*w.relay.current() = interval{} // nothing but warm-up
	}
	w.relay.end()
}

// rehearse handles the first requests as fast as it can. It warms up memory, caches and collector
// with full windows; and its checksum is the one that is compared between forms, because every run
// comes to its end.
func (w *worker) rehearse(plan inProcessPlan) {
	count, workers := rehearsedRequests(plan.window), uint64(plan.workers)
	for n := uint64(0); n < count; n++ {
		if n%pollEvery == 0 && w.halt.Load() {
			return
		}
		w.service.handle(w.corpus.request(n*workers + uint64(w.number)))
		w.handled++
	}
	w.checksum = w.service.checksum
	w.rehearsed = true
}

// pollEvery is how many requests pass between two looks whether to halt, while there is no time to wait.
const pollEvery = 1024

// follow serves the lane to its end: 0, or the instant at which it was stopped with requests left.
func (w *worker) follow(lane *lane, t timeline) uint64 {
	current := w.relay.current()
	secondEnd := t.record
	untilPoll := pollEvery
	now := w.clock.now()
	for {
		due := lane.due
		if due >= t.end {
			return 0
		}
		if now < due {
			for now < due {
				if w.halt.Load() {
					w.halted = true
					return now
				}
				now = w.clock.now()
			}
		} else if now >= t.cut {
			return t.cut
		}
		if untilPoll--; untilPoll == 0 {
			untilPoll = pollEvery
			if w.halt.Load() {
				w.halted = true
				return now
			}
		}
		start := now
		verdict := w.service.handle(w.corpus.request(lane.request))
		now = w.clock.now()
		w.handled++
		if due >= secondEnd {
			current, secondEnd = w.turn(current, due, t)
		}
		// The warm-up is noted like the rest, so that it costs the same, and then thrown away.
		current.note(due, start, now, w.thread)
		if w.recording {
			w.requests++
			if now <= t.end {
				w.onTime++
			}
			if verdict != accepted {
				w.refused++
			}
		}
		lane.advance()
	}
}

// turn begins the second that a request due at this instant belongs to.
//
//go:noinline
func (w *worker) turn(current *interval, due uint64, t timeline) (*interval, uint64) {
	number := (due - t.record) / second
	end := t.record + (number+1)*second
	if !w.recording {
		w.recording = true
		*current = interval{}
		current.second = number
		return current, end
	}
	if clean, ok := w.relay.next(number); ok {
		return clean, end
	}
	w.swapMissed++
	return current, end
}

// countUnserved puts requests that were due but never started into the response histograms, at the
// age they had when the run was stopped: less than what they would have taken, and never nothing.
func (w *worker) countUnserved(lane *lane, t timeline, stopped uint64) {
	lane.skipTo(t.record)
	until := stopped
	if until > t.end {
		until = t.end
	}
	if lane.due >= until {
		return
	}
	current := w.relay.current()
	if !w.recording {
		current, _ = w.turn(current, lane.due, t)
	}
	for lane.due < until {
		if number := (lane.due - t.record) / second; number != current.second {
			// The run is over: waiting disturbs nothing.
			clean, ok := w.relay.next(number)
			for ; !ok; clean, ok = w.relay.next(number) {
				time.Sleep(time.Millisecond)
			}
			current = clean
		}
		// A whole bucket at once: all that are due up to where its lowest age ends.
		age := stopped - lane.due
		if age > highestLatency {
			age = highestLatency
		}
		bucket := bucketOf(age)
		bucketEnd := stopped - lowestIn(bucket) + 1
		if end := t.record + (current.second+1)*second; end < bucketEnd {
			bucketEnd = end
		}
		if until < bucketEnd {
			bucketEnd = until
		}
		count := lane.skipTo(bucketEnd)
		current.response[bucket] += uint32(count)
		current.unserved += count
		w.unserved += count
	}
}
