package main

import (
	"encoding/binary"
	"unicode/utf8"
)

// The bytes of an order, little-endian, and of the answer to it.
//
//	order   0  u16  length of the whole order       answer   0  u16  length, 16
//	        2  u8   version, 1                               2  u8   version, 1
//	        3  u8   items, 1 to 8                            3  u8   0 accepted, 1 refused, 2 no order
//	        4  u8   metadata entries, 0 to 4                 4  u32  reserved, 0
//	        5  u8, u16  reserved, 0                          8  u64  the client's order id
//	        8  u64  the client's order id
//	       16  u32  account
//	       20  items: u32 sku, u32 quantity, u32 price in cents each
//	        .  metadata: u8 key length (1 to 15), u8 value length (0 to 31), key, value each;
//	           UTF-8, no key twice
const (
	wireVersion = 1
	headerBytes = 20
	itemBytes   = 12
	replyBytes  = 16

	maxItems    = 8
	maxMetadata = 4
	maxKey      = 15
	maxValue    = 31
	maxOrder    = headerBytes + maxItems*itemBytes + maxMetadata*(2+maxKey+maxValue)
)

// An Item is one line of an order.
type Item struct {
	SKU, Quantity, PriceCents uint32
}

// A fate is what became of an order; its value is the answer's.
type fate byte

const (
	accepted  fate = 0
	refused   fate = 1
	malformed fate = 2
)

// A wireError says what is wrong with bytes that are no order. Constants: making one allocates
// nothing, so that a client who sends rubbish makes no garbage here.
type wireError string

func (e wireError) Error() string { return string(e) }

const (
	errTruncated     = wireError("order cut short")
	errTrailing      = wireError("bytes left over behind the order")
	errVersion       = wireError("order of a version other than 1")
	errReserved      = wireError("reserved bytes are not zero")
	errItemCount     = wireError("an order has 1 to 8 items")
	errMetadataCount = wireError("an order has at most 4 metadata entries")
	errKeyLength     = wireError("a metadata key has 1 to 15 bytes")
	errValueLength   = wireError("a metadata value has at most 31 bytes")
	errNotText       = wireError("metadata is not UTF-8")
	errDuplicateKey  = wireError("a metadata key stands twice")
)

// An orderView is a valid order, borrowed from the bytes it came in. Entries are kept as places in
// them: one pointer in all, for the collector to look at.
type orderView struct {
	bytes   []byte
	id      uint64
	account uint32
	items   int
	entries int
	places  [maxMetadata]entryPlace
}

type entryPlace struct{ start, key, value int }

func (v *orderView) item(n int) Item {
	bytes := v.bytes[headerBytes+n*itemBytes:][:itemBytes]
	return Item{
		SKU:        binary.LittleEndian.Uint32(bytes),
		Quantity:   binary.LittleEndian.Uint32(bytes[4:]),
		PriceCents: binary.LittleEndian.Uint32(bytes[8:]),
	}
}

func (v *orderView) entry(n int) (key, value []byte) {
	place := v.places[n]
	key = v.bytes[place.start:][:place.key]
	value = v.bytes[place.start+place.key:][:place.value]
	return key, value
}

// decode reads an order that takes up exactly these bytes, whatever they are.
func (v *orderView) decode(bytes []byte) error {
	if len(bytes) < headerBytes {
		return errTruncated
	}
	length := int(binary.LittleEndian.Uint16(bytes))
	items, entries := int(bytes[3]), int(bytes[4])
	switch {
	case bytes[2] != wireVersion:
		return errVersion
	case bytes[5]|bytes[6]|bytes[7] != 0:
		return errReserved
	case len(bytes) < length:
		return errTruncated
	case len(bytes) > length:
		return errTrailing
	case items == 0 || items > maxItems:
		return errItemCount
	case entries > maxMetadata:
		return errMetadataCount
	}
	at := headerBytes + items*itemBytes
	if at > len(bytes) {
		return errTruncated
	}
	v.bytes = bytes
	v.id = binary.LittleEndian.Uint64(bytes[8:])
	v.account = binary.LittleEndian.Uint32(bytes[16:])
	v.items = items
	v.entries = entries
	for n := 0; n < entries; n++ {
		if at+2 > len(bytes) {
			return errTruncated
		}
		place := entryPlace{at + 2, int(bytes[at]), int(bytes[at+1])}
		if place.key == 0 || place.key > maxKey {
			return errKeyLength
		}
		if place.value > maxValue {
			return errValueLength
		}
		at = place.start + place.key + place.value
		if at > len(bytes) {
			return errTruncated
		}
		v.places[n] = place
		key, value := v.entry(n)
		if !utf8.Valid(key) || !utf8.Valid(value) {
			return errNotText
		}
		for earlier := 0; earlier < n; earlier++ {
			if other, _ := v.entry(earlier); string(other) == string(key) {
				return errDuplicateKey
			}
		}
	}
	if at != len(bytes) {
		return errTrailing
	}
	return nil
}

// clientID reads the client's id from bytes that may be no valid order; 0 where they end before it.
func clientID(bytes []byte) uint64 {
	if len(bytes) < 16 {
		return 0
	}
	return binary.LittleEndian.Uint64(bytes[8:])
}

// appendOrder appends a valid order's bytes.
func appendOrder(out []byte, id uint64, account uint32, items []Item, keys, values []string) []byte {
	start := len(out)
	out = append(out, 0, 0, wireVersion, byte(len(items)), byte(len(keys)), 0, 0, 0)
	out = binary.LittleEndian.AppendUint64(out, id)
	out = binary.LittleEndian.AppendUint32(out, account)
	for _, item := range items {
		out = binary.LittleEndian.AppendUint32(out, item.SKU)
		out = binary.LittleEndian.AppendUint32(out, item.Quantity)
		out = binary.LittleEndian.AppendUint32(out, item.PriceCents)
	}
	for n, key := range keys {
		out = append(out, byte(len(key)), byte(len(values[n])))
		out = append(out, key...)
		out = append(out, values[n]...)
	}
	binary.LittleEndian.PutUint16(out[start:], uint16(len(out)-start))
	return out
}

// appendReply appends the answer to order id.
func appendReply(out []byte, id uint64, fate fate) []byte {
	out = append(out, replyBytes, 0, wireVersion, byte(fate), 0, 0, 0, 0)
	return binary.LittleEndian.AppendUint64(out, id)
}
