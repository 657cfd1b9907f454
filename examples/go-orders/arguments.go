package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// A refusal is a bad argument: it names the argument, its value, and what is allowed.
type refusal string

func (r refusal) Error() string { return string(r) }

// helpWanted is no failure.
type helpWanted struct{}

func (helpWanted) Error() string { return "help was asked for" }

type inProcessPlan struct {
	form    string
	rate    uint64        // orders a second, of all workers together
	seconds time.Duration // of the schedule that is recorded
	warmup  time.Duration // of the same schedule before that, unrecorded
	window  uint64        // live orders of a worker, settled all at once
	workers int
	seed    uint64
}

type servePlan struct {
	form    string
	tcp     string // empty: not served
	http    string
	window  uint64
	workers int
}

type stressPlan struct {
	seconds          time.Duration
	depth            uint64
	goroutines       uint64 // started a second
	megabytesASecond uint64
}

const (
	mostRate       = 100_000_000
	mostWindow     = 10_000_000
	mostDepth      = 1_000_000
	mostGoroutines = 1_000_000
	mostMegabytes  = 100_000
)

const mostTime = 24 * time.Hour

func parseInProcess(words []string) (inProcessPlan, error) {
	plan := inProcessPlan{
		rate: 2_400_000, seconds: 10 * time.Second, warmup: time.Second, window: 100_000, workers: 1, seed: 1,
	}
	set := newArguments()
	set.Var(formArgument{&plan.form}, "form", "")
	set.Var(countArgument{&plan.rate, 1, mostRate}, "rate", "")
	set.Var(timeArgument{&plan.seconds, 100 * time.Millisecond}, "seconds", "")
	set.Var(timeArgument{&plan.warmup, 0}, "warmup", "")
	set.Var(countArgument{&plan.window, 1, mostWindow}, "window", "")
	set.Var(workersArgument{&plan.workers}, "workers", "")
	set.Var(countArgument{&plan.seed, 0, math.MaxUint64}, "seed", "")
	if err := parse(set, words); err != nil {
		return plan, err
	}
	if plan.form == "" {
		return plan, refusal("--form is missing; " + formsAllowed)
	}
	return plan, nil
}

func parseServe(words []string) (servePlan, error) {
	plan := servePlan{window: 120_000, workers: 1}
	remote := false
	set := newArguments()
	set.Var(formArgument{&plan.form}, "form", "")
	set.Var(addressArgument{&plan.tcp}, "tcp", "")
	set.Var(addressArgument{&plan.http}, "http", "")
	set.Var(countArgument{&plan.window, 1, mostWindow}, "window", "")
	set.Var(workersArgument{&plan.workers}, "workers", "")
	set.BoolVar(&remote, "allow-remote", false, "")
	if err := parse(set, words); err != nil {
		return plan, err
	}
	if plan.form == "" {
		return plan, refusal("--form is missing; " + formsAllowed)
	}
	if plan.tcp == "" && plan.http == "" {
		plan.tcp = "127.0.0.1:7000"
	}
	for _, given := range []struct{ name, address string }{{"tcp", plan.tcp}, {"http", plan.http}} {
		host, _, _ := net.SplitHostPort(given.address)
		if given.address != "" && !remote && !net.ParseIP(host).IsLoopback() {
			return plan, refusal(fmt.Sprintf(
				"--%s %s: other machines could reach it, and the service answers everybody; an address of loopback is allowed, or give --allow-remote too",
				given.name, given.address))
		}
	}
	return plan, nil
}

func parseStress(words []string) (stressPlan, error) {
	plan := stressPlan{seconds: 10 * time.Second, depth: 1000, goroutines: 1000, megabytesASecond: 100}
	set := newArguments()
	set.Var(timeArgument{&plan.seconds, 100 * time.Millisecond}, "seconds", "")
	set.Var(countArgument{&plan.depth, 1, mostDepth}, "depth", "")
	set.Var(countArgument{&plan.goroutines, 1, mostGoroutines}, "goroutines", "")
	set.Var(countArgument{&plan.megabytesASecond, 0, mostMegabytes}, "allocate-mb-per-second", "")
	return plan, parse(set, words)
}

