package main

import (
	"fmt"
	"testing"
)

var forms = []string{"heap", "sync-pool", "free-list"}

func serviceOf(t testing.TB, form string, window uint64) *service {
	t.Helper()
	service, err := newService(form, window, 0)
	if err != nil {
		t.Fatal(err)
	}
	return service
}

func TestEveryFormGivesTheSameResultsForTheSameOrders(t *testing.T) {
	orders := newCorpus(3)
	var requests [][]byte
	for n := uint64(0); n < 50_000; n++ {
		requests = append(requests, orders.request(n))
	}
	requests[77] = []byte("not an order")
	for n := 0; n < 500; n++ { // one account orders until its limit is reached
		requests = append(requests, orders.request(5))
	}
	type results struct{ checksum, settled, refused, malformed uint64 }
	var want results
	for _, form := range forms {
		service := serviceOf(t, form, 7_000)
		var got results
		for _, request := range requests {
			switch service.handle(request) {
			case refused:
				got.refused++
			case malformed:
				got.malformed++
			}
		}
		got.checksum, got.settled = service.checksum, service.settled
		if form == forms[0] {
			want = got
		}
		if got != want {
			t.Errorf("%s gave %+v, %s %+v", form, got, forms[0], want)
		}
	}
	if want.settled < 6 || want.refused < 2 || want.refused >= 500 || want.malformed != 1 {
		t.Errorf("%+v", want)
	}
}

func TestAllocationsOfARequestAreWhatEachFormClaims(t *testing.T) {
	const window = 1_000
	orders := newCorpus(1)
	for _, test := range []struct {
		form      string
		low, high float64
	}{
		// The order, its items and its map; the map's bucket and the texts, where it has entries.
		{"heap", 3, 8},
		// Now and then a collection empties the pool.
		{"sync-pool", 0, 0.05},
		{"free-list", 0, 0},
	} {
		service := serviceOf(t, test.form, window)
		n := uint64(0)
		aWindow := func() {
			for end := n + window; n < end; n++ {
				service.handle(orders.request(n))
			}
		}
		for warm := 0; warm < 40; warm++ {
			aWindow()
		}
		each := testing.AllocsPerRun(20, aWindow) / window
		t.Logf("%s: %.3f allocations for a request", test.form, each)
		if each < test.low || each > test.high {
			t.Errorf("%s makes %.3f allocations for a request, not %g to %g", test.form, each, test.low, test.high)
		}
	}
}

func TestAFreeListThatIsExhaustedRefusesAndDoesNotFallBackToTheHeap(t *testing.T) {
	store := newFreeListStore(10)
	var view orderView
	if err := view.decode(newCorpus(1).request(0)); err != nil {
		t.Fatal(err)
	}
	var window []order
	for n := 0; n < 10; n++ {
		kept, err := store.keep(&view)
		if err != nil {
			t.Fatal(n, err)
		}
		window = append(window, kept)
	}
	if allocations := testing.AllocsPerRun(100, func() {
		if _, err := store.keep(&view); err != errNoRoom {
			t.Error(err)
		}
	}); allocations != 0 {
		t.Errorf("a refusal makes %g allocations", allocations)
	}
	store.settle(window)
	if _, err := store.keep(&view); err != nil {
		t.Error("not free again after the settlement:", err)
	}
}

func TestAFreeListHandsOutEveryOrderOnceHoweverManyAreRefused(t *testing.T) {
	const window = 500
	service := serviceOf(t, "free-list", window)
	orders := newCorpus(2)
	store := service.store.(*freeListStore)
	for n := uint64(0); n < 20_000; n++ {
		request := orders.request(n)
		if n%3 == 0 {
			request = orders.request(5) // soon over its account's limit
		}
		service.handle(request)
		if left := store.left + len(service.live); left != window+1 {
			t.Fatalf("order %d: %d orders free and live, of %d", n, left, window+1)
		}
	}
	seen := make(map[uint32]bool)
	for _, number := range store.free[:store.left] {
		if seen[number] {
			t.Errorf("order %d is free twice", number)
		}
		seen[number] = true
	}
	for _, live := range service.live {
		number := live.(*flatRequest).number
		if seen[number] {
			t.Errorf("order %d is live, and free or live again", number)
		}
		seen[number] = true
	}
	if len(seen) != window+1 {
		t.Errorf("%d orders of %d", len(seen), window+1)
	}
}

func TestNoOrderInAWindowOrAPoolHasACardAndNoOrderShowsWhatItsMemoryHeldBefore(t *testing.T) {
	orders := newCorpus(4)
	full, empty := []byte(nil), []byte(nil) // orders with four metadata entries, and with none
	for n := uint64(0); full == nil || empty == nil; n++ {
		switch request := orders.request(n); request[4] {
		case 4:
			full = request
		case 0:
			empty = request
		}
	}
	cardOf := func(o order) cardToken {
		switch o := o.(type) {
		case *OrderRequest:
			return o.Card
		case *PooledRequest:
			return o.Card
		case *flatRequest:
			return o.card
		}
		panic(fmt.Sprintf("%T", o))
	}
	for _, form := range forms {
		service := serviceOf(t, form, 3)
		var taken []order
		for _, request := range [][]byte{full, full} {
			if service.handle(request) != accepted {
				t.Fatal(form)
			}
			taken = append(taken, service.live[len(service.live)-1])
		}
		service.view.decode(full)
		inHand, err := service.store.keep(&service.view)
		if err != nil || cardOf(inHand) == (cardToken{}) {
			t.Error(form, err, "an order in hand has a card")
		}
		service.store.giveUp(inHand)
		if form != "heap" { // there it is garbage
			taken = append(taken, inHand)
		}
		for _, o := range taken {
			if cardOf(o) != (cardToken{}) {
				t.Error(form, "an order that was charged or given up still has its card")
			}
		}
		service.settle()
		for n := 0; n < 3; n++ {
			service.view.decode(empty)
			again, err := service.store.keep(&service.view)
			if err != nil || again.metadataHash() != 0 || len(again.items()) != int(empty[3]) {
				t.Errorf("%s: %v, an order shows what its memory held before: %+v", form, err, again)
			}
		}
	}
}

func TestTheChecksumTellsApartOrdersThatDifferInOneByteOfMetadata(t *testing.T) {
	for _, form := range forms {
		checksum := func(value string) uint64 {
			service := serviceOf(t, form, 10)
			service.handle(appendOrder(nil, 1, 1, []Item{{1, 1, 100}}, []string{"note"}, []string{value}))
			return service.checksum
		}
		if checksum("leave at door 1") == checksum("leave at door 2") {
			t.Error(form)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	orders := newCorpus(1)
	for _, form := range forms {
		b.Run(form, func(b *testing.B) {
			service := serviceOf(b, form, 100_000)
			for n := uint64(0); n < 300_000; n++ {
				service.handle(orders.request(n))
			}
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n++ {
				service.handle(orders.request(uint64(n)))
			}
		})
	}
}
