//! Invents what the sections on pool and allocator are made of.

use tailcut_report::recording::{
    CallSite, Frame, Interval, Pause, Pauses, PoolSample, PoolSizing, Recording, SeriesMeta, Stack,
    Unit,
};

use super::traced::{FLOOR_NS, THREAD, THRESHOLD_NS, coarse, traced};
use super::{Dice, SECOND};

/// Capacity of the invented pool.
pub const CAPACITY: u64 = 131_072;
/// The most of it that is in use.
pub const PEAK: u64 = 120_000;

/// Adds samples of a pool of 131,072 whose windows of 120,000 are settled at once, 20 times a second.
pub fn with_pool(mut recording: Recording, seconds: u64) -> Recording {
    let start = recording.meta.clock.monotonic_ns + SECOND;
    let mut dice = Dice::new(5);
    recording.pool = (0..=seconds)
        .map(|second| PoolSample {
            at_ns: start + second * SECOND + second * 3_000_000,
            capacity: CAPACITY,
            in_use: 117,
            in_use_mean: (59_000.0 + 2_000.0 * dice.roll()).round(),
            in_use_max: PEAK - (900.0 * dice.roll()) as u64,
            looks: 196,
            high_water: PEAK + 64,
            in_depot: CAPACITY - 117 - 64,
            at_hand: 64,
            gets: 2_400_000 * (second + 1),
            refills: 75_000 * (second + 1),
            spills: 12 * second,
            steals: 3 * second,
            ..PoolSample::default()
        })
        .collect();
    if let Some(result) = &mut recording.meta.result {
        result.pool_sizing = Some(PoolSizing {
            rate: 2_400_000.0,
            held_ns: 25_000_000,
            in_use: 60_000.0,
            capacity: 131_072,
            back_pressure_at: 98_304,
            capacity_for_peak: 262_144,
        });
    }
    recording
}

/// What a probe would have seen of a run with all series of the allocator's.
pub fn allocating(recording: &Recording, seconds: u64) -> Pauses {
    let mut pauses = traced(recording, seconds);
    let series = |name: &str, what: &str| SeriesMeta {
        name: name.to_owned(),
        what: what.to_owned(),
        pause: true,
        threshold_ns: THRESHOLD_NS,
        sampling: 0.02,
        floor_ns: FLOOR_NS,
        detail: Some("bytes".to_owned()),
        ..SeriesMeta::default()
    };
    let own = [
        SeriesMeta {
            sizes: vec![0, 0, 0, 0, 40_000, 90_000, 12_000, 3_000, 0, 0, 60],
            ..series("malloc", "calls that allocate")
        },
        series("free", "calls that free"),
        SeriesMeta {
            floor_ns: 0,
            ..series("malloc_os", "the allocator gets memory from the system")
        },
        SeriesMeta {
            pause: false,
            threshold_ns: 0,
            unit: Unit::Nanoseconds,
            ..series(
                "lifetime",
                "allocation to free within one window, of sampled addresses",
            )
        },
    ];
    let first = pauses.meta.series.len();
    pauses.meta.series.extend(own);
    let mut dice = Dice::new(11);
    for second in 0..seconds {
        let start_ns = pauses.meta.start_ns + second * SECOND;
        for place in first..pauses.meta.series.len() {
            let described = &mut pauses.meta.series[place];
            let (events, typical, power) = match described.name.as_str() {
                "malloc" => (30_000_u64, 620.0, -0.9),
                "free" => (30_000, 500.0, -0.7),
                "malloc_os" => (40, 90_000.0, -0.9),
                _ => (900, 30_000.0, -1.2),
            };
            let mut histogram = coarse();
            for _ in 0..events {
                let ns = (typical * (1.0 - dice.roll()).powf(power)).min(3e7) as u64;
                histogram.saturating_record(ns);
                described.under_floor += u64::from(ns <= described.floor_ns);
                if described.pause && ns >= THRESHOLD_NS {
                    let start_ns = start_ns + (dice.roll() * 0.9e9) as u64;
                    pauses.pauses.push(Pause {
                        kind: described.name.clone(),
                        thread: THREAD + 100,
                        start_ns,
                        end_ns: start_ns + ns,
                        stack: Some(100 + (dice.roll() * 4.0) as u32),
                        detail: Some(4_096),
                        ..Pause::default()
                    });
                }
            }
            described.events += events;
            pauses.intervals.push(Interval {
                series: described.name.clone(),
                start_monotonic_ns: start_ns,
                length_ns: SECOND,
                histogram,
            });
        }
    }
    pauses.stacks.stacks.extend(stacks());
    pauses.meta.call_sites = [
        ("malloc", "accept_order (orders)", 90_000, Some(4_000_000)),
        ("malloc", "copy_metadata (orders)", 41_000, Some(900_000)),
        ("free", "settle_window (orders)", 120_000, None),
    ]
    .into_iter()
    .map(|(series, place, calls, mean_lifetime_ns)| CallSite {
        series: series.to_owned(),
        place: place.to_owned(),
        calls,
        bytes: calls * 96,
        total_ns: calls * 900,
        mean_lifetime_ns,
    })
    .collect();
    pauses
}

fn stacks() -> Vec<Stack> {
    let frame = |(name, module): (&str, &str)| Frame {
        name: name.to_owned(),
        module: module.to_owned(),
        ..Frame::default()
    };
    let outer = [
        ("handle", "orders"),
        ("serve", "orders"),
        ("main", "orders"),
    ];
    let paths: [&[(&str, &str)]; 4] = [
        &[
            ("sysmalloc", "libc.so.6"),
            ("_int_malloc", "libc.so.6"),
            ("malloc", "libc.so.6"),
            ("accept_order", "orders"),
        ],
        &[
            ("malloc_consolidate", "libc.so.6"),
            ("_int_free", "libc.so.6"),
            ("free", "libc.so.6"),
            ("settle_window", "orders"),
        ],
        &[
            ("unmap_region", "[kernel]"),
            ("munmap", "libc.so.6"),
            ("systrim", "libc.so.6"),
            ("settle_window", "orders"),
        ],
        &[("malloc", "libc.so.6"), ("copy_metadata", "orders")],
    ];
    (100..)
        .zip(paths)
        .map(|(id, path)| Stack {
            id,
            frames: path.iter().copied().chain(outer).map(frame).collect(),
        })
        .collect()
}
