//! A synthetic target: a source that needs no privileges and no process.
//!
//! It serves the tests and a first look at the screen. Everything in it follows from the number of
//! the interval, so two of them are alike. Names contain what a hostile target could put there.
//!
//! It imitates a server with two allocators: calls that are traced in a short window in each fourth
//! second, faults and system calls seen always, a burst of unmapping each 15 seconds, series that
//! never see anything, and a reclaim that lasts 80 ms once a minute.

use std::convert::Infallible;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::source::{LeftOut, Source, TargetDescription};
use crate::catalogue::{self, Series};
use crate::tick::{CallSite, Cost, SeriesTick, SlowEvent, Tick, Window};

const SECOND: u64 = 1_000_000_000;
/// What a hit is said to cost.
const FLOOR_NS: u64 = 900;
/// Share of a second that a window lasts.
const WINDOW: f64 = 0.02;

/// A made-up server.
#[derive(Debug, Clone)]
pub struct SyntheticTarget {
    /// Number of the next interval.
    interval: u64,
    ends_after: Option<u64>,
    /// When the next interval is over, if time matters.
    due: Option<Instant>,
    random: Random,
    /// Calls of jemalloc's `malloc` seen so far.
    calls: u64,
}

impl SyntheticTarget {
    /// One whose intervals are over as soon as they are asked for.
    pub fn new() -> SyntheticTarget {
        SyntheticTarget {
            interval: 0,
            ends_after: None,
            due: None,
            random: Random(0x9e37_79b9_7f4a_7c15),
            calls: 0,
        }
    }

    /// One whose intervals take a second each.
    #[must_use]
    pub fn in_real_time(self) -> SyntheticTarget {
        SyntheticTarget {
            due: Some(Instant::now() + Duration::from_secs(1)),
            ..self
        }
    }

    /// One that ends with its `intervals`th interval.
    #[must_use]
    pub fn ending_after(self, intervals: u64) -> SyntheticTarget {
        SyntheticTarget {
            ends_after: Some(intervals),
            ..self
        }
    }

    /// The next interval, whatever the time.
    pub fn tick(&mut self) -> Tick {
        let second = self.interval;
        self.interval += 1;
        let start_ns = (1000 + second) * SECOND;
        let window = second.is_multiple_of(4);
        let burst = second % 15 == 7;
        let series = self.series(window, burst, second);
        Tick {
            start_ns,
            length_ns: SECOND,
            call_sites: self.call_sites(),
            events: self.events(start_ns, burst, second),
            cost: Cost {
                runs: 41_000,
                programs_ns: 2_100_000,
                hits: if window { 20_000 } else { 0 },
                traps_ns: if window { 18_000_000 } else { 0 },
                share: if window { 0.0121 } else { 0.0013 },
                budget: 0.01,
                own_cpu_ns: 3_400_000,
                own_rss_bytes: 21 << 20,
            },
            threads: 17,
            target_cpu_ns: 1_640_000_000 + self.random.below(100_000_000),
            target_rss_bytes: (1_250 << 20) + second * 65_536,
            lost: match second {
                9 => vec![("stacks", 12)],
                _ => Vec::new(),
            },
            windows: match window {
                true => vec![Window {
                    series: "malloc,free".to_owned(),
                    start_ns,
                    end_ns: start_ns + (WINDOW * SECOND as f64) as u64,
                    hits: 20_000,
                    ended_by: "hits",
                }],
                false => Vec::new(),
            },
            lives: match second {
                3 => vec!["thread 4250 (io_thd_3) was made".to_owned()],
                _ => Vec::new(),
            },
            ended: self.ends_after.is_some_and(|last| second + 1 >= last),
            series,
        }
    }

