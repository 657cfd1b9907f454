//! Writes what a session sees into a recording.
//!
//! Each second's histograms and slow events are in the files when [`Recorder::tick`] returns, and
//! `probe.json` says how far it has come: a recording cut off at any moment can be read.

use std::collections::BTreeMap;
use std::path::Path;

use tailcut_report::recording::{
    CallSite, ClockPair, Dropped, FloorEntry, Host, Pause, PauseWriter, ProbeMeta, RecordingError,
    SCHEMA, SeriesMeta, StackTable, State, Target, TraceWindow, Unit,
};

use crate::catalogue;
use crate::session::{threshold_of_pause, usage};
use crate::tick::{self, SeriesTick, SlowEvent, Tick, Window};

/// Pauses that one recording holds; more are counted as dropped. About 100 MB of text.
const MOST_PAUSES: u64 = 500_000;
/// Windows that one recording lists; more are counted as dropped.
const MOST_WINDOWS: usize = 20_000;

/// Ticks from one replacing of `probe.json` to the next.
const TICKS_BETWEEN_UPDATES: u64 = 10;

/// What a recording says about itself that a session does not know.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The program that records, with its version.
    pub tool: String,
    /// What was typed.
    pub command: Vec<String>,
    /// The machine.
    pub host: Host,
    /// The target.
    pub target: Target,
    /// What hits of probe sites cost here.
    pub floor: Vec<FloorEntry>,
    /// What was asked for and cannot be had, with the reason.
    pub left_out: Vec<String>,
    /// Anything else that a reader should know.
    pub notes: Vec<String>,
    /// Calls of each allocating series by size: see [`Session::sizes`](crate::Session::sizes).
    pub sizes: Vec<(String, Vec<u64>)>,
}

/// A recording that is being written.
pub struct Recorder {
    writer: PauseWriter,
    meta: ProbeMeta,
    threshold_ns: u64,
    seen: BTreeMap<String, Seen>,
    lost: BTreeMap<&'static str, u64>,
    pauses: u64,
    ticks: u64,
    reference_ns: u64,
}

/// Sums of a series over the recording.
#[derive(Debug, Clone, Default)]
struct Seen {
    /// Of all that there was to see, what was seen.
    seen: f64,
    all: f64,
}

impl Recorder {
    /// Begins a recording in `dir`: a folder of its own if `alone`, else one that a load generator
    /// writes into, too. `threshold_ns` is what the session was told; `start_ns` is when the first
    /// interval begins that will be recorded.
    ///
    /// # Errors
    /// [`RecordingError`] if the folder is not empty, or cannot be written.
    pub fn create(
        dir: &Path,
        alone: bool,
        about: About,
        threshold_ns: u64,
        start_ns: u64,
    ) -> Result<Recorder, RecordingError> {
        let now = usage::now();
        let ago = now.saturating_sub(start_ns);
        let meta = ProbeMeta {
            schema: SCHEMA,
            tool: about.tool,
            state: State::Running,
            command: about.command,
            host: about.host,
            clock: ClockPair {
                monotonic_ns: start_ns,
                unix_ns: usage::wall_clock().saturating_sub(ago),
            },
            start_ns,
            end_ns: start_ns,
            target: about.target,
            floor: about.floor,
            notes: about.notes,
            left_out: about.left_out,
            ..ProbeMeta::default()
        };
        let writer = if alone {
            PauseWriter::create_alone(dir, &meta)?
        } else {
            PauseWriter::create(dir, &meta)?
        };
        Ok(Recorder {
            writer,
            meta,
            threshold_ns,
            seen: BTreeMap::new(),
            lost: BTreeMap::new(),
            pauses: 0,
            ticks: 0,
            reference_ns: 0,
        })
    }