func newArguments() *flag.FlagSet {
	set := flag.NewFlagSet("go-orders", flag.ContinueOnError)
	set.SetOutput(io.Discard) // errors are printed by main, once
	return set
}

func parse(set *flag.FlagSet, words []string) error {
	err := set.Parse(words)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return helpWanted{}
	case err != nil && strings.Contains(err.Error(), "not defined"):
		var names []string
		set.VisitAll(func(known *flag.Flag) { names = append(names, "--"+known.Name) })
		return refusal(fmt.Sprintf("%v; %s are allowed", err, strings.Join(names, ", ")))
	case err != nil:
		return refusal(err.Error())
	case set.NArg() > 0:
		return refusal(fmt.Sprintf("%q is no argument; they begin with --", set.Arg(0)))
	}
	return nil
}

// The types below are flag.Value. Their String is only there for the flag package.

type formArgument struct{ form *string }

const formsAllowed = "heap, sync-pool and free-list are allowed"

func (formArgument) String() string { return "" }

func (a formArgument) Set(text string) error {
	if _, err := newStore(text, 1); err != nil {
		return err
	}
	*a.form = text
	return nil
}

// countArgument takes 2400000, 2.4M and 100k.
type countArgument struct {
	count     *uint64
	low, high uint64
}

func (countArgument) String() string { return "" }

func (a countArgument) Set(text string) error {
	count, ok := parseCount(text)
	if !ok || count < a.low || count > a.high {
		return fmt.Errorf("a whole number from %d to %d is allowed; 100k and 2.4M are understood", a.low, a.high)
	}
	*a.count = count
	return nil
}

func parseCount(text string) (uint64, bool) {
	if count, err := strconv.ParseUint(text, 10, 64); err == nil {
		return count, true
	}
	if len(text) < 2 {
		return 0, false
	}
	scale, ok := map[byte]float64{'k': 1e3, 'M': 1e6, 'G': 1e9}[text[len(text)-1]]
	value, err := strconv.ParseFloat(text[:len(text)-1], 64)
	count := value * scale
	// Not below zero, no fraction, and exact as a float: below 2^53. False for what is no number.
	if !ok || err != nil || !(count >= 0 && count < 1<<53) || count != math.Trunc(count) {
		return 0, false
	}
	return uint64(count), true
}

// timeArgument takes seconds, with a fraction or without.
type timeArgument struct {
	time *time.Duration
	low  time.Duration
}

func (timeArgument) String() string { return "" }

func (a timeArgument) Set(text string) error {
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds >= a.low.Seconds() && seconds <= mostTime.Seconds()) {
		return fmt.Errorf("seconds from %g to %g are allowed", a.low.Seconds(), mostTime.Seconds())
	}
	*a.time = time.Duration(math.Round(seconds * 1e9))
	return nil
}

type workersArgument struct{ workers *int }

func (workersArgument) String() string { return "" }

func (a workersArgument) Set(text string) error {
	workers, err := strconv.Atoi(text)
	if most := runtime.GOMAXPROCS(0); err != nil || workers < 1 || workers > most {
		return fmt.Errorf("1 to %d are allowed: GOMAXPROCS, which each of them takes one of", most)
	}
	*a.workers = workers
	return nil
}

// addressArgument takes 127.0.0.1:7000, [::1]:7000, or a port of 127.0.0.1; port 0 is a free one.
type addressArgument struct{ address *string }

func (addressArgument) String() string { return "" }

func (a addressArgument) Set(text string) error {
	if _, err := strconv.ParseUint(text, 10, 16); err == nil {
		text = "127.0.0.1:" + text
	}
	host, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || net.ParseIP(host) == nil {
		return errors.New("127.0.0.1:7000, [::1]:7000 or a port of 127.0.0.1 are allowed")
	}
	*a.address = text
	return nil
}
