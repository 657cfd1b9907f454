package main

import (
	"math/bits"
	"strconv"
)

// A histogram counts latencies in nanoseconds, with three significant digits, in the buckets of
// HdrHistogram (1 ns to 100 s, unit 1 ns): exact below 2048, then 1024 buckets for each doubling.
// A fixed array: recording is a shift and an addition, and allocates nothing.
type histogram [histogramBuckets]uint32

const (
	subBuckets       = 1024
	subBucketBits    = 11 // of the highest exact value
	highestLatency   = 100 * second
	highestBits      = 37 // of highestLatency
	histogramBuckets = (highestBits-subBucketBits)*subBuckets + 2*subBuckets
)

// bucketOf finds a value's bucket. Latencies over 100 s count as 100 s.
func bucketOf(ns uint64) int {
	if ns > highestLatency {
		ns = highestLatency
	}
	shift := uint(bits.Len64(ns|(2*subBuckets-1)) - subBucketBits)
	return int(shift)*subBuckets + int(ns>>shift)
}

// highestIn gives the highest value of a bucket, lowestIn the lowest.
func highestIn(bucket int) uint64 { return lowestIn(bucket+1) - 1 }

func lowestIn(bucket int) uint64 {
	if bucket < 2*subBuckets {
		return uint64(bucket)
	}
	shift := uint(bucket/subBuckets - 1)
	return uint64(bucket-int(shift)*subBuckets) << shift
}

func (h *histogram) record(ns uint64) { h[bucketOf(ns)]++ }

func (h *histogram) add(other *histogram) {
	for bucket, count := range other {
		h[bucket] += count
	}
}

// appendJSON appends [[value,count],...] of what was recorded, ascending.
func (h *histogram) appendJSON(out []byte) []byte {
	out = append(out, '[')
	first := true
	for bucket, count := range h {
		if count == 0 {
			continue
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		out = append(out, '[')
		out = strconv.AppendUint(out, highestIn(bucket), 10)
		out = append(out, ',')
		out = strconv.AppendUint(out, uint64(count), 10)
		out = append(out, ']')
	}
	return append(out, ']')
}