    /// Adds an interval. One that began before the recording is left out: its figures are of
    /// another time.
    ///
    /// # Errors
    /// [`RecordingError::Io`] if a file cannot take it: a full disk, say. What was written before
    /// stays.
    pub fn tick(&mut self, tick: &Tick) -> Result<(), RecordingError> {
        if tick.start_ns < self.meta.clock.monotonic_ns {
            return Ok(());
        }
        for series in &tick.series {
            if !series.histogram.is_empty() {
                self.writer.interval(
                    &series.name,
                    tick.start_ns,
                    tick.length_ns,
                    &series.histogram,
                )?;
            }
            self.sum_up(series, tick);
        }
        let room = MOST_PAUSES.saturating_sub(self.pauses) as usize;
        let events = &tick.events[..tick.events.len().min(room)];
        let pauses: Vec<Pause> = events.iter().map(pause).collect();
        self.writer.pauses(&pauses)?;
        self.pauses += pauses.len() as u64;
        let beyond = tick.events.len() - pauses.len();
        if beyond != 0 {
            *self
                .lost
                .entry("pauses beyond what a recording holds")
                .or_default() += beyond as u64;
        }
        for (what, count) in &tick.lost {
            *self.lost.entry(what).or_default() += count;
        }
        for window in &tick.windows {
            if self.meta.windows.len() < MOST_WINDOWS {
                self.meta.windows.push(trace_window(window));
            } else {
                *self
                    .lost
                    .entry("windows beyond what a recording lists")
                    .or_default() += 1;
            }
        }
        self.account(tick);
        // A flush to the device is work for the kernel, on the target's CPUs too: the sums may be
        // some seconds old in a recording that was cut off, its intervals and pauses are not.
        let is_due = self.ticks.is_multiple_of(TICKS_BETWEEN_UPDATES);
        self.ticks += 1;
        if is_due {
            self.writer.update(&self.meta)?;
        }
        Ok(())
    }

    fn sum_up(&mut self, tick: &SeriesTick, interval: &Tick) {
        let seen = self.seen.entry(tick.name.clone()).or_default();
        // Of calls a share of the target's work was seen, of pauses a share of the time.
        let all = match tick.series.group.has_sites() {
            true => interval
                .target_cpu_ns
                .saturating_sub(interval.cost.traps_ns)
                .max(1),
            false => interval.length_ns,
        } as f64;
        seen.seen += all * tick.sampled;
        seen.all += all;
        let place = self
            .meta
            .series
            .iter()
            .position(|meta| meta.name == tick.name);
        let place = place.unwrap_or_else(|| {
            self.meta.series.push(SeriesMeta {
                threshold_ns: if tick.series.pause {
                    threshold_of_pause(&tick.series, self.threshold_ns)
                } else {
                    0
                },
                ..series_meta(tick)
            });
            self.meta.series.len() - 1
        });
        let meta = &mut self.meta.series[place];
        meta.events += tick.histogram.len();
        // What a target asks for may be anything: `mmap` of all memory fails, and is counted.
        meta.bytes = meta.bytes.saturating_add(tick.bytes);
        meta.under_floor += tick.under_floor;
        meta.floor_ns = tick.floor_ns;
        if tick.series.unit == catalogue::Unit::Nanoseconds {
            meta.total_ns = meta.total_ns.saturating_add(tick.total);
        }
    }

    fn account(&mut self, tick: &Tick) {
        self.meta.end_ns = tick.start_ns + tick.length_ns;
        for series in &mut self.meta.series {
            if let Some(seen) = self.seen.get(&series.name) {
                series.sampling = (seen.seen / seen.all.max(1.0)).min(1.0);
            }
        }
        // As in `Cost::share`.
        self.reference_ns += tick.target_cpu_ns.max(tick.length_ns);
        let cost = &mut self.meta.cost;
        cost.cpu_ns_in_programs += tick.cost.programs_ns;
        cost.hits += tick.cost.hits;
        cost.trap_ns_estimated += tick.cost.traps_ns;
        cost.budget = tick.cost.budget;
        cost.tailcut_cpu_ns += tick.cost.own_cpu_ns;
        cost.tailcut_rss_bytes = cost.tailcut_rss_bytes.max(tick.cost.own_rss_bytes);
        cost.share_of_target_cpu = (cost.cpu_ns_in_programs + cost.trap_ns_estimated) as f64
            / self.reference_ns.max(1) as f64;
        self.meta.target.threads = self.meta.target.threads.max(tick.threads);
        self.meta.call_sites = tick.call_sites.iter().map(call_site).collect();
        self.meta.dropped = self
            .lost
            .iter()
            .map(|(what, count)| Dropped {
                what: (*what).to_owned(),
                count: *count,
            })
            .collect();
    }

