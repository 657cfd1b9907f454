package main

const hasCounter = true

// ticks reads the time stamp counter, without a fence: what that would cost is more than the few
// tens of nanoseconds by which the processor reads it early.
func ticks() uint64
