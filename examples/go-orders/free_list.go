package main

import "sync"

// The free-list form: all orders lie in one block that is allocated at the start, and a stack holds
// the numbers of those that are free. An order has no pointers, so the collector neither scans the
// block nor gets any garbage from a request. When none is free the request is refused; it never
// falls back to the heap.

// A flatRequest is an OrderRequest without a pointer in it: the wire format's limits are its shape.
type flatRequest struct {
	mu       sync.Mutex
	number   uint32 // its place in the block
	userID   uint32
	client   uint64
	id       uint64
	netCents uint64
	receipt  uint64
	card     cardToken
	itemsLen uint8
	lines    [maxItems]Item
	metadata Metadata
}

func (r *flatRequest) clientID() uint64     { return r.client }
func (r *flatRequest) account() uint32      { return r.userID }
func (r *flatRequest) items() []Item        { return r.lines[:r.itemsLen] }
func (r *flatRequest) metadataHash() uint64 { return r.metadata.hash() }

func (r *flatRequest) accept(id, netCents uint64) {
	r.mu.Lock()
	r.id = id
	r.netCents = netCents
	r.receipt = r.card.charge(netCents)
	r.card.wipe()
	r.mu.Unlock()
}

type freeListStore struct {
	block []flatRequest
	// free[:left] are the numbers of the free orders. Behind them stand those of the orders in use:
	// the one in hand, if there is one, at free[left], then the window's.
	free []uint32
	left int
}

func newFreeListStore(capacity int) *freeListStore {
	s := &freeListStore{
		block: make([]flatRequest, capacity),
		free:  make([]uint32, capacity),
		left:  capacity,
	}
	for n := range s.block {
		// Written once: the memory is there before the first request.
		s.block[n].number = uint32(n)
		s.free[n] = uint32(n)
	}
	return s
}

func (s *freeListStore) keep(view *orderView) (order, error) {
	if s.left == 0 {
		return nil, errNoRoom
	}
	s.left--
	request := &s.block[s.free[s.left]]
	request.client = view.id
	request.userID = view.account
	request.id, request.netCents, request.receipt = 0, 0, 0
	request.card = cardOf(view)
	request.itemsLen = uint8(view.items)
	for n := 0; n < view.items; n++ {
		request.lines[n] = view.item(n)
	}
	request.metadata.set(view)
	return request, nil
}

func (s *freeListStore) giveUp(o order) {
	request := o.(*flatRequest)
	request.card.wipe() // it was never charged
	s.free[s.left] = request.number
	s.left++
}

// settle takes all orders of the window back at once, whatever their number: their places in the
// stack are those right behind the free ones, so the stack only has to be told that it is longer.
// What was given up in between went back to the place it came from.
func (s *freeListStore) settle(window []order) {
	s.left += len(window)
}
