//! Invents what a probe would have recorded of an invented run.

use std::path::Path;

use hdrhistogram::Histogram;
use tailcut_report::recording::{
    ClockPair, Dropped, FloorEntry, Frame, Interval, Meta, Pause, PauseWriter, Pauses, ProbeCost,
    ProbeMeta, Recording, RecordingError, SCHEMA, SeriesMeta, Stack, StackTable, State, Target,
    TraceWindow, Unit,
};

use super::{Dice, SECOND};

/// The thread that serves, and pauses.
pub const THREAD: u32 = 1;
pub const THRESHOLD_NS: u64 = 100_000;
pub const FLOOR_NS: u64 = 710;

/// A histogram of the probe's precision.
pub fn coarse() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 100 * SECOND, 2).expect("the bounds are valid")
}

fn series(name: &str, what: &str, unit: Unit, pause: bool) -> SeriesMeta {
    SeriesMeta {
        name: name.to_owned(),
        what: what.to_owned(),
        unit,
        pause,
        threshold_ns: if pause { THRESHOLD_NS } else { 0 },
        hooks: vec![format!("raw_tracepoint:{name}")],
        ..SeriesMeta::default()
    }
}

fn all_series() -> Vec<SeriesMeta> {
    vec![
        series("off_cpu", "off the CPU, asleep", Unit::Nanoseconds, true),
        series(
            "run_queue",
            "runnable, but not running",
            Unit::Nanoseconds,
            true,
        ),
        SeriesMeta {
            detail: Some("bytes unmapped".to_owned()),
            ..series("munmap", "inside munmap", Unit::Nanoseconds, true)
        },
        series("page_fault", "inside a page fault", Unit::Nanoseconds, true),
        SeriesMeta {
            sampling: 0.02,
            floor_ns: FLOOR_NS,
            hooks: vec!["libjemalloc.so.2:malloc+4".to_owned()],
            ..series(
                "malloc@jemalloc",
                "calls of malloc",
                Unit::Nanoseconds,
                false,
            )
        },
        SeriesMeta {
            sampling: 0.02,
            ..series(
                "malloc_size@jemalloc",
                "bytes asked for",
                Unit::Bytes,
                false,
            )
        },
        series("tlb_flush", "pages flushed at once", Unit::Count, false),
    ]
}

pub fn probe_meta(meta: &Meta, seconds: u64) -> ProbeMeta {
    let start_ns = meta.clock.monotonic_ns + SECOND;
    ProbeMeta {
        schema: SCHEMA,
        tool: "tailcut 0.1.0".to_owned(),
        state: State::Complete,
        state_reason: None,
        command: ["tailcut", "record", "-p", "4711"]
            .map(str::to_owned)
            .to_vec(),
        host: meta.host.clone(),
        // Its own pair: read a little earlier than the load generator's.
        clock: ClockPair {
            monotonic_ns: meta.clock.monotonic_ns - SECOND / 4,
            unix_ns: meta.clock.unix_ns - SECOND / 4,
        },
        start_ns,
        end_ns: start_ns + seconds * SECOND,
        target: Target {
            process: 4711,
            name: "redis-server".to_owned(),
            executable: "/usr/bin/redis-server".to_owned(),
            command: vec!["redis-server".to_owned(), "*:6379".to_owned()],
            allocators: vec!["jemalloc 5.3.0".to_owned()],
            threads: 5,
        },
        series: all_series(),
        windows: (0..seconds)
            .map(|second| TraceWindow {
                series: "malloc@jemalloc".to_owned(),
                start_ns: start_ns + second * SECOND + SECOND / 3,
                end_ns: start_ns + second * SECOND + SECOND / 3 + SECOND / 50,
                hits: 40_000,
                why_ended: if second % 3 == 0 { "time" } else { "hit count" }.to_owned(),
            })
            .collect(),
        cost: ProbeCost {
            cpu_ns_in_programs: 31_000_000,
            hits: 210_400,
            trap_ns_estimated: 24_000_000,
            share_of_target_cpu: 0.0078,
            budget: 0.01,
            tailcut_cpu_ns: 190_000_000,
            tailcut_rss_bytes: 41_000_000,
        },
        floor: vec![FloorEntry {
            site: "libjemalloc.so.2:malloc+4, push".to_owned(),
            ns: FLOOR_NS,
        }],
        dropped: vec![Dropped {
            what: "pauses over the limit of a second".to_owned(),
            count: 12,
        }],
        notes: vec!["One thread was created while probes were attached.".to_owned()],
        left_out: vec!["compaction: this kernel has no such tracepoint".to_owned()],
        call_sites: Vec::new(),
    }
}