    fn series(&mut self, window: bool, burst: bool, second: u64) -> Vec<SeriesTick> {
        let sampled = if window { WINDOW } else { 0.0 };
        let calls = |count: u64| if window { count } else { 0 };
        let mut series = Vec::new();
        for (name, allocator, count, typical) in [
            ("malloc", "jemalloc", calls(12_000), 700),
            ("free", "jemalloc", calls(11_800), 450),
            ("malloc", "glibc", calls(40), 1_400),
        ] {
            let histogram = self.values(count, typical, 30);
            let full = format!("{name}@{allocator}");
            if full == "malloc@jemalloc" {
                self.calls += histogram.len();
            }
            series.push(tick(named(name), full, histogram, sampled, 96));
        }
        let slow = if burst { 40_000 } else { 5_000 };
        let reclaim = u64::from(second % 60 == 31);
        for (name, count, typical, spread, bytes) in [
            ("mmap", 12, 9_000, 4, 1 << 20),
            ("munmap", if burst { 240 } else { 9 }, slow, 12, 4 << 20),
            ("madvise", 31, 12_000, 20, 256 << 10),
            ("page_fault", 5_200, 800, 25, 0),
            ("major_fault", 0, 0, 1, 0),
            ("futex", 830, 42_000, 60, 0),
            ("off_cpu", 120, 230_000, 8, 0),
            ("sleep", 2_600, 5_400_000, 6, 0),
            ("preempted", 21, 900_000, 3, 0),
            ("run_queue", 3_100, 11_000, 70, 0),
            ("mmap_lock", if burst { 35 } else { 2 }, 60_000, 30, 0),
            ("compaction", 0, 0, 1, 0),
            ("reclaim", reclaim, 80_000_000, 1, 0),
            ("pool_refill", 400, 32, 2, 0),
            ("otel_alloc", 22, 500_000, 2, 500_000),
        ] {
            let histogram = self.values(count, typical, spread);
            series.push(tick(named(name), name.to_owned(), histogram, 1.0, bytes));
        }
        series
    }

    /// `count` values around `typical`, the longest about `spread` times as long.
    fn values(&mut self, count: u64, typical: u64, spread: u64) -> Histogram<u64> {
        let mut histogram = empty();
        for _ in 0..count {
            // One in 64 is in the tail, one in 64 of these far out.
            let stretch = match self.random.below(4096) {
                0 => spread,
                1..=64 => 1 + spread / 4,
                _ => 1,
            };
            let value = typical * stretch * (60 + self.random.below(80)) / 100;
            histogram.saturating_record(value);
        }
        histogram
    }

    fn call_sites(&self) -> Vec<CallSite> {
        let share = |percent: u64| self.calls * percent / 100;
        [
            ("malloc@jemalloc", "sdsnewlen+0x4c (redis-server)", 60, 64),
            ("free@jemalloc", "decrRefCount+0x91 (redis-server)", 52, 0),
            ("malloc@jemalloc", "createStringObject+0x2a (redis-server)", 25, 48),
            (
                "malloc@jemalloc",
                "core::ptr::drop_in_place<alloc::vec::Vec<alloc::collections::btree::map::BTreeMap<u64, \
                 alloc::string::String>>>::h0123456789abcdef+0x3f0 (libmodule.so)",
                9,
                1200,
            ),
            ("malloc@glibc", "evil\x1b]0;title\x07\u{202e}name (libhostile.so)", 1, 16),
            ("malloc@jemalloc", "0x7f21c004d2e0", 1, 4096),
        ]
        .into_iter()
        .enumerate()
        .map(|(index, (series, symbol, part, size))| CallSite {
            series: series.to_owned(),
            address: 0x5555_0000_1000 + index as u64 * 0x100,
            symbol: symbol.to_owned(),
            calls: share(part),
            bytes: share(part) * size,
            total_ns: share(part) * 640,
            mean_lifetime_ns: (size > 0).then_some(4_200_000 << index),
        })
        .collect()
    }

