package main

import "sync"

// The sync.Pool form: preshaped orders that are used again. The item list has room for eight, the
// map for four entries. Texts lie inside the map, in arrays, because a string would have to be
// allocated for each request; so the map has no pointers, and the collector does not scan it. It is
// never walked through: that is slow for a map of one or two entries, and Go 1.19 allocates for a walk
// through a map without pointers that was cleared before. The keys stand beside it.
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
	Metadata map[keyText]valueText
	Keys     [maxMetadata]keyText // of the metadata, in the order they came
}

type keyText struct {
	length uint8
	bytes  [maxKey]byte
}

type valueText struct {
	length uint8
	bytes  [maxValue]byte
}

func (k *keyText) set(text []byte)   { k.length = uint8(copy(k.bytes[:], text)) }
func (v *valueText) set(text []byte) { v.length = uint8(copy(v.bytes[:], text)) }

func (k *keyText) text() []byte   { return k.bytes[:k.length] }
func (v *valueText) text() []byte { return v.bytes[:v.length] }

func (r *PooledRequest) clientID() uint64 { return r.ClientID }
func (r *PooledRequest) account() uint32  { return r.UserID }
func (r *PooledRequest) items() []Item    { return r.Items }

func (r *PooledRequest) metadataHash() uint64 {
	sum := uint64(0)
	for n := range r.Keys[:len(r.Metadata)] {
		key := &r.Keys[n]
		value := r.Metadata[*key]
		sum += entryHash(key.text(), value.text())
	}
	return sum
}

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
	for n := len(r.Metadata) - 1; n >= 0; n-- {
		delete(r.Metadata, r.Keys[n])
	}
	r.ID, r.NetCents, r.Receipt = 0, 0, 0
}

type pooledStore struct{ pool sync.Pool }

func newPooledStore() *pooledStore {
	return &pooledStore{pool: sync.Pool{New: func() any {
		return &PooledRequest{
			Items:    make([]Item, 0, maxItems),
			Metadata: make(map[keyText]valueText, maxMetadata),
		}
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
	for n := 0; n < view.entries; n++ {
		var key keyText
		var value valueText
		from, to := view.entry(n)
		key.set(from)
		value.set(to)
		request.Keys[n] = key
		request.Metadata[key] = value
	}
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
