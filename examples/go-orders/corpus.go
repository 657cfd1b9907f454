package main

import "math/bits"

// A corpus holds the requests of a run: distinct orders, encoded one behind the other, made from a
// seed before the run starts. Request n of the schedule is order n modulo corpusOrders, so nothing
// is made or copied for a request, and what a run measures is the service.
//
// Equal seeds give the same bytes as tailcut's own order service does (loadgen/src/order/generate.rs):
// the checksums of both can be compared. Every draw, and their order, is part of that.
type corpus struct {
	bytes  []byte
	starts [corpusOrders + 1]uint32
}

const corpusOrders = 8192

const (
	accounts = 4096 // that have a limit
	skus     = 1024 // that have a rule
)

var metadataKeys = [8]string{
	"channel", "campaign", "device", "region", "promo_code", "session", "gift_note", "referrer",
}

func newCorpus(seed uint64) *corpus {
	random := splitMix(seed)
	c := &corpus{bytes: make([]byte, 0, corpusOrders*96)}
	for n := 0; n < corpusOrders; n++ {
		itemCount := [8]int{1, 2, 2, 3, 3, 4, 5, 8}[random.below(8)]
		var items [maxItems]Item
		for i := range items {
			items[i].SKU = random.below(skus)
			items[i].Quantity = 1 + random.below(12)
			items[i].PriceCents = 99 + random.below(20_000)
		}
		var texts [len(metadataKeys)]string
		for i := range texts {
			texts[i] = random.text()
		}
		first := int(random.below(uint32(len(metadataKeys))))
		entryCount := [8]int{0, 0, 0, 1, 1, 1, 2, 4}[random.below(8)]
		keys := make([]string, entryCount)
		for i := range keys {
			keys[i] = metadataKeys[(first+i)%len(metadataKeys)]
		}
		account := random.below(accounts)
		id := random.next()
		c.bytes = appendOrder(c.bytes, id, account, items[:itemCount], keys, texts[:entryCount])
		c.starts[n+1] = uint32(len(c.bytes))
	}
	return c
}

// request gives the bytes of the n-th request.
func (c *corpus) request(n uint64) []byte {
	index := n % corpusOrders
	return c.bytes[c.starts[index]:c.starts[index+1]]
}

// splitMix is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
type splitMix uint64

func (s *splitMix) next() uint64 {
	*s += 0x9e37_79b9_7f4a_7c15
	mixed := uint64(*s)
	mixed = (mixed ^ mixed>>30) * 0xbf58_476d_1ce4_e5b9
	mixed = (mixed ^ mixed>>27) * 0x94d0_49bb_1331_11eb
	return mixed ^ mixed>>31
}

func (s *splitMix) below(bound uint32) uint32 {
	return uint32((s.next() >> 32) * uint64(bound) >> 32)
}

// text draws 4 to 27 characters.
func (s *splitMix) text() string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-_"
	bytes := make([]byte, 4+s.below(24))
	for i := range bytes {
		bytes[i] = letters[s.below(uint32(len(letters)))]
	}
	return string(bytes)
}

// fold mixes by one widening multiplication. The constants are any odd-looking ones; they are the
// Rust service's, as the checksum is.
func fold(value uint64) uint64 {
	high, low := bits.Mul64(value^0x2d35_8dcc_aa6c_78a5, 0x8bb8_4b93_962e_acc9)
	return high ^ low
}

// textHash takes eight bytes a step; the length keeps apart what the padding would make equal.
func textHash[T string | []byte](seed uint64, text T) uint64 {
	hash := seed ^ uint64(len(text))
	at := 0
	for ; at+8 <= len(text); at += 8 {
		word := uint64(text[at]) | uint64(text[at+1])<<8 | uint64(text[at+2])<<16 | uint64(text[at+3])<<24 |
			uint64(text[at+4])<<32 | uint64(text[at+5])<<40 | uint64(text[at+6])<<48 | uint64(text[at+7])<<56
		hash = fold(hash ^ word)
	}
	tail := uint64(0)
	for ; at < len(text); at++ {
		tail = tail<<8 | uint64(text[at])
	}
	return fold(hash ^ tail)
}

// entryHash is one metadata entry's part of an order's hash. Parts are added up, because a map gives
// its entries in no order.
func entryHash[T string | []byte](key, value T) uint64 {
	return textHash(textHash(0x9e37_79b9, key), value)
}