    fn events(&mut self, start_ns: u64, burst: bool, second: u64) -> Vec<SlowEvent> {
        let mut events = Vec::new();
        let mut push = |name: &str, thread, after: u64, length: u64, detail, by: Option<&str>| {
            let series = named(name);
            events.push(SlowEvent {
                series: series.number,
                name: name.to_owned(),
                pause: series.pause,
                process: 4242,
                thread,
                cpu: thread % 4,
                start_ns: start_ns + after,
                end_ns: start_ns + after + length,
                detail,
                bytes: None,
                by: by.map(str::to_owned),
                caller: None,
                stack: None,
            });
        };
        if second.is_multiple_of(3) {
            let length = 1_100_000 + self.random.below(3_000_000);
            push(
                "preempted",
                4242,
                120_000_000,
                length,
                0,
                Some("ksoftirqd/1/22"),
            );
        }
        if second.is_multiple_of(5) {
            let by = Some("bad\x1b[31mname\n/666");
            push("run_queue", 4247, 300_000_000, 2_400_000, 0, by);
        }
        if burst {
            for number in 0..6 {
                let length = 1_200_000 + self.random.below(8_000_000);
                let after = 400_000_000 + number * 20_000_000;
                push("munmap", 4243 + number as u32, after, length, 4 << 20, None);
            }
            push(
                "mmap_lock",
                4242,
                410_000_000,
                5_300_000,
                0xffff_8881_0021,
                None,
            );
        }
        if second % 60 == 31 {
            push("reclaim", 4242, 500_000_000, 80_000_000, 0, None);
        }
        if second % 7 == 2 {
            push(
                "off_cpu",
                4244,
                700_000_000,
                14_000_000,
                0,
                Some("fdatasync"),
            );
        }
        events
    }
}

impl Default for SyntheticTarget {
    fn default() -> SyntheticTarget {
        SyntheticTarget::new()
    }
}

impl Source for SyntheticTarget {
    type Error = Infallible;

    fn next(&mut self, timeout: Duration) -> Result<Option<Tick>, Infallible> {
        if let Some(due) = &mut self.due {
            let left = due.saturating_duration_since(Instant::now());
            thread::sleep(left.min(timeout));
            if left > timeout {
                return Ok(None);
            }
            *due += Duration::from_secs(1);
        }
        Ok(Some(self.tick()))
    }

    fn describe(&self) -> TargetDescription {
        TargetDescription {
            name: "redis-server".to_owned(),
            process: 4242,
            command: "/usr/bin/redis-server 127.0.0.1:6379 --save \"\" \x1b[2J".to_owned(),
            age: Some(Duration::from_secs(3 * 3600 + 754)),
            allocators: vec![
                "jemalloc 5.3 (libjemalloc.so.2)".to_owned(),
                "glibc 2.36".to_owned(),
            ],
            attached: vec!["page_fault".to_owned(), "munmap".to_owned()],
            left_out: vec![
                LeftOut {
                    series: "tlb".to_owned(),
                    reason: "this kernel has no tracepoint tlb:tlb_flush".to_owned(),
                },
                LeftOut {
                    series: "slow-paths@glibc".to_owned(),
                    reason: "libc.so.6 has no symbols for them; install libc6-dbg, or use syscalls"
                        .to_owned(),
                },
            ],
            floor_ns: FLOOR_NS,
        }
    }
}

fn named(name: &str) -> Series {
    let mut all = catalogue::all().into_iter();
    all.find(|series| series.name == name)
        .expect("the synthetic target uses names of the catalogue")
}

fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 100 * SECOND, 2).expect("these bounds are valid")
}

fn tick(
    series: Series,
    name: String,
    histogram: Histogram<u64>,
    sampled: f64,
    bytes: u64,
) -> SeriesTick {
    let user_space = series.group.is_windowed();
    let floor_ns = if user_space { FLOOR_NS } else { 0 };
    let under_floor = match floor_ns {
        0 => 0,
        floor => histogram.count_between(0, floor - 1),
    };
    SeriesTick {
        total: (histogram.mean() * histogram.len() as f64) as u64,
        bytes: bytes * histogram.len(),
        series,
        name,
        sampled,
        floor_ns,
        under_floor,
        histogram,
    }
}

/// Marsaglia's xorshift64 ("Xorshift RNGs", 2003): small, and the same everywhere.
#[derive(Debug, Clone)]
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }
}
