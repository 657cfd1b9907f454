package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func sampleOrder() []byte {
	return appendOrder(nil, 42, 17, []Item{{7, 2, 1999}, {9, 1, 5}}, []string{"channel", "note"}, []string{"web", ""})
}

func TestAnOrderReadsBackAsItWasWritten(t *testing.T) {
	var view orderView
	if err := view.decode(sampleOrder()); err != nil {
		t.Fatal(err)
	}
	if view.id != 42 || view.account != 17 || view.items != 2 || view.entries != 2 {
		t.Fatalf("%+v", view)
	}
	if view.item(0) != (Item{7, 2, 1999}) || view.item(1) != (Item{9, 1, 5}) {
		t.Error(view.item(0), view.item(1))
	}
	if key, value := view.entry(0); string(key) != "channel" || string(value) != "web" {
		t.Errorf("%s=%s", key, value)
	}
	if key, value := view.entry(1); string(key) != "note" || len(value) != 0 {
		t.Errorf("%s=%s", key, value)
	}
}

func TestEveryPrefixOfAnOrderIsCutShort(t *testing.T) {
	var view orderView
	whole := sampleOrder()
	for length := range whole {
		if err := view.decode(whole[:length]); err != errTruncated {
			t.Errorf("%d bytes: %v", length, err)
		}
	}
}

func TestEachFaultOfAnOrderHasItsOwnError(t *testing.T) {
	const metadata = headerBytes + 2*itemBytes
	longer := func(order []byte) []byte { return append(order, 0) }
	broken := func(at int, with byte) []byte {
		order := sampleOrder()
		order[at] = with
		return order
	}
	for _, test := range []struct {
		order []byte
		want  error
	}{
		{broken(2, 9), errVersion},
		{broken(5, 1), errReserved},
		{broken(3, 0), errItemCount},
		{broken(3, 9), errItemCount},
		{broken(4, 5), errMetadataCount},
		{broken(metadata, 0), errKeyLength},
		{broken(metadata, 16), errKeyLength},
		{broken(metadata+1, 32), errValueLength},
		{broken(metadata+2, 0xff), errNotText},
		{broken(4, 1), errTrailing},
		{longer(sampleOrder()), errTrailing},
		{appendOrder(nil, 0, 0, make([]Item, 1), []string{"k", "k"}, []string{"a", "b"}), errDuplicateKey},
	} {
		var view orderView
		if err := view.decode(test.order); !errors.Is(err, test.want) {
			t.Errorf("%v, where %v was to be said", err, test.want)
		}
	}
}

func TestNoOrderIsLongerThanTheLongest(t *testing.T) {
	keys, values := make([]string, maxMetadata), make([]string, maxMetadata)
	for n := range keys {
		keys[n] = strings.Repeat(string(rune('a'+n)), maxKey)
		values[n] = strings.Repeat("v", maxValue)
	}
	order := appendOrder(nil, 0, 0, make([]Item, maxItems), keys, values)
	var view orderView
	if err := view.decode(order); err != nil || len(order) != maxOrder {
		t.Error(err, len(order))
	}
}

func FuzzDecodeNeverPanicsAndReadsOnlyWhatItWasGiven(f *testing.F) {
	f.Add(sampleOrder())
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Add(bytes.Repeat([]byte{0xff}, 400))
	service, _ := newService("free-list", 1, 0)
	f.Fuzz(func(t *testing.T, order []byte) {
		var view orderView
		if view.decode(order) != nil {
			return
		}
		// Written again it is the same: nothing was read that is not there, nothing left out.
		var items []Item
		var keys, values []string
		for n := 0; n < view.items; n++ {
			items = append(items, view.item(n))
		}
		for n := 0; n < view.entries; n++ {
			key, value := view.entry(n)
			keys, values = append(keys, string(key)), append(values, string(value))
		}
		if again := appendOrder(nil, view.id, view.account, items, keys, values); !bytes.Equal(again, order) {
			t.Errorf("% x\nwas read as\n% x", order, again)
		}
		service.handle(order)
	})
}
