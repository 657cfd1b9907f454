package main

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// An interval is what one worker measured of the requests that were due in one second of the
// schedule. It has no pointers: it lies in memory of its own, which the Go heap does not know, so
// that measuring changes neither when the collector runs nor what it scans.
type interval struct {
	second   uint64 // from the end of the warm-up
	done     uint64
	unserved uint64 // due, but never started
	lateSum  uint64 // from when a request was due to when it was started
	lateMost uint64
	late     uint64 // requests started more than a millisecond late
	service  histogram
	response histogram // of what was done; and what was never started, at its age at the end
	slow     slowSet
}

const lateAfter = 1_000_000

func (i *interval) note(due, start, end, thread uint64) {
	i.done++
	late := start - due
	i.lateSum += late
	if late > i.lateMost {
		i.lateMost = late
	}
	if late > lateAfter {
		i.late++
	}
	i.response.record(end - due)
	i.service.record(end - start)
	i.slow.offer(due, start, end, thread)
}

// add takes in what another worker measured in the same second.
func (i *interval) add(other *interval) {
	i.done += other.done
	i.unserved += other.unserved
	i.lateSum += other.lateSum
	i.late += other.late
	if other.lateMost > i.lateMost {
		i.lateMost = other.lateMost
	}
	i.response.add(&other.response)
	i.service.add(&other.service)
	i.slow.add(&other.slow)
}

// outside gives zeroed memory of count values of type T, which must have no pointers, from the
// kernel and not from the Go heap. Its pages are touched, so that no request has to wait for one.
func outside[T any](count int) ([]T, error) {
	var value T
	size := count * int(unsafe.Sizeof(value))
	memory, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("cannot map %d bytes for measurements: %w", size, err)
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&memory[0])), count), nil
}

// A relay hands a worker's intervals to the goroutine that prints them: a ring with one writer and
// one reader, without locks or system calls.
type relay struct {
	ring  []interval
	full  atomic.Uint64 // how many were handed over
	taken atomic.Uint64 // how many of them were cleared again
	ended atomic.Bool
}

// relayIntervals is how many seconds printing may lie behind.
const relayIntervals = 8

func newRelay() (*relay, error) {
	ring, err := outside[interval](relayIntervals)
	return &relay{ring: ring}, err
}

// current is the interval that the worker fills.
func (r *relay) current() *interval { return &r.ring[r.full.Load()%relayIntervals] }

// next hands the current interval over and gives a clean one for another second; not if there is
// none: then the worker goes on with what it has.
func (r *relay) next(second uint64) (*interval, bool) {
	full := r.full.Load() + 1
	if full-r.taken.Load() >= relayIntervals {
		return nil, false
	}
	clean := &r.ring[full%relayIntervals]
	clean.second = second
	r.full.Store(full)
	return clean, true
}

// end hands over the last interval.
func (r *relay) end() {
	r.full.Add(1)
	r.ended.Store(true)
}

// take has all intervals used that were handed over, and clears them.
func (r *relay) take(use func(*interval)) {
	for taken := r.taken.Load(); taken < r.full.Load(); taken++ {
		full := &r.ring[taken%relayIntervals]
		use(full)
		*full = interval{}
		r.taken.Store(taken + 1)
	}
}
