//! Simulates threads that serve requests one after another and pause at planted instants, so that it is
//! known, to the nanosecond, which pause made which request wait how long.
//!
//! The truth comes from the same queue without the pause: pauses are added one after the other, in
//! the order of time, and what each adds to a request's response is what that pause owes it. Blame
//! never sees any of this; it sees what a recording holds.
#![allow(dead_code)] // each test binary uses its own part

use std::collections::BTreeMap;

/// A second, in nanoseconds.
pub const SECOND: u64 = 1_000_000_000;

/// A small generator of its own, so that a failure can be repeated.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// From 0 up to 1.
    pub fn roll(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// What runs.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub seed: u64,
    pub threads: u32,
    pub seconds: u64,
    /// Requests per second of each thread.
    pub rate: f64,
    /// Share of its time that a thread works.
    pub utilisation: f64,
    /// Whether requests come at random instants, and take random times.
    pub random: bool,
    /// The slowest requests that are kept of each second and thread.
    pub kept: usize,
}

/// A pause on purpose, as a probe would list it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planted {
    pub thread: u32,
    pub kind: usize,
    pub start_ns: u64,
    pub end_ns: u64,
}

/// A kept request with the truth about it.
#[derive(Debug, Clone)]
pub struct Served {
    pub thread: u32,
    pub request: u64,
    pub due_ns: u64,
    pub start_ns: u64,
    pub end_ns: u64,
    /// What each kind of pause added to its response.
    pub truth: BTreeMap<usize, u64>,
}

/// All that came of it.
#[derive(Debug, Default)]
pub struct Simulated {
    pub kept: Vec<Served>,
    /// Service times of all requests.
    pub service: Vec<u64>,
    /// The requests of each second, all threads together.
    pub responses: Vec<u64>,
}

/// Pauses spread over a run: of each kind, of many lengths, some near the end of a second, a third of
/// them with another kind within.
pub fn planted(load: &Load, kinds: usize, each: u64, begin_ns: u64) -> Vec<Planted> {
    let mut dice = Dice::new(load.seed + 1);
    let mut all = Vec::new();
    for thread in 1..=load.threads {
        let slice = load.seconds * SECOND / (each + 1);
        for nth in 0..each {
            let kind = (dice.roll() * kinds as f64) as usize;
            let length = (400_000.0 * 80f64.powf(dice.roll())) as u64;
            let at = begin_ns + slice / 4 + nth * slice;
            let mut start_ns = at + (dice.roll() * slice as f64 / 2.0) as u64;
            if dice.roll() < 0.3 {
                // Ends just before a second does, so that only its backlog is left for the next.
                let next = (start_ns - begin_ns).div_ceil(SECOND) * SECOND + begin_ns;
                start_ns = next - length - length / 20;
            }
            let end_ns = start_ns + length;
            all.push(Planted {
                thread,
                kind,
                start_ns,
                end_ns,
            });
            if dice.roll() < 0.34 {
                all.push(Planted {
                    thread,
                    kind: (kind + 1) % kinds,
                    start_ns: start_ns + length / 4,
                    end_ns: start_ns + length / 2,
                });
            }
        }
    }
    all
}

/// Serves the load from `begin_ns` on.
pub fn simulate(load: &Load, planted: &[Planted], begin_ns: u64) -> Simulated {
    let mut simulated = Simulated::default();
    for thread in 1..=load.threads {
        let arrivals = arrivals(load, thread, begin_ns);
        let pieces = pieces(planted.iter().filter(|pause| pause.thread == thread));
        let mut truth: Vec<BTreeMap<usize, u64>> = vec![BTreeMap::new(); arrivals.len()];
        let mut served = serve(&arrivals, &[]);
        for count in 1..=pieces.len() {
            let next = serve(&arrivals, &pieces[..count]);
            let kind = pieces[count - 1].2;
            for ((truth, before), after) in truth.iter_mut().zip(&served).zip(&next) {
                if after.1 > before.1 {
                    *truth.entry(kind).or_default() += after.1 - before.1;
                }
            }
            served = next;
        }
        let mut by_second: BTreeMap<u64, Vec<Served>> = BTreeMap::new();
        for (place, (&(due_ns, _), &(start_ns, end_ns))) in arrivals.iter().zip(&served).enumerate()
        {
            simulated.service.push(end_ns - start_ns);
            simulated.responses.push(end_ns - due_ns);
            let second = by_second.entry((due_ns - begin_ns) / SECOND).or_default();
            second.push(Served {
                thread,
                request: place as u64,
                due_ns,
                start_ns,
                end_ns,
                truth: std::mem::take(&mut truth[place]),
            });
        }
        for (_, mut second) in by_second {
            second.sort_by_key(|request| std::cmp::Reverse(request.end_ns - request.due_ns));
            second.truncate(load.kept);
            simulated.kept.extend(second);
        }
    }
    simulated
}

/// When each request is due, and how long it takes.
fn arrivals(load: &Load, thread: u32, begin_ns: u64) -> Vec<(u64, u64)> {
    let mut dice = Dice::new(load.seed * 31 + u64::from(thread));
    let gap = 1e9 / load.rate;
    let mut at = gap * f64::from(thread) / f64::from(load.threads);
    let mut arrivals = Vec::new();
    while at < (load.seconds * SECOND) as f64 {
        let spread = if load.random { 0.5 + dice.roll() } else { 1.0 };
        let takes = load.utilisation * gap * spread;
        arrivals.push((begin_ns + at as u64, (takes as u64).max(1)));
        at += match load.random {
            true => -gap * (1.0 - dice.roll()).ln(),
            false => gap,
        };
    }
    arrivals
}

/// The pauses of a thread without overlap, the inner ones cut out of the outer: start, end, kind.
fn pieces<'a>(pauses: impl Iterator<Item = &'a Planted>) -> Vec<(u64, u64, usize)> {
    let pauses: Vec<&Planted> = pauses.collect();
    let mut edges: Vec<u64> = pauses
        .iter()
        .flat_map(|pause| [pause.start_ns, pause.end_ns])
        .collect();
    edges.sort_unstable();
    edges.dedup();
    let innermost = |at: u64| {
        pauses
            .iter()
            .filter(|pause| (pause.start_ns..pause.end_ns).contains(&at))
            .max_by_key(|pause| (pause.start_ns, std::cmp::Reverse(pause.end_ns)))
    };
    edges
        .windows(2)
        .filter_map(|edge| Some((edge[0], edge[1], innermost(edge[0])?.kind)))
        .collect()
}

/// Start and end of each request on a thread that serves them in order.
fn serve(arrivals: &[(u64, u64)], pauses: &[(u64, u64, usize)]) -> Vec<(u64, u64)> {
    let mut free = 0;
    let mut next = 0;
    let serve = |&(due, takes): &(u64, u64)| {
        let mut start = free.max(due);
        while next < pauses.len() && pauses[next].1 <= start {
            next += 1;
        }
        // An idle thread that pauses does not see what becomes due.
        while next < pauses.len() && pauses[next].0 <= start {
            start = start.max(pauses[next].1);
            next += 1;
        }
        let mut end = start + takes;
        while next < pauses.len() && pauses[next].0 < end {
            end += pauses[next].1 - pauses[next].0;
            next += 1;
        }
        free = end;
        (start, end)
    };
    arrivals.iter().map(serve).collect()
}
