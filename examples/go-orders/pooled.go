package main

import "sync"

// The sync.Pool form: preshaped orders that are used again, with an item list that has room for eight
// and metadata that has room for four entries.
//
// Two lessons that the code must keep. An order is emptied before it is used again, not when it is
// given back: it is cold by then, and a window of 100,000 of them would be fetched into the cache
// once more, all in one request's time. And the pool belongs to the collector: what lies in it
// unused through two cycles is gone, and is made anew when it is wanted.

// A PooledRequest is an OrderRequest whose texts need no allocation.
type PooledRequest struct {
	mu       sync.Mutex
	ClientID uint64
	UserID   uint32
	ID       uint64
	NetCents uint64
	Receipt  uint64
	Card     cardToken
	Items    []Item
	Metadata Metadata
}

func (r *PooledRequest) clientID() uint64     { return r.ClientID }
func (r *PooledRequest) account() uint32      { return r.UserID }
func (r *PooledRequest) items() []Item        { return r.Items }
func (r *PooledRequest) metadataHash() uint64 { return r.Metadata.hash() }

func (r *PooledRequest) accept(id, netCents uint64) {
	r.mu.Lock()
	r.ID = id
	r.NetCents = netCents
	r.Receipt = r.Card.charge(netCents)
	r.Card.wipe()
	r.mu.Unlock()
}

// reset empties an order and keeps its memory.
func (r *PooledRequest) reset() {
	r.Items = r.Items[:0]
	r.Metadata.reset()
	r.ID, r.NetCents, r.Receipt = 0, 0, 0
}

type pooledStore struct{ pool sync.Pool }

func newPooledStore() *pooledStore {
	return &pooledStore{pool: sync.Pool{New: func() any {
		return &PooledRequest{Items: make([]Item, 0, maxItems)}
	}}}
}

func (s *pooledStore) keep(view *orderView) (order, error) {
	request := s.pool.Get().(*PooledRequest)
	request.reset()
	request.ClientID = view.id
	request.UserID = view.account
	request.Card = cardOf(view)
	for n := 0; n < view.items; n++ {
		request.Items = append(request.Items, view.item(n))
	}
	request.Metadata.set(view)
	return request, nil
}

func (s *pooledStore) giveUp(o order) {
	request := o.(*PooledRequest)
	request.Card.wipe() // it was never charged
	s.pool.Put(request)
}

// settle puts each order back. Their cards were wiped when they were charged.
func (s *pooledStore) settle(window []order) {
	for n, o := range window {
		s.pool.Put(o.(*PooledRequest))
		window[n] = nil
	}
}
