package main

// A slowSet keeps the slowest requests of a second in constant memory: a min-heap of keys on a fixed
// array, the slot of the request in a key's low bits. A request that is not among the slowest costs
// one comparison.
type slowSet struct {
	// response << slotBits | slot; the first is the next to go. Behind the last place stands a key that
	// is never less than another, so that every parent has two children.
	keys     [slowKept + 1]uint64
	requests [slowKept]slowRequest
	kept     int
}

const (
	slowKept = 32
	slotBits = 5
)

// A slowRequest tells when a request was due, started and done, and by which thread.
type slowRequest struct{ due, start, end, thread uint64 }

// offer takes a request in if it is among the slowest.
func (s *slowSet) offer(due, start, end, thread uint64) {
	// While there is room the first key is zero.
	if end-due > s.keys[0]>>slotBits || s.kept < slowKept {
		s.keep(slowRequest{due, start, end, thread})
	}
}

//go:noinline
func (s *slowSet) keep(request slowRequest) {
	response := (request.end - request.due) << slotBits
	if s.kept < slowKept {
		// From the back to the front: until all places are taken the first keys stay zero, and the
		// rest is kept sorted, which a min-heap is when it is complete.
		slot := s.kept
		s.requests[slot] = request
		s.kept++
		place := slowKept - s.kept
		key := response | uint64(slot)
		for place+1 < slowKept && s.keys[place+1] < key {
			s.keys[place] = s.keys[place+1]
			place++
		}
		s.keys[place] = key
		s.keys[slowKept] = 1 << 62
		return
	}
	slot := s.keys[0] % slowKept
	s.requests[slot] = request
	s.sink(response | slot)
}

// sink puts a key in the first place and restores the heap. Which child is less cannot be predicted,
// so it is computed: by the sign of their difference.
func (s *slowSet) sink(key uint64) {
	hole := 0
	for hole < slowKept/2 {
		least := 2*hole + 1
		least += int((s.keys[least+1] - s.keys[least]) >> 63)
		if key <= s.keys[least] {
			break
		}
		s.keys[hole] = s.keys[least]
		hole = least
	}
	s.keys[hole] = key
}

// add takes in what another set kept.
func (s *slowSet) add(other *slowSet) {
	for n := range other.requests[:other.kept] {
		request := &other.requests[n]
		s.offer(request.due, request.start, request.end, request.thread)
	}
}
