package main

import "math/bits"

// A lane is one worker's part of an evenly spaced schedule: requests worker, worker+workers, ...,
// each due at begin + floor(n / rate). It is stepped with an integer remainder, so that the last
// request is as punctual as the first.
type lane struct {
	begin, rate     uint64
	request, stride uint64
	due             uint64 // when request is due, by CLOCK_MONOTONIC
	remainder       uint64 // what was cut off of due, over rate
	step            uint64
	stepRemainder   uint64
}

const second = 1_000_000_000

func newLane(begin, rate uint64, worker, workers int) lane {
	stride := uint64(workers) * second
	l := lane{
		begin: begin, rate: rate, stride: uint64(workers),
		step: stride / rate, stepRemainder: stride % rate,
	}
	l.at(uint64(worker))
	return l
}

// at goes to request n.
func (l *lane) at(n uint64) {
	offset, remainder := mulDiv(n, second, l.rate)
	l.request, l.due, l.remainder = n, l.begin+offset, remainder
}

func (l *lane) advance() {
	l.request += l.stride
	l.due += l.step
	l.remainder += l.stepRemainder
	if l.remainder >= l.rate {
		l.remainder -= l.rate
		l.due++
	}
}

// skipTo goes to the first request that is due at an instant or later, and says how many it skipped.
func (l *lane) skipTo(instant uint64) uint64 {
	if instant <= l.due {
		return 0
	}
	before := dueBefore(instant-l.begin, l.rate)
	skipped := (before - l.request + l.stride - 1) / l.stride
	l.at(l.request + skipped*l.stride)
	return skipped
}

// dueBefore counts the requests of all lanes that are due less than elapsed after the begin.
func dueBefore(elapsed, rate uint64) uint64 {
	count, remainder := mulDiv(elapsed, rate, second)
	if remainder > 0 {
		count++
	}
	return count
}

// mulDiv gives a*b/c and the remainder. The quotient must fit: days of nanoseconds, and 10^8 requests
// a second, do.
func mulDiv(a, b, c uint64) (quotient, remainder uint64) {
	high, low := bits.Mul64(a, b)
	return bits.Div64(high, low, c)
}
