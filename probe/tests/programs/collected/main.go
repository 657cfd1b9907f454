// A program that makes its collector work, and says what the runtime counted of that.
//
// It prints "ready", then does what each line of its input says, and prints one line when that is done:
//
//	gc N             N collections, one after the other
//	read N           N calls of ReadMemStats, each of which stops the world
//	storm MS MB      allocates for MS milliseconds beside MB megabytes that live: assists come by the thousand
//	deep MS N        N goroutines recurse deeply at once, so that stacks grow and move, and allocate
//	allocate N       N objects of type order, of 200 bytes with pointers
//	total            nothing: what follows is since the program began
//
// The line that it prints: collections, sum of PauseNs, allocations, sum of the buckets of
// /sched/latencies:seconds and of /gc/pauses:seconds, each since the work began. Storm, deep and
// allocate begin and end with a collection, so that none is under way at either end.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type order struct {
	items []byte
	next  *order
	notes [21]uint64
}

type counted struct {
	collections uint32
	pauses      uint64
	mallocs     uint64
	latencies   uint64
	stops       uint64
}

func sum(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return 0
	}
	all := uint64(0)
	for _, count := range sample[0].Value.Float64Histogram().Counts {
		all += count
	}
	return all
}

func count() counted {
	var stats runtime.MemStats
	latencies, stops := sum("/sched/latencies:seconds"), sum("/gc/pauses:seconds")
	runtime.ReadMemStats(&stats)
	return counted{stats.NumGC, stats.PauseTotalNs, stats.Mallocs, latencies, stops}
}

var (
	live []*order
	sink [64]atomic.Value
)

func storm(length time.Duration, megabytes int) {
	live = make([]*order, 0, megabytes*5000)
	var last *order
	for i := 0; i < megabytes*5000; i++ {
		last = &order{next: last}
		live = append(live, last)
	}
	end := time.Now().Add(length)
	var done sync.WaitGroup
	for worker := 0; worker < 2; worker++ {
		done.Add(1)
		go func(worker int) {
			defer done.Done()
			for round := 0; ; round++ {
				if round%256 == 0 && time.Now().After(end) {
					return
				}
				sink[worker].Store(&order{items: make([]byte, 512), next: last})
			}
		}(worker)
	}
	done.Wait()
	live = nil
}

//go:noinline
func recurse(depth int, from *order) *order {
	var frame [128]byte
	frame[depth%128] = byte(depth)
	made := &order{items: frame[:depth%64], next: from}
	if depth == 0 {
		return made
	}
	below := recurse(depth-1, made)
	below.notes[depth%21] += uint64(frame[depth%128])
	return below
}

func deep(length time.Duration, goroutines int) {
	end := time.Now().Add(length)
	for time.Now().Before(end) {
		var done sync.WaitGroup
		for n := 0; n < goroutines; n++ {
			done.Add(1)
			go func(n int) {
				defer done.Done()
				sink[n%64].Store(recurse(50+n%700, nil))
				runtime.Gosched()
			}(n)
		}
		done.Wait()
	}
}

//go:noinline
func allocate(count int) {
	for i := 0; i < count; i++ {
		sink[i%64].Store(&order{})
	}
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	fmt.Println("ready")
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		number := func(place int) int {
			var value int
			if len(words) > place {
				fmt.Sscan(words[place], &value)
			}
			return value
		}
		// A collection that is under way would be counted on one side only.
		settle := words[0] != "gc" && words[0] != "read" && words[0] != "total"
		if settle {
			runtime.GC()
		}
		before := count()
		switch words[0] {
		case "total":
			before = counted{}
		case "gc":
			for i := 0; i < number(1); i++ {
				runtime.GC()
			}
		case "read":
			var stats runtime.MemStats
			for i := 0; i < number(1); i++ {
				runtime.ReadMemStats(&stats)
			}
		case "storm":
			storm(time.Duration(number(1))*time.Millisecond, number(2))
		case "deep":
			deep(time.Duration(number(1))*time.Millisecond, number(2))
		case "allocate":
			allocate(number(1))
		}
		if settle {
			runtime.GC()
		}
		after := count()
		fmt.Println(after.collections-before.collections, after.pauses-before.pauses,
			after.mallocs-before.mallocs, after.latencies-before.latencies, after.stops-before.stops)
	}
}
