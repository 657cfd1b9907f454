//! Invents recordings that look like those of real runs, the same at every call.
#![allow(dead_code)] // each test binary uses its own part

pub mod hostile;
pub mod network;
pub mod sections;
pub mod traced;

use std::path::Path;

use hdrhistogram::Histogram;
use tailcut_report::recording::{
    Allocations, ClockPair, Host, Interval, Load, Meta, RESPONSE, Recording, RecordingError,
    RunResult, SCHEMA, SERVICE, SlowRequest, Stalls, State, Writer,
};

pub const RATE: f64 = 2_400_000.0;
pub const SECOND: u64 = 1_000_000_000;
const CHECKSUM: &str = "8f3a61d20c9e4b75";

/// How a variant behaves.
#[derive(Clone, Copy)]
pub struct Profile {
    pub variant: &'static str,
    allocator: &'static str,
    /// Typical service time.
    service_ns: u64,
    /// Pauses of a second: how many, and the longest.
    pauses: u32,
    pause_ns: u64,
    /// Share of the time in service.
    busy: f64,
    /// Backlog gained in each second, for who cannot keep up.
    falls_behind_ns: u64,
    allocations: f64,
    bytes: f64,
}

pub const NOOP: Profile = Profile {
    variant: "noop",
    allocator: "none",
    service_ns: 22,
    pauses: 19,
    pause_ns: 240_000,
    busy: 0.05,
    falls_behind_ns: 0,
    allocations: 0.0,
    bytes: 0.0,
};
pub const SYSTEM: Profile = Profile {
    variant: "heap_system",
    allocator: "glibc 2.36",
    service_ns: 330,
    pauses: 6,
    pause_ns: 90_000_000,
    busy: 1.0,
    falls_behind_ns: 210_000_000,
    allocations: 11.4,
    bytes: 1_720.0,
};
pub const JEMALLOC: Profile = Profile {
    variant: "heap_jemalloc",
    allocator: "jemalloc 5.3.0",
    service_ns: 212,
    pauses: 4,
    pause_ns: 48_000_000,
    busy: 0.78,
    falls_behind_ns: 0,
    allocations: 11.4,
    bytes: 1_720.0,
};
pub const MIMALLOC: Profile = Profile {
    variant: "heap_mimalloc",
    allocator: "mimalloc 2.1.7",
    service_ns: 240,
    pauses: 4,
    pause_ns: 120_000_000,
    busy: 0.83,
    falls_behind_ns: 0,
    allocations: 11.4,
    bytes: 1_720.0,
};
pub const POOL: Profile = Profile {
    variant: "pool",
    allocator: "jemalloc 5.3.0",
    service_ns: 118,
    pauses: 20,
    pause_ns: 260_000,
    busy: 0.41,
    falls_behind_ns: 0,
    allocations: 0.0,
    bytes: 0.0,
};
pub const ALL: [Profile; 5] = [NOOP, SYSTEM, JEMALLOC, MIMALLOC, POOL];

/// A small generator of its own, so that the page never changes by itself.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Between 0 and 1.
    pub fn roll(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 100 * SECOND, 3).expect("the bounds are valid")
}

pub fn meta(profile: &Profile, run: u32, sequence: u32, seconds: u64) -> Meta {
    let start = 5_000_000_000_000 + u64::from(sequence) * (seconds + 2) * SECOND;
    let offered = RATE as u64 * seconds;
    let lag = profile.falls_behind_ns as f64 / 1e9;
    let finished = (offered as f64 * (1.0 - lag)) as u64;
    Meta {
        schema: SCHEMA,
        tool: "tailcut 0.1.0".to_owned(),
        state: State::Complete,
        state_reason: None,
        variant: profile.variant.to_owned(),
        label: String::new(),
        run,
        sequence,
        command: ["tailcut", "demo", "--rate", "2400000", "--duration", "7s"]
            .map(str::to_owned)
            .to_vec(),
        host: Host {
            os: "linux".to_owned(),
            kernel: "6.18.5".to_owned(),
            arch: "x86_64".to_owned(),
            cpu_model: "AMD EPYC 9B14".to_owned(),
            cpus: 2,
            memory_bytes: 25_200_000_000,
            libc: "glibc 2.36".to_owned(),
            allocator: profile.allocator.to_owned(),
            transparent_huge_pages: "madvise".to_owned(),
            privileged: false,
        },
        clock: ClockPair {
            monotonic_ns: start - SECOND,
            unix_ns: 1_800_000_000_000_000_000 + start,
        },
        load: Load {
            rate_target: RATE,
            duration_ns: seconds * SECOND,
            warmup_ns: SECOND,
            window: 120_000,
            workers: 1,
            worker_cpus: vec![1],
            form: "inline".to_owned(),
            pacing: "constant".to_owned(),
            clock_source: "tsc".to_owned(),
            clock_cost_ns: 9.4,
            pool_path: (profile.variant == "pool").then(|| "rseq".to_owned()),
            ..Load::default()
        },
        result: Some(RunResult {
            offered,
            completed: offered,
            completed_on_schedule: finished,
            unserved: 0,
            rejected: 0,
            rate_achieved: finished as f64 / seconds as f64,
            schedule_kept: profile.falls_behind_ns == 0,
            checksum: if profile.variant == "noop" {
                "0000000000000000".to_owned()
            } else {
                CHECKSUM.to_owned()
            },
            settled_windows: offered / 120_000,
            cpu_busy: profile.busy,
            max_rss_bytes: 60_000_000 + (profile.bytes * 240_000.0) as u64,
            stalls: Stalls {
                total_ms: 3.1 + f64::from(sequence) * 0.7,
                idle_gaps: 41,
                idle_gap_ms: 2.2,
                idle_gap_max_ns: 310_000 + u64::from(sequence) * 17_000,
                busy_stalls: 3,
                busy_stall_ms: 0.9,
                run_queue_wait_ms: 1.4,
                steal_ms: 0.0,
                involuntary_switches: 12,
                major_faults: 0,
                minor_faults: 4_210,
            },
            slow_dropped: 18_204,
            ..RunResult::default()
        }),
        allocations: Some(Allocations {
            requests: 1_200_000,
            allocations_per_request: profile.allocations,
            frees_per_request: profile.allocations,
            bytes_per_request: profile.bytes,
        }),
    }
}

