package main

import (
	"bytes"
	"fmt"
	"syscall"
	"testing"
	"time"
)

func ranInProcess(t *testing.T, plan inProcessPlan) []printedLine {
	t.Helper()
	var out bytes.Buffer
	if err := runInProcess(plan, &out); err != nil {
		t.Fatal(err)
	}
	return printedLines(t, out.Bytes())
}

func shortPlan(form string) inProcessPlan {
	return inProcessPlan{
		form: form, rate: 20_000, seconds: 1200 * time.Millisecond, warmup: 100 * time.Millisecond,
		window: 2_000, workers: 1, seed: 1,
	}
}

func TestEveryRequestOfTheScheduleIsAccountedForOnce(t *testing.T) {
	for _, form := range forms {
		lines := ranInProcess(t, shortPlan(form))
		if len(lines) != 4 || lines[0].Kind != "started" || lines[3].Kind != "ended" {
			t.Fatalf("%+v", lines)
		}
		requests, unserved := uint64(0), uint64(0)
		for n, line := range lines[1:3] {
			if line.Kind != "second" || line.Index != uint64(n) ||
				line.StartNs != lines[0].StartNs+uint64(n)*1_000_000_000 {
				t.Errorf("%+v", line)
			}
			if want := []uint64{20_000, 4_000}[n]; line.Due != want {
				t.Errorf("%d requests were due in second %d, not %d", line.Due, n, want)
			}
			if count(line.Response) != line.Due || count(line.Service) != line.Done {
				t.Errorf("%d of %d requests in the histograms", count(line.Response), line.Due)
			}
			for _, slow := range line.Slow {
				if slow[0] > slow[1] || slow[1] > slow[2] || slow[3] != lines[0].Workers[0].Thread {
					t.Error(slow)
				}
			}
			requests, unserved = requests+line.Done, unserved+line.Due-line.Done
		}
		if end := lines[3]; end.Requests != requests || end.Unserved != unserved || len(end.Checksum) != 16 {
			t.Errorf("%+v", end)
		}
	}
}

func TestAServiceThatCannotKeepTheScheduleShowsEveryRequestAtItsAge(t *testing.T) {
	plan := shortPlan("heap")
	plan.rate = mostRate // one every 10 ns
	plan.seconds = 300 * time.Millisecond
	lines := ranInProcess(t, plan)
	second, end := lines[1], lines[len(lines)-1]
	if second.Due != 30_000_000 || second.Done >= second.Due || count(second.Response) != second.Due {
		t.Errorf("%d due, %d done, %d in the histogram", second.Due, second.Done, count(second.Response))
	}
	if end.ScheduleKept || end.Unserved != second.Due-second.Done || end.Partial != "" {
		t.Errorf("%+v", end)
	}
	// The oldest of them waited for the whole schedule and the grace behind it.
	if last := second.Response[len(second.Response)-1][0]; last < uint64(plan.seconds) {
		t.Errorf("the longest response time is %d ns", last)
	}
}

func TestTheSameSeedGivesTheSameChecksumInEveryForm(t *testing.T) {
	seen := make(map[string]string)
	for _, seed := range []uint64{1, 2} {
		for _, form := range forms {
			plan := shortPlan(form)
			plan.seed, plan.seconds = seed, 100*time.Millisecond
			lines := ranInProcess(t, plan)
			sum := lines[len(lines)-1].Checksum
			if before, ok := seen[fmt.Sprint(seed)]; ok && before != sum {
				t.Errorf("%s gives %s, not %s", form, sum, before)
			}
			seen[fmt.Sprint(seed)] = sum
		}
	}
	if seen["1"] == seen["2"] {
		t.Error("seeds 1 and 2 give the same checksum")
	}
	// As tailcut's own service gives it for this seed and window.
	if want := "9c5edba73026e484"; seen["1"] != want {
		t.Errorf("%s, not %s", seen["1"], want)
	}
}

func TestASignalEndsARunAtOnceWithALastLine(t *testing.T) {
	plan := shortPlan("sync-pool")
	plan.seconds = time.Hour
	var out interruptedOutput
	if err := runInProcess(plan, &out); err != nil {
		t.Fatal(err)
	}
	lines := printedLines(t, out.Bytes())
	end := lines[len(lines)-1]
	if end.Kind != "ended" || end.Partial != "interrupted" || end.ScheduleKept {
		t.Errorf("%+v", end)
	}
	total := uint64(0)
	for _, line := range lines[1 : len(lines)-1] {
		total += line.Done
	}
	if total != end.Requests {
		t.Errorf("%d requests in the seconds, %d in all", total, end.Requests)
	}
}

// interruptedOutput interrupts the process shortly after its first line, in the middle of the second that follows.
type interruptedOutput struct{ bytes.Buffer }

func (o *interruptedOutput) Write(line []byte) (int, error) {
	if o.Len() == 0 {
		time.AfterFunc(500*time.Millisecond, func() { syscall.Kill(syscall.Getpid(), syscall.SIGTERM) })
	}
	return o.Buffer.Write(line)
}

func TestAStressRunComesToItsEndWithAllFramesWhole(t *testing.T) {
	var out bytes.Buffer
	plan := stressPlan{seconds: 200 * time.Millisecond, depth: 500, goroutines: 500, megabytesASecond: 50}
	if err := runStress(plan, &out); err != nil {
		t.Fatal(err)
	}
	var line struct {
		Kind                   string
		Goroutines, Frames     uint64
		AllocatedBytes, Cycles uint64
	}
	decodeLast(t, out.Bytes(), &line)
	if line.Kind != "ended" || line.Goroutines == 0 || line.Frames != line.Goroutines*plan.depth {
		t.Errorf("%+v", line)
	}
}