/// What a probe would have seen of a run: among others, what held up its slowest requests.
pub fn traced(recording: &Recording, seconds: u64) -> Pauses {
    let mut pauses = Pauses {
        meta: probe_meta(&recording.meta, seconds),
        stacks: stacks(),
        ..Pauses::default()
    };
    let mut dice = Dice::new(u64::from(recording.meta.sequence) + 99);
    for second in 0..seconds {
        let start_ns = pauses.meta.start_ns + second * SECOND;
        for index in 0..pauses.meta.series.len() {
            let mut histogram = coarse();
            let kind = pauses.meta.series[index].name.clone();
            let (events, typical, longest) = match kind.as_str() {
                "off_cpu" => (180, 52_000.0, 900_000.0),
                "run_queue" => (220, 3_000.0, 4_000_000.0 + 9e6 * dice.roll()),
                "munmap" => (40, 9_000.0, 2_000_000.0 + 30e6 * dice.roll()),
                "page_fault" => (2_600, 800.0, 60_000.0),
                "malloc@jemalloc" => (40_000, 620.0, 80_000.0),
                "malloc_size@jemalloc" => (40_000, 96.0, 65_536.0),
                _ => (900, 3.0, 512.0),
            };
            let mut total = 0;
            for event in 0..events {
                let spread = (1.0 - dice.roll()).powf(-0.35);
                let value = if event == 0 {
                    longest
                } else {
                    typical * spread
                };
                let value = value.min(longest) as u64;
                histogram.saturating_record(value);
                total += value;
                let described = &mut pauses.meta.series[index];
                if described.floor_ns > 0 && value <= described.floor_ns {
                    described.under_floor += 1;
                }
                if described.pause && value >= THRESHOLD_NS {
                    let start_ns = start_ns + (dice.roll() * 0.95e9) as u64;
                    pauses.pauses.push(Pause {
                        kind: kind.clone(),
                        process: 4711,
                        thread: THREAD + 100,
                        cpu: Some(1),
                        start_ns,
                        end_ns: start_ns + value,
                        stack: (kind == "munmap").then_some(7),
                        detail: (kind == "munmap").then_some(33_554_432),
                        by: (kind == "run_queue").then(|| "stress-ng/812".to_owned()),
                    });
                }
            }
            let described = &mut pauses.meta.series[index];
            described.events += events;
            match described.unit {
                Unit::Nanoseconds => described.total_ns += total,
                Unit::Bytes => described.bytes += total,
                Unit::Count => {}
            }
            pauses.intervals.push(Interval {
                series: kind,
                start_monotonic_ns: start_ns,
                length_ns: SECOND,
                histogram,
            });
        }
    }
    // Half of the slow requests stood behind a pause of their own thread.
    for request in recording.slow.iter().step_by(2) {
        let length = request.response_ns() * 3 / 5;
        pauses.pauses.push(Pause {
            kind: "munmap".to_owned(),
            process: 4711,
            thread: request.thread,
            cpu: Some(1),
            start_ns: request.intended_ns + request.response_ns() / 5,
            end_ns: request.intended_ns + request.response_ns() / 5 + length,
            stack: Some(7),
            detail: Some(33_554_432),
            by: None,
        });
    }
    pauses
}

fn stacks() -> StackTable {
    let frame = |name: &str, module: &str| Frame {
        name: name.to_owned(),
        module: module.to_owned(),
        ..Frame::default()
    };
    StackTable {
        stacks: vec![Stack {
            id: 7,
            frames: vec![
                frame("munmap", "libc.so.6"),
                Frame {
                    file: Some("src/extent.c".to_owned()),
                    line: Some(1_284),
                    inlined: true,
                    ..frame("extent_dalloc_wrapper", "redis-server")
                },
                frame("je_arena_decay", "redis-server"),
            ],
        }],
    }
}

/// Writes them as a probe would: beside the load generator's files, or alone.
pub fn write_traced(dir: &Path, pauses: &Pauses, alone: bool) -> Result<(), RecordingError> {
    let running = ProbeMeta {
        state: State::Running,
        ..pauses.meta.clone()
    };
    let mut writer = if alone {
        PauseWriter::create_alone(dir, &running)?
    } else {
        PauseWriter::create(dir, &running)?
    };
    for interval in &pauses.intervals {
        writer.interval(
            &interval.series,
            interval.start_monotonic_ns,
            interval.length_ns,
            &interval.histogram,
        )?;
    }
    writer.pauses(&pauses.pauses)?;
    writer.stacks(&pauses.stacks)?;
    writer.finish(&pauses.meta)
}