/// One second of a profile: response and service times of 2.4 million requests.
pub fn second(profile: &Profile, second: u64, dice: &mut Dice) -> (Histogram<u64>, Histogram<u64>) {
    let (mut response, mut service) = (histogram(), histogram());
    let behind = profile.falls_behind_ns * second;
    let mut delayed = 0u64;
    for _ in 0..profile.pauses {
        // A pause of S at utilisation rho delays the requests of S / (1 - rho), evenly up to S.
        let length = profile.pause_ns as f64 * dice.roll().powi(2).max(0.02);
        let steps = 64u64;
        let each = (RATE * length / 1e9 / (1.0 - profile.busy.min(0.95))) as u64 / steps;
        let each = each.clamp(1, RATE as u64 / 8 / steps);
        for step in 1..=steps {
            let value = (length * step as f64 / steps as f64) as u64;
            response.saturating_record_n(value.max(1) + behind, each);
        }
        delayed += each * steps;
        service.saturating_record(length as u64);
    }
    let groups = 800u64;
    let each = RATE as u64 / groups;
    let undelayed = (RATE as u64).saturating_sub(delayed) / groups;
    for group in 0..groups {
        // A long-tailed body: most near the typical time, a few several times that.
        let spread = (1.0 - dice.roll()).powf(-0.22);
        let time = (profile.service_ns as f64 * (0.85 + 0.1 * dice.roll()) * spread) as u64;
        service.saturating_record_n(time, each);
        let backlog = behind + profile.falls_behind_ns * group / groups;
        response.saturating_record_n(time + 20 + backlog, undelayed);
    }
    (response, service)
}

/// The slowest requests of one second.
pub fn slow(start_ns: u64, worst_ns: u64, service_ns: u64, dice: &mut Dice) -> Vec<SlowRequest> {
    (0..6u64)
        .map(|rank| {
            let intended_ns = start_ns + (dice.roll() * 0.9e9) as u64;
            let response = worst_ns - worst_ns * rank / 40;
            let service = (service_ns as f64 * (1.0 + dice.roll())) as u64;
            SlowRequest {
                intended_ns,
                start_ns: intended_ns + response.saturating_sub(service),
                end_ns: intended_ns + response,
                thread: 1,
                request: (intended_ns % SECOND) * 24 / 10_000,
            }
        })
        .collect()
}

/// A whole recording in memory.
pub fn recording(profile: &Profile, run: u32, sequence: u32, seconds: u64) -> Recording {
    let meta = meta(profile, run, sequence, seconds);
    let mut dice = Dice::new(u64::from(sequence) + 7);
    let mut recording = Recording {
        dir: format!("{}-{run}", profile.variant).into(),
        intervals: Vec::new(),
        slow: Vec::new(),
        marks: Vec::new(),
        resources: Vec::new(),
        pool: Vec::new(),
        not_read: 0,
        torn: false,
        pauses: None,
        meta,
    };
    for index in 0..seconds {
        let start_monotonic_ns = recording.meta.clock.monotonic_ns + (1 + index) * SECOND;
        let (response, service) = second(profile, index, &mut dice);
        recording.slow.extend(slow(
            start_monotonic_ns,
            response.max(),
            profile.service_ns,
            &mut dice,
        ));
        for (series, histogram) in [(RESPONSE, response), (SERVICE, service)] {
            recording.intervals.push(Interval {
                series: series.to_owned(),
                start_monotonic_ns,
                length_ns: SECOND,
                histogram,
            });
        }
    }
    recording
}

/// Writes a recording as the engine would.
pub fn write(dir: &Path, recording: &Recording) -> Result<(), RecordingError> {
    let running = Meta {
        state: State::Running,
        result: None,
        ..recording.meta.clone()
    };
    let mut writer = Writer::create(dir, &running)?;
    for interval in &recording.intervals {
        writer.interval(
            &interval.series,
            interval.start_monotonic_ns,
            interval.length_ns,
            &interval.histogram,
        )?;
    }
    writer.slow(&recording.slow)?;
    writer.marks(&recording.marks)?;
    writer.resources(&recording.resources)?;
    writer.pool(&recording.pool)?;
    writer.finish(&recording.meta)
}

/// All variants, interleaved A B B A, one folder each.
pub fn write_demo(dir: &Path, runs: u32, seconds: u64) -> Result<(), RecordingError> {
    let mut sequence = 0;
    for run in 1..=runs {
        let mut order = ALL;
        if run % 2 == 0 {
            order.reverse();
        }
        for profile in order {
            let recording = recording(&profile, run, sequence, seconds);
            write(
                &dir.join(format!("{sequence:02}-{}", profile.variant)),
                &recording,
            )?;
            sequence += 1;
        }
    }
    Ok(())
}
