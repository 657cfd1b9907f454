package main

// Metadata is the metadata of an order that is used again: a map with room for four entries, whose
// texts lie in it. It has no pointers, so the collector does not scan it, and a string would have to
// be allocated for each request. Emptying it sets a length.
//
// Not a map[keyText]valueText, which allocates nothing either: an order in a pool is cold, and on the
// way to a map's entry lie three places that each have to be fetched before the next is known. With
// one a request took 480 to 730 ns here, with this 255 to 400 (Go 1.19, a window of 100,000).
type Metadata struct {
	length  uint8
	entries [maxMetadata]metadataEntry
}

type metadataEntry struct {
	keyLength, valueLength uint8
	key                    [maxKey]byte
	value                  [maxValue]byte
}

// set takes over a decoded order's entries. The wire format's limits are this type's, so all fit,
// and no key comes twice.
func (m *Metadata) set(view *orderView) {
	m.length = uint8(view.entries)
	for n := 0; n < view.entries; n++ {
		key, value := view.entry(n)
		entry := &m.entries[n]
		entry.keyLength = uint8(copy(entry.key[:], key))
		entry.valueLength = uint8(copy(entry.value[:], value))
	}
}

func (m *Metadata) reset() { m.length = 0 }

// hash adds up entryHash of all entries.
func (m *Metadata) hash() uint64 {
	sum := uint64(0)
	for n := range m.entries[:m.length] {
		entry := &m.entries[n]
		sum += entryHash(entry.key[:entry.keyLength], entry.value[:entry.valueLength])
	}
	return sum
}
