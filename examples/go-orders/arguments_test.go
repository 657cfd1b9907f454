package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestBadArgumentsAreRefusedByNameValueAndWhatIsAllowed(t *testing.T) {
	for _, test := range []struct {
		words string
		says  []string
	}{
		{"", []string{"in-process", "serve", "stress"}},
		{"run", []string{`"run"`, "in-process"}},
		{"in-process", []string{"--form", "heap", "sync-pool", "free-list"}},
		{"in-process --form slab", []string{"form", "slab", "free-list"}},
		{"in-process --form heap --rate 0", []string{"rate", `"0"`, "1 to 100000000"}},
		{"in-process --form heap --rate fast", []string{"rate", "fast", "2.4M"}},
		{"in-process --form heap --rate 1.5", []string{"rate", "1.5"}},
		{"in-process --form heap --rate NaNM", []string{"rate", "NaNM"}},
		{"in-process --form heap --window -1", []string{"window", "-1"}},
		{"in-process --form heap --window 1G", []string{"window", "1G", "10000000"}},
		{"in-process --form heap --seconds 0", []string{"seconds", `"0"`, "0.1 to 86400"}},
		{"in-process --form heap --seconds nan", []string{"seconds", "nan"}},
		{"in-process --form heap --warmup -1", []string{"warmup", "-1"}},
		{"in-process --form heap --workers 9999", []string{"workers", "9999", "GOMAXPROCS"}},
		{"in-process --form heap --rait 5", []string{"rait", "--rate"}},
		{"in-process --form heap 5", []string{`"5"`}},
		{"serve --form heap --tcp localhost", []string{"tcp", "localhost", "127.0.0.1:7000"}},
		{"serve --form heap --tcp 70000", []string{"tcp", "70000"}},
		{"serve --form heap --http 0.0.0.0:0", []string{"http", "0.0.0.0:0", "--allow-remote"}},
		{"stress --depth 0", []string{"depth", `"0"`}},
	} {
		var out, messages bytes.Buffer
		if code := run(strings.Fields(test.words), &out, &messages); code != exitRefused {
			t.Errorf("%q ended with %d", test.words, code)
		}
		for _, word := range test.says {
			if !strings.Contains(messages.String(), word) {
				t.Errorf("%q: %q does not say %s", test.words, messages.String(), word)
			}
		}
		if out.Len() > 0 {
			t.Errorf("%q printed %q", test.words, out.String())
		}
	}
}

func TestRatesAndTimesAreUnderstood(t *testing.T) {
	plan, err := parseInProcess(strings.Fields(
		"--form sync-pool --rate 2.4M --window=100k --seconds 1.5 --warmup 0 --seed 18446744073709551615"))
	if err != nil {
		t.Fatal(err)
	}
	want := inProcessPlan{
		form: "sync-pool", rate: 2_400_000, seconds: 1500 * time.Millisecond, window: 100_000, workers: 1, seed: 1<<64 - 1,
	}
	if plan != want {
		t.Errorf("%+v", plan)
	}
	serving, err := parseServe(strings.Fields("--form heap --tcp 0 --http [::1]:9"))
	if err != nil || serving.tcp != "127.0.0.1:0" || serving.http != "[::1]:9" {
		t.Errorf("%+v %v", serving, err)
	}
}

func TestHelpIsNoFailure(t *testing.T) {
	for _, words := range []string{"--help", "in-process -h"} {
		var out, messages bytes.Buffer
		if code := run(strings.Fields(words), &out, &messages); code != exitDone || !strings.Contains(out.String(), "--rate") {
			t.Errorf("%q: %d, %q", words, code, out.String())
		}
	}
}
