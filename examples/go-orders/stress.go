package main

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Stress: what a tracer must survive. Short-lived goroutines, each of which recurses so deep that its
// stack is copied to a larger place several times, and there makes orders and other garbage of all
// size classes. Every frame keeps a value and looks on its way back whether it is still the same: a
// return address or a frame that somebody else has written to does not go unnoticed.

type stressLine struct {
	Kind           string `json:"kind"`
	Goroutines     uint64 `json:"goroutines"`
	NotStarted     uint64 `json:"not_started"` // because too many were still running
	Frames         uint64 `json:"frames"`      // checked on their way back
	Mallocs        uint64 `json:"mallocs"`
	AllocatedBytes uint64 `json:"allocated_bytes"`
	collectorFigures
	Partial string `json:"partial,omitempty"`
}

type stressStarted struct {
	Kind string `json:"kind"`
	processFacts
}

const (
	stressTick = 10 * time.Millisecond
	// As much memory as the stacks of all goroutines may take together, roughly.
	stressStacks     = 256 << 20
	stressFrameBytes = 256
)

var errBrokenFrame = errors.New("a frame on a goroutine's stack does not hold what was written to it")

// A stressor is shared by its goroutines.
type stressor struct {
	corpus  *corpus
	running atomic.Int64
	frames  atomic.Uint64
	broken  atomic.Bool
	mu      sync.Mutex
	live    [4096]any // what is kept alive for a while: the last that were made
	made    int
}

func runStress(plan stressPlan, out io.Writer) error {
	var halt atomic.Bool
	_, stopListening := haltOnSignal(&halt)
	defer stopListening()
	if err := printLine(out, stressStarted{"started", thisProcess()}); err != nil {
		return err
	}
	s := &stressor{corpus: newCorpus(1)}
	most := int64(stressStacks / (plan.depth * stressFrameBytes))
	if most < 1 {
		most = 1
	}
	bytes := plan.megabytesASecond * 1_000_000 / plan.goroutines
	line := stressLine{Kind: "ended"}
	begun, due := time.Now(), uint64(0)
	for elapsed := time.Duration(0); elapsed < plan.seconds && !halt.Load(); elapsed = time.Since(begun) {
		// Stepwise: the product would overflow within the longest run only above 10^8 a second.
		until := uint64(elapsed) / 1000 * plan.goroutines / 1_000_000
		for ; due < until; due++ {
			if s.running.Load() >= most {
				line.NotStarted++
				continue
			}
			s.running.Add(1)
			line.Goroutines++
			go s.visit(due, plan.depth, bytes)
		}
		time.Sleep(stressTick)
	}
	for s.running.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
	line.Frames = s.frames.Load()
	line.collectorFigures = newCollectorReader().read()
	line.Mallocs, line.AllocatedBytes = line.mallocs, line.allocated
	if halt.Load() {
		line.Partial = "interrupted"
	}
	if err := printLine(out, line); err != nil {
		return err
	}
	if s.broken.Load() {
		return errBrokenFrame
	}
	return nil
}

func (s *stressor) visit(number, depth, bytes uint64) {
	defer s.running.Add(-1)
	if s.descend(number, depth, bytes) != depth*(depth+1)/2 {
		s.broken.Store(true)
	}
	s.frames.Add(depth)
}

// descend calls itself to the depth that is left, and gives 1 + 2 + ... + depth if all is well.
//
//go:noinline
func (s *stressor) descend(number, depth, bytes uint64) uint64 {
	var frame [16]uint64
	for n := range frame {
		frame[n] = fold(number ^ depth ^ uint64(n))
	}
	below := uint64(0)
	if depth > 1 {
		below = s.descend(number, depth-1, bytes)
	} else {
		s.work(number, bytes)
	}
	for n := range frame {
		if frame[n] != fold(number^depth^uint64(n)) {
			s.broken.Store(true)
		}
	}
	return below + depth
}

// work makes an order as the heap form does, and garbage of sizes from 8 bytes to 64 KiB.
func (s *stressor) work(number, bytes uint64) {
	var view orderView
	if view.decode(s.corpus.request(number)) == nil {
		if request, err := (heapStore{}).keep(&view); err == nil {
			s.retain(request)
		}
	}
	for left, n := bytes, number; left > 0; n++ {
		size := uint64(8) << (n % 14)
		if size > left {
			size = left
		}
		s.retain(make([]byte, size))
		left -= size
	}
}

func (s *stressor) retain(value any) {
	s.mu.Lock()
	s.live[s.made%len(s.live)] = value
	s.made++
	s.mu.Unlock()
}
