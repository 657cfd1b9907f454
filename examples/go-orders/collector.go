package main

import (
	"runtime/debug"
	"runtime/metrics"
)

// collectorFigures is what the runtime says about its collector and heap, from the process's start.
type collectorFigures struct {
	Cycles       int64  `json:"cycles"`
	PauseTotalNs int64  `json:"pause_total_ns"`
	AssistCPUNs  *int64 `json:"assist_cpu_ns"` // nil before Go 1.20, which does not say
	mallocs      uint64
	allocated    uint64 // bytes
}

// A collectorReader reads them without stopping the world, as runtime.ReadMemStats would: that would
// be one more pause in what is measured.
type collectorReader struct {
	pauses  debug.GCStats
	samples [4]metrics.Sample
}

func newCollectorReader() *collectorReader {
	r := &collectorReader{}
	for n, name := range [...]string{
		"/gc/heap/allocs:objects",
		"/gc/heap/tiny/allocs:objects",
		"/gc/heap/allocs:bytes",
		"/cpu/classes/gc/mark/assist:cpu-seconds",
	} {
		r.samples[n].Name = name
	}
	r.read() // what is allocated once is allocated now
	return r
}

func (r *collectorReader) read() collectorFigures {
	debug.ReadGCStats(&r.pauses)
	metrics.Read(r.samples[:])
	figures := collectorFigures{
		Cycles:       r.pauses.NumGC,
		PauseTotalNs: int64(r.pauses.PauseTotal),
		mallocs:      r.samples[0].Value.Uint64() + r.samples[1].Value.Uint64(),
		allocated:    r.samples[2].Value.Uint64(),
	}
	if assist := r.samples[3].Value; assist.Kind() == metrics.KindFloat64 {
		ns := int64(assist.Float64() * 1e9)
		figures.AssistCPUNs = &ns
	}
	return figures
}

// since gives what came between an earlier reading and this one.
func (f collectorFigures) since(earlier collectorFigures) collectorFigures {
	f.Cycles -= earlier.Cycles
	f.PauseTotalNs -= earlier.PauseTotalNs
	f.mallocs -= earlier.mallocs
	f.allocated -= earlier.allocated
	if f.AssistCPUNs != nil && earlier.AssistCPUNs != nil {
		ns := *f.AssistCPUNs - *earlier.AssistCPUNs
		f.AssistCPUNs = &ns
	}
	return f
}
