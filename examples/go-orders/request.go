package main

import "sync"

// The heap form: an order as a service usually keeps it. Everything is made fresh for each request
// and left to the collector.

// An OrderRequest is a live order. The mutex and the map make it escape, as they did in the service
// whose incident this example retells; so does the window, which outlives the request.
type OrderRequest struct {
	mu       sync.Mutex // guards what follows against those who ask for a live order's state
	ClientID uint64
	UserID   uint32
	ID       uint64
	NetCents uint64
	Receipt  uint64
	Card     cardToken
	Items    []Item
	Metadata map[string]string
}

func newOrderRequest() *OrderRequest {
	return &OrderRequest{
		Items:    make([]Item, 0, maxItems),
		Metadata: make(map[string]string, maxMetadata),
	}
}

func (r *OrderRequest) clientID() uint64 { return r.ClientID }
func (r *OrderRequest) account() uint32  { return r.UserID }
func (r *OrderRequest) items() []Item    { return r.Items }

func (r *OrderRequest) metadataHash() uint64 {
	sum := uint64(0)
	for key, value := range r.Metadata {
		sum += entryHash(key, value)
	}
	return sum
}

func (r *OrderRequest) accept(id, netCents uint64) {
	r.mu.Lock()
	r.ID = id
	r.NetCents = netCents
	r.Receipt = r.Card.charge(netCents)
	r.Card.wipe()
	r.mu.Unlock()
}

// heapStore makes an order for each request.
type heapStore struct{}

func (heapStore) keep(view *orderView) (order, error) {
	request := newOrderRequest()
	request.ClientID = view.id
	request.UserID = view.account
	request.Card = cardOf(view)
	for n := 0; n < view.items; n++ {
		request.Items = append(request.Items, view.item(n))
	}
	for n := 0; n < view.entries; n++ {
		key, value := view.entry(n)
		request.Metadata[string(key)] = string(value)
	}
	return request, nil
}

func (heapStore) giveUp(order) {}

// settle forgets the orders, so that the collector can have them.
func (heapStore) settle(window []order) {
	for n := range window {
		window[n] = nil
	}
}

// A cardToken is the sensitive part of an order: what the customer's card is charged with. It is
// wiped as soon as it was used, while it is still in the core's cache; so no order that lies in a
// window or in a pool has one, and giving back a window need not touch its orders again.
type cardToken [2]uint64

// cardOf stands for the vault that a real service would ask.
func cardOf(view *orderView) cardToken {
	return cardToken{view.id ^ 0x4000_0000_0000_0002, uint64(view.account) | 1<<63}
}

// charge gives a receipt.
func (c *cardToken) charge(cents uint64) uint64 { return fold(c[0]^cents) ^ c[1] }

func (c *cardToken) wipe() { *c = cardToken{} }
