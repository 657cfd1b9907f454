// Go-orders is a small order service, kept in three forms that differ only in where an order lies:
// on the heap, in a sync.Pool, or in one preallocated block. It exists to be measured: by itself
// (in-process), over the network (serve), and by a tracer that must not break it (stress).
//
// Files, in the order of a request: arguments, wire, service (with rules), then a file for each
// form (request, pooled, free_list; metadata). What measures: worker, pacing, histogram, slow, clock. What
// reports: conduct, output, collector.
//
// Linux only. Standard library only, so that `go build` needs no network.
package main

import (
	"fmt"
	"io"
	"os"
)

const usage = `go-orders: an order service in three forms, made to be measured

  go-orders in-process --form heap|sync-pool|free-list [--rate 2.4M] [--seconds 10] [--warmup 1]
                       [--window 100000] [--workers 1] [--seed 1]
  go-orders serve      --form heap|sync-pool|free-list [--tcp 127.0.0.1:0] [--http 127.0.0.1:0]
                       [--window 120000] [--workers 1] [--allow-remote]
  go-orders stress     [--seconds 10] [--depth 1000] [--goroutines 1000] [--allocate-mb-per-second 100]

Each prints one JSON object a line on standard output; README.md says what they hold.
Exit status: 0 done; 1 failed; 2 bad arguments.
`

const (
	exitDone    = 0
	exitFailed  = 1
	exitRefused = 2
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(arguments []string, out, messages io.Writer) int {
	if len(arguments) == 0 {
		fmt.Fprint(messages, usage)
		return exitRefused
	}
	mode, rest := arguments[0], arguments[1:]
	var err error
	switch mode {
	case "in-process":
		var plan inProcessPlan
		if plan, err = parseInProcess(rest); err == nil {
			err = runInProcess(plan, out)
		}
	case "serve":
		var plan servePlan
		if plan, err = parseServe(rest); err == nil {
			err = runServe(plan, out)
		}
	case "stress":
		var plan stressPlan
		if plan, err = parseStress(rest); err == nil {
			err = runStress(plan, out)
		}
	case "help", "-h", "-help", "--help":
		fmt.Fprint(out, usage)
		return exitDone
	default:
		err = refusal(fmt.Sprintf("mode %q; in-process, serve and stress are allowed", mode))
	}
	switch err.(type) {
	case nil:
		return exitDone
	case helpWanted:
		fmt.Fprint(out, usage)
		return exitDone
	case refusal:
		fmt.Fprintf(messages, "go-orders: %v\n", err)
		return exitRefused
	default:
		fmt.Fprintf(messages, "go-orders: %v\n", err)
		return exitFailed
	}
}