    /// Replaces what is said of the target, of floors and of what was left out: some of it is known
    /// only after a while.
    pub fn now_about(&mut self, about: About) {
        self.meta.target = Target {
            threads: self.meta.target.threads,
            ..about.target
        };
        self.meta.host.allocator = self.meta.target.allocators.join(", ");
        self.meta.floor = about.floor;
        self.meta.left_out = about.left_out;
        for (name, mut sizes) in about.sizes {
            let used = sizes.iter().rposition(|calls| *calls > 0);
            sizes.truncate(used.map_or(0, |last| last + 1));
            if let Some(series) = self
                .meta
                .series
                .iter_mut()
                .find(|series| series.name == name)
            {
                series.sizes = sizes;
            }
        }
    }

    /// Nanoseconds recorded so far.
    pub fn length_ns(&self) -> u64 {
        self.meta.end_ns - self.meta.start_ns
    }

    /// Pauses recorded so far.
    pub fn pauses(&self) -> u64 {
        self.pauses
    }

    /// Ends the recording: complete, or partial for a reason.
    ///
    /// # Errors
    /// [`RecordingError::Io`]; the recording is then read as partial.
    pub fn finish(
        mut self,
        partial: Option<String>,
        stacks: &StackTable,
    ) -> Result<ProbeMeta, RecordingError> {
        self.meta.state = match partial {
            None => State::Complete,
            Some(_) => State::Partial,
        };
        self.meta.state_reason = partial;
        if !stacks.stacks.is_empty() {
            self.writer.stacks(stacks)?;
        }
        self.writer.finish(&self.meta)?;
        Ok(self.meta)
    }
}

fn pause(event: &SlowEvent) -> Pause {
    Pause {
        kind: event.name.clone(),
        process: event.process,
        thread: event.thread,
        cpu: Some(event.cpu),
        start_ns: event.start_ns,
        end_ns: event.end_ns,
        stack: event.stack,
        detail: (event.detail != 0).then_some(event.detail),
        by: event.by.clone(),
    }
}

fn call_site(site: &tick::CallSite) -> CallSite {
    CallSite {
        series: site.series.clone(),
        place: site.symbol.clone(),
        calls: site.calls,
        bytes: site.bytes,
        total_ns: site.total_ns,
        mean_lifetime_ns: site.mean_lifetime_ns,
    }
}

fn trace_window(window: &Window) -> TraceWindow {
    TraceWindow {
        series: window.series.clone(),
        start_ns: window.start_ns,
        end_ns: window.end_ns,
        hits: window.hits,
        why_ended: window.ended_by.to_owned(),
    }
}

fn series_meta(tick: &SeriesTick) -> SeriesMeta {
    SeriesMeta {
        name: tick.name.clone(),
        what: tick.series.what.to_owned(),
        unit: match tick.series.unit {
            catalogue::Unit::Nanoseconds => Unit::Nanoseconds,
            catalogue::Unit::Bytes => Unit::Bytes,
            catalogue::Unit::Things => Unit::Count,
        },
        pause: tick.series.pause,
        process_wide: tick.series.process_wide,
        owns_waits: tick.series.owns_waits,
        hooks: vec![tick.series.hooks.to_owned()],
        detail: tick.series.detail.map(str::to_owned),
        ..SeriesMeta::default()
    }
}
