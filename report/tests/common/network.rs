//! Invents recordings of loads on servers: one whose target is frozen for 1.4 s, one in closed loop.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use tailcut_report::recording::{
    CONNECT, FIRST_BYTE, Generator, Interval, Mark, ObjectiveResult, QUEUE_DEPTH, RESPONSE,
    Recording, ResourceSample, RunResult, SEND_LATENESS, SERVICE, Stalls,
};

use super::{Dice, POOL, SECOND, histogram, recording, slow};

/// Requests per second of these loads.
pub const RATE: u64 = 10_000;

/// A load on a server, `name`d by whoever ran it, that is frozen at `frozen` for 1.4 s.
pub fn load(name: &str, sequence: u32, seconds: u64, frozen: Option<u64>) -> Recording {
    let mut run = recording(&POOL, 1, sequence, 0);
    let start = run.meta.clock.monotonic_ns + SECOND;
    let freeze = frozen.map(|at| (start + at, start + at + 1_400_000_000));
    let mut dice = Dice::new(u64::from(sequence) + 3);
    run.meta.variant = name.to_owned();
    run.meta.command = ["tailcut", "load", "run", "checkout.toml"]
        .map(str::to_owned)
        .to_vec();
    run.meta.allocations = None;
    let load = &mut run.meta.load;
    load.rate_target = RATE as f64;
    load.duration_ns = seconds * SECOND;
    load.window = 0;
    load.form = String::new();
    load.pacing = "poisson".to_owned();
    load.pool_path = None;
    load.target = "tcp://127.0.0.1:7000".to_owned();
    load.connections = 16;
    load.pipeline = 4;
    load.timeout_ns = 5 * SECOND;
    load.seed = 42;
    load.warmup_rule = "auto: stationary after 3 s".to_owned();
    load.slo = Some("p99.9<100ms,errors<0.1%".to_owned());

    for second in 0..seconds {
        let begin = start + second * SECOND;
        let mut response = histogram();
        let mut service = histogram();
        let mut depth = Histogram::<u64>::new_with_bounds(1, 1_000_000, 3).expect("valid bounds");
        let mut lateness = histogram();
        for request in 0..RATE {
            let due = begin + request * SECOND / RATE;
            let own = (90_000.0 * (1.0 - dice.roll()).powf(-0.2)) as u64;
            let waits = freeze
                .filter(|(from, until)| (*from..*until).contains(&due))
                .map_or(0, |(_, until)| until - due);
            response.saturating_record(waits + own);
            service.saturating_record(own);
            depth.saturating_record(if waits > 0 { 4 } else { 1 });
            lateness.saturating_record((2_000.0 + 9_000.0 * dice.roll().powi(8)) as u64);
        }
        run.slow
            .extend(slow(begin, response.max(), 100_000, &mut dice));
        for (series, histogram) in [
            (RESPONSE, response),
            (FIRST_BYTE, service.clone()),
            (SERVICE, service),
            (SEND_LATENESS, lateness),
            (QUEUE_DEPTH, depth),
        ] {
            run.intervals.push(Interval {
                series: series.to_owned(),
                start_monotonic_ns: begin,
                length_ns: SECOND,
                histogram,
            });
        }
    }
    let mut connect = histogram();
    connect.saturating_record_n(180_000, 16);
    run.intervals.push(Interval {
        series: CONNECT.to_owned(),
        start_monotonic_ns: start,
        length_ns: SECOND,
        histogram: connect,
    });

    run.marks = freeze
        .map(|(start_ns, end_ns)| Mark {
            start_ns,
            end_ns,
            kind: "freeze".to_owned(),
            detail: "process 4711 stopped by SIGSTOP".to_owned(),
        })
        .into_iter()
        .collect();
    run.resources = (0..=seconds * 5)
        .map(|sample| {
            let at_ns = start + sample * SECOND / 5;
            let stood = freeze.map_or(0, |(from, until)| at_ns.clamp(from, until) - from);
            ResourceSample {
                at_ns,
                process: 4711,
                cpu_ns: (at_ns - start - stood) * 6 / 10,
                rss_bytes: (40 << 20) + sample * 300_000,
                minor_faults: sample * 70,
                major_faults: 0,
                voluntary_switches: sample * 1_900,
                involuntary_switches: sample * 3,
                run_queue_wait_ns: sample * 2_000_000,
                threads: 5,
                descriptors: 28,
                busiest_thread_ns: (at_ns - start - stood) * 5 / 10,
                allowed_millicpus: 2_000,
            }
        })
        .collect();

    let offered = RATE * seconds;
    let p999 = run.whole(RESPONSE).value_at_quantile(0.999);
    run.meta.result = Some(RunResult {
        offered,
        completed: offered - 3,
        completed_on_schedule: offered - 3,
        rate_achieved: RATE as f64,
        schedule_kept: true,
        max_rss_bytes: 31 << 20,
        stalls: Stalls {
            total_ms: 4.0,
            idle_gaps: 18,
            idle_gap_ms: 4.0,
            idle_gap_max_ns: 900_000,
            ..Stalls::default()
        },
        errors: BTreeMap::from([("timeout".to_owned(), 2), ("reset".to_owned(), 1)]),
        failed: 3,
        reconnects: 1,
        generator: Some(Generator {
            busy: 0.31,
            lateness_p50_ns: 2_100,
            lateness_p999_ns: 11_000,
            lateness_max_ns: 13_000,
            waited_for_place: 120,
            bottleneck: "none".to_owned(),
            reason: "the generator was 31% busy and late by 11 us (P99.9): neither side was at its limit"
                .to_owned(),
        }),
        objectives: vec![
            ObjectiveResult {
                objective: "p99.9<100ms".to_owned(),
                measured: p999 as f64,
                held: p999 < 100_000_000,
            },
            ObjectiveResult {
                objective: "errors<0.1%".to_owned(),
                measured: 3.0 / offered as f64,
                held: true,
            },
        ],
        ..RunResult::default()
    });
    run
}

/// The same load, in closed loop: the server's ceiling, and latencies that hide its stall.
pub fn closed(name: &str, sequence: u32, seconds: u64) -> Recording {
    let mut run = load(name, sequence, seconds, None);
    run.meta.load.closed_loop = true;
    run.meta.load.rate_target = 0.0;
    run.meta.load.slo = None;
    if let Some(result) = &mut run.meta.result {
        result.objectives.clear();
        result.schedule_kept = false;
    }
    run
}
