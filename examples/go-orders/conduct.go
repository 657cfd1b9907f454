package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// When finished seconds are looked for: by the clock, so that a worker need not wake anybody (that
// would be a system call in a request's time); and rarely, because it takes a processor, of which there may
// be no more than workers.
const (
	earlier  = 5_000_000  // before the first recorded request: to read what the collector did so far
	later    = 20_000_000 // after a second: a request that was due in it has been served by then
	atTheEnd = 10_000_000 // what is late is being served
)

// nextLook is when to look again, by the clock of the timeline.
func nextLook(now uint64, t timeline) uint64 {
	switch {
	case now+earlier < t.record:
		return t.record - earlier
	case now < t.record:
		return t.record + second + later
	case now < t.end:
		return t.record + ((now-t.record)/second+1)*second + later
	default:
		return now + atTheEnd
	}
}

// runInProcess rehearses, then loads the service within this process by its plan, and prints what
// was measured. This goroutine prints; each worker has a thread of its own.
func runInProcess(plan inProcessPlan, out io.Writer) error {
	var halt atomic.Bool
	interrupted, stopListening := haltOnSignal(&halt)
	defer stopListening()

	collector := newCollectorReader()
	clock, corpus := newClock(), newCorpus(plan.seed)
	workers := make([]*worker, plan.workers)
	services := make([]*service, plan.workers)
	for n := range services {
		service, err := newService(plan.form, plan.window, n)
		if err != nil {
			return err
		}
		services[n] = service
	}
	beforeAll := collector.read()
	begin := make([]chan timeline, plan.workers)
	var ready, ended sync.WaitGroup
	for n := range workers {
		relay, err := newRelay()
		if err != nil {
			return err
		}
		workers[n] = &worker{number: n, clock: clock, corpus: corpus, service: services[n], relay: relay, halt: &halt}
		begin[n] = make(chan timeline, 1)
		ready.Add(1)
		ended.Add(1)
		go func(n int) {
			defer ended.Done()
			workers[n].run(plan, ready.Done, begin[n])
		}(n)
	}
	ready.Wait()
	if halt.Load() {
		for _, channel := range begin {
			close(channel)
		}
		ended.Wait()
		return printLine(out, summary(workers, &board{}, beforeAll, collectorFigures{}, collector.read(), true))
	}

	// Time for this line to be printed and for the workers to wake up.
	timeline := newTimeline(clock.now()+20_000_000, plan.warmup, plan.seconds)
	board, err := newBoard(out, timeline.record, plan.workers)
	if err == nil {
		err = printLine(out, started(plan, clock, workers, timeline))
	}
	if err != nil {
		halt.Store(true)
	}
	for _, channel := range begin {
		channel <- timeline
	}
	atStart, following := collector.read(), true
	for following && err == nil {
		now := clock.now()
		select {
		case <-time.After(time.Duration(nextLook(now, timeline) - now)):
		case <-interrupted:
			time.Sleep(atTheEnd)
		}
		if clock.now() < timeline.record {
			// As near as it can be had to the first recorded request, from before it.
			atStart = collector.read()
		}
		following = false
		for _, w := range workers {
			following = following || !w.relay.ended.Load()
		}
		err = board.collect(workers)
	}
	atEnd := collector.read()
	if err != nil {
		halt.Store(true)
		return fmt.Errorf("cannot print: %w", err)
	}
	ended.Wait()
	line := summary(workers, board, beforeAll, atStart, atEnd, halt.Load() && anyHalted(workers))
	return printLine(out, line)
}

func started(plan inProcessPlan, clock *clock, workers []*worker, t timeline) startedLine {
	line := startedLine{
		Kind: "started", processFacts: thisProcess(), Form: plan.form, Clock: "monotonic", StartNs: t.record,
	}
	if clock.counter {
		line.Clock = "tsc"
	}
	for n, w := range workers {
		line.Workers = append(line.Workers, workerThread{n, w.thread})
	}
	return line
}

// summary is the last line. The workers have ended.
//
// What a request allocates is an average over all that were handled since before the rehearsal: at no later
// instant is it known how many have been, because a form that lags behind handles those of the warm-up while the
// recorded part goes on.
func summary(workers []*worker, board *board, beforeAll, atStart, atEnd collectorFigures, halted bool) endedLine {
	line := endedLine{
		Kind: "ended", SendLate: board.late(), GC: atEnd.since(atStart), GCProcess: atEnd,
	}
	line.Mallocs, line.AllocatedBytes = line.GC.mallocs, line.GC.allocated
	checksum, rehearsed, handled := uint64(0), true, uint64(0)
	for _, w := range workers {
		line.Requests += w.requests
		handled += w.handled
		line.Unserved += w.unserved
		line.Refused += w.refused
		line.SettledWindows += w.service.settled
		line.SwapsMissed += w.swapMissed
		line.Late += w.requests - w.onTime
		// Added up: the order in which workers come to an end does not matter.
		checksum += w.checksum
		rehearsed = rehearsed && w.rehearsed
	}
	if all := atEnd.since(beforeAll); handled > 0 {
		line.MallocsPerRequest = float64(all.mallocs) / float64(handled)
		line.BytesPerRequest = float64(all.allocated) / float64(handled)
	}
	if rehearsed {
		line.Checksum = fmt.Sprintf("%016x", checksum)
	}
	// Kept: 99% of what was due was done before the schedule's end, and all of it before the cut.
	line.ScheduleKept = !halted && line.Unserved == 0 && line.Late <= line.Requests/100
	if halted {
		line.Partial = "interrupted"
	}
	return line
}

func anyHalted(workers []*worker) bool {
	for _, w := range workers {
		if w.halted {
			return true
		}
	}
	return false
}

// haltOnSignal sets halt at SIGINT and SIGTERM, and closes the channel that it gives, until the function that it gives is
// called.
func haltOnSignal(halt *atomic.Bool) (interrupted <-chan struct{}, stop func()) {
	signals := make(chan os.Signal, 1)
	first := make(chan struct{})
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		for range signals {
			if !halt.Swap(true) {
				close(first)
			}
		}
	}()
	return first, func() {
		signal.Stop(signals)
		close(signals)
	}
}
