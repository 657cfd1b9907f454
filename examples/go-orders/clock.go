package main

import (
	"math/bits"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// A clock gives CLOCK_MONOTONIC in nanoseconds, comparable with every other process on the machine.
//
// Where the processor's time stamp counter can be trusted it is read instead of the kernel's clock,
// and converted by one multiplication. time.Now reads two clocks; time.Since reads one.
type clock struct {
	counter   bool
	baseTicks uint64
	baseNs    uint64
	nsPerTick uint64 // a 32.32 fixed-point number
	begun     time.Time
	begunNs   uint64 // what CLOCK_MONOTONIC was then
}

// calibrationTime is how long the two clocks are compared. A run of ten seconds ends some hundred
// nanoseconds from the kernel's clock then.
const calibrationTime = 200 * time.Millisecond

// newClock takes calibrationTime where there is a counter.
func newClock() *clock {
	c := &clock{begun: time.Now()}
	c.begunNs = c.offset()
	if !counterTrusted() {
		return c
	}
	ticks, ns := c.pair()
	time.Sleep(calibrationTime)
	laterTicks, laterNs := c.pair()
	if laterTicks <= ticks || laterNs <= ns {
		return c
	}
	high, low := bits.Mul64(laterNs-ns, 1<<32)
	if high >= laterTicks-ticks {
		return c // slower than a tick in four seconds: no counter
	}
	c.nsPerTick, _ = bits.Div64(high, low, laterTicks-ticks)
	c.baseTicks, c.baseNs, c.counter = ticks, ns, true
	return c
}

// now is for instants after the clock was made.
func (c *clock) now() uint64 {
	if c.counter {
		high, low := bits.Mul64(ticks()-c.baseTicks, c.nsPerTick)
		return c.baseNs + (high<<32 | low>>32)
	}
	return c.kernel()
}

// kernel reads the kernel's clock.
func (c *clock) kernel() uint64 { return c.begunNs + uint64(time.Since(c.begun)) }

// offset finds CLOCK_MONOTONIC at c.begun: what lies in the middle of the tightest of many brackets.
// An interrupt only ever widens one.
func (c *clock) offset() uint64 {
	best, at := uint64(1<<63), uint64(0)
	for n := 0; n < 200; n++ {
		before := uint64(time.Since(c.begun))
		ns := kernelMonotonic()
		width := uint64(time.Since(c.begun)) - before
		if width < best {
			best, at = width, ns-before-width/2
		}
	}
	return at
}

// pair reads both clocks as nearly together as possible.
func (c *clock) pair() (counter, ns uint64) {
	best := uint64(1 << 63)
	for n := 0; n < 200; n++ {
		before := ticks()
		at := c.kernel()
		if width := ticks() - before; width < best {
			best, counter, ns = width, before+width/2, at
		}
	}
	return counter, ns
}

// kernelMonotonic asks the kernel by a system call, which takes a tenth of a microsecond and more.
func kernelMonotonic() uint64 {
	const clockMonotonic = 1
	var now syscall.Timespec
	// It cannot fail: the clock exists, and the address is good.
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&now)), 0)
	return uint64(now.Nano())
}

// counterTrusted says whether the counter ticks at one rate in every power state, and whether the
// kernel keeps time by it: it watches the counter, and drops it when processors disagree.
func counterTrusted() bool {
	if !hasCounter {
		return false
	}
	source, err := os.ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource")
	if err != nil {
		return false
	}
	switch strings.TrimSpace(string(source)) {
	case "tsc", "kvm-clock", "hyperv_clocksource_tsc_page":
	default:
		return false
	}
	processors, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return false
	}
	text := string(processors)
	return strings.Contains(text, " constant_tsc") && strings.Contains(text, " nonstop_tsc")
}
