package main

import (
	"errors"
	"fmt"
	"math/bits"
)

// An order is one that a form keeps. What the service reads of an order it reads here, never from
// the request: the keeping cannot be optimised away.
type order interface {
	clientID() uint64
	account() uint32
	items() []Item
	// metadataHash adds up entryHash of all entries.
	metadataHash() uint64
	// accept notes the service's id and what is to be paid, charges the card, and forgets it.
	accept(id, netCents uint64)
}

// A store makes and takes back orders: the one thing in which the forms differ. An order that was
// kept is either given up at once, or settled with its window; one is in hand at a time.
type store interface {
	keep(view *orderView) (order, error)
	giveUp(order)
	// settle takes back a whole window. The slice stays the service's.
	settle(window []order)
}

var errNoRoom = errors.New("no room for another order: the free list was made for fewer live orders")

// newStore makes the store of a form, for a window of so many live orders.
func newStore(form string, window uint64) (store, error) {
	switch form {
	case "heap":
		return heapStore{}, nil
	case "sync-pool":
		return newPooledStore(), nil
	case "free-list":
		// All live orders, and the one in hand.
		return newFreeListStore(int(window) + 1), nil
	}
	return nil, errors.New(formsAllowed)
}

// A service handles orders, one at a time: decode, keep, price, check the limit, accept; when a
// window of them is live, all are settled at once. Not for several goroutines at once.
type service struct {
	store    store
	rules    []priceRule
	risk     riskBook
	live     []order
	window   int
	view     orderView // here and not on the stack: it would escape to the heap for each request
	gross    uint64    // of the live orders
	discount uint64
	nextID   uint64
	settled  uint64
	checksum uint64 // of everything handled so far
}

// newService makes a service; worker sets its ids apart from other services'.
func newService(form string, window uint64, worker int) (*service, error) {
	store, err := newStore(form, window)
	if err != nil {
		return nil, fmt.Errorf("form %q: %w", form, err)
	}
	return &service{
		store:  store,
		rules:  newPriceRules(),
		risk:   newRiskBook(window),
		live:   make([]order, 0, window),
		window: int(window),
		nextID: uint64(worker) << 40,
	}, nil
}

// handle handles the bytes of one request.
func (s *service) handle(request []byte) fate {
	if s.view.decode(request) != nil {
		return malformed
	}
	order, err := s.store.keep(&s.view)
	if err != nil {
		return refused
	}
	price, ok := priceOf(order.items(), s.rules)
	if !ok || !s.risk.book(order.account(), price.net()) {
		s.store.giveUp(order)
		return refused
	}
	order.accept(s.nextID, price.net())
	s.checksum = fold(s.checksum ^ orderHash(order, s.nextID, price.net()))
	s.nextID++
	s.gross += price.gross
	s.discount += price.discount
	s.live = append(s.live, order)
	if len(s.live) == s.window {
		s.settle()
	}
	return accepted
}

// settle ends a window. It has a frame of its own in profiles and traces.
//
//go:noinline
func (s *service) settle() {
	for _, total := range [...]uint64{uint64(len(s.live)), s.gross, s.discount} {
		s.checksum = fold(s.checksum ^ total)
	}
	s.gross, s.discount = 0, 0
	s.risk.settle()
	s.store.settle(s.live)
	s.live = s.live[:0]
	s.settled++
}

// orderHash covers everything that is kept of an order.
func orderHash(o order, id, netCents uint64) uint64 {
	hash := fold(o.clientID() ^ bits.RotateLeft64(id, 32))
	hash = fold(hash ^ netCents ^ bits.RotateLeft64(uint64(o.account()), 40))
	return hash ^ o.metadataHash()
}
