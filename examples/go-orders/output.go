package main

import (
	"encoding/json"
	"io"
	"os"
	"runtime"
	"strconv"
)

// What is printed: one JSON object a line, each in one write.

// processFacts open the first line of every mode.
type processFacts struct {
	Process    int    `json:"process"`
	Go         string `json:"go"`
	GoMaxProcs int    `json:"gomaxprocs"`
	GoGC       string `json:"gogc"`
	GoMemLimit string `json:"gomemlimit"`
}

func thisProcess() processFacts {
	setting := func(name, otherwise string) string {
		if value := os.Getenv(name); value != "" {
			return value
		}
		return otherwise
	}
	return processFacts{
		Process:    os.Getpid(),
		Go:         runtime.Version(),
		GoMaxProcs: runtime.GOMAXPROCS(0),
		GoGC:       setting("GOGC", "100"),
		GoMemLimit: setting("GOMEMLIMIT", "off"),
	}
}

type startedLine struct {
	Kind string `json:"kind"`
	processFacts
	Form    string         `json:"form"`
	Clock   string         `json:"clock"`
	Workers []workerThread `json:"workers"`
	StartNs uint64         `json:"start_ns"`
}

type workerThread struct {
	Worker int    `json:"worker"`
	Thread uint64 `json:"thread"`
}

type endedLine struct {
	Kind      string           `json:"kind"`
	Requests  uint64           `json:"requests"`
	Late      uint64           `json:"late"` // done after the schedule's end
	Unserved  uint64           `json:"unserved"`
	Refused   uint64           `json:"refused"`
	Checksum  string           `json:"checksum"`
	SendLate  sendLate         `json:"send_late"`
	GC        collectorFigures `json:"gc"`
	GCProcess collectorFigures `json:"gc_process"`
	// Averages over all parts of the run.
	MallocsPerRequest float64 `json:"mallocs_per_request"`
	BytesPerRequest   float64 `json:"bytes_per_request"`
	// Of the recorded part.
	Mallocs        uint64 `json:"mallocs"`
	AllocatedBytes uint64 `json:"allocated_bytes"`
	SettledWindows uint64 `json:"settled_windows"`
	SwapsMissed    uint64 `json:"swaps_missed"`
	ScheduleKept   bool   `json:"schedule_kept"`
	Partial        string `json:"partial,omitempty"`
}

// sendLate says how long after their intended starts requests were started.
type sendLate struct {
	MeanNs  uint64 `json:"mean_ns"`
	MaxNs   uint64 `json:"max_ns"`
	Over1ms uint64 `json:"over_1ms"`
}

func printLine(out io.Writer, line any) error {
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = out.Write(append(text, '\n'))
	return err
}

// A board puts the workers' intervals together, and prints each second when no worker can add to it
// any more. Apart from its memory, which lies outside the Go heap, it allocates a few hundred bytes a
// second: nothing that the collector would notice.
type board struct {
	out      io.Writer
	record   uint64
	from     uint64               // the next second to print
	pending  map[uint64]*interval // what came of it and of later ones
	spare    []*interval
	reached  []uint64 // for each worker, the seconds below which nothing more comes from it
	line     []byte
	sendLate sendLate
	lateSum  uint64
	done     uint64
}

// lineBytes is more than any line has: two histograms of which each bucket holds something.
const lineBytes = 2 * histogramBuckets * 24

func newBoard(out io.Writer, record uint64, workers int) (*board, error) {
	line, err := outside[byte](lineBytes)
	if err != nil {
		return nil, err
	}
	spare, err := outside[interval](2)
	if err != nil {
		return nil, err
	}
	return &board{
		out: out, record: record, line: line[:0],
		pending: make(map[uint64]*interval, 2), spare: []*interval{&spare[0], &spare[1]},
		reached: make([]uint64, workers),
	}, nil
}

// collect takes what the workers handed over and prints the seconds that are complete.
func (b *board) collect(workers []*worker) error {
	var failed error
	complete := ^uint64(0)
	for n, w := range workers {
		ended := w.relay.ended.Load() // before taking: nothing comes after it
		w.relay.take(func(full *interval) {
			if err := b.add(full); err != nil {
				failed = err
			}
			b.reached[n] = full.second + 1
		})
		if !ended && b.reached[n] < complete {
			complete = b.reached[n]
		}
	}
	for ; len(b.pending) > 0 && b.from < complete && failed == nil; b.from++ {
		failed = b.print(b.from)
	}
	return failed
}

func (b *board) add(full *interval) error {
	if full.done+full.unserved == 0 {
		return nil
	}
	sum := b.pending[full.second]
	if sum == nil {
		if len(b.spare) == 0 {
			// One worker lies behind another by more than a second.
			more, err := outside[interval](1)
			if err != nil {
				return err
			}
			b.spare = append(b.spare, &more[0])
		}
		last := len(b.spare) - 1
		sum, b.spare = b.spare[last], b.spare[:last]
		b.pending[full.second] = sum
	}
	sum.add(full)
	return nil
}

var nothingDue interval

func (b *board) print(number uint64) error {
	i := b.pending[number]
	if i == nil {
		i = &nothingDue
	}
	field := func(name string, value uint64) {
		b.line = append(b.line, name...)
		b.line = strconv.AppendUint(b.line, value, 10)
	}
	b.line = append(b.line[:0], `{"kind":"second"`...)
	field(`,"index":`, number)
	field(`,"start_ns":`, b.record+number*second)
	field(`,"due":`, i.done+i.unserved)
	field(`,"done":`, i.done)
	b.line = append(b.line, `,"response":`...)
	b.line = i.response.appendJSON(b.line)
	b.line = append(b.line, `,"service":`...)
	b.line = i.service.appendJSON(b.line)
	b.line = append(b.line, `,"slow":[`...)
	for n := range i.slow.requests[:i.slow.kept] {
		request, opening := &i.slow.requests[n], ",["
		if n == 0 {
			opening = "["
		}
		field(opening, request.due)
		field(",", request.start)
		field(",", request.end)
		field(",", request.thread)
		b.line = append(b.line, ']')
	}
	field(`],"late_ns_max":`, i.lateMost)
	b.line = append(b.line, "}\n"...)

	b.done += i.done
	b.lateSum += i.lateSum
	b.sendLate.Over1ms += i.late
	if i.lateMost > b.sendLate.MaxNs {
		b.sendLate.MaxNs = i.lateMost
	}
	if i != &nothingDue {
		delete(b.pending, number)
		*i = interval{}
		b.spare = append(b.spare, i)
	}
	_, err := b.out.Write(b.line)
	return err
}

// late sums up how late requests were started.
func (b *board) late() sendLate {
	late := b.sendLate
	if b.done > 0 {
		late.MeanNs = b.lateSum / b.done
	}
	return late
}
