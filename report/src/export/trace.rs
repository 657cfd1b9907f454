//! Slow requests and pauses on one timeline, in the trace event format: a JSON object that
//! Perfetto (ui.perfetto.dev) and `chrome://tracing` open.
//!
//! | on the timeline | event |
//! |---|---|
//! | a slow request, from when it was due to its end, and in it the waiting | nested asynchronous events |
//! | its service | a slice on its thread; asynchronous where a thread serves several at once |
//! | a pause | a slice on its thread, by the thread's real number; asynchronous where it does not nest |
//! | tailcut's own windows, faults on purpose and other marks | asynchronous events, or instants |
//! | P99.9 and the number of requests of each second | counters |
//!
//! The format allows slices of one thread to lie within each other, not across; what would lie
//! across is found first (`trace/nesting.rs`), since viewers drop it silently.
//!
//! All recordings lie on the wall clock, each by its own pairing of the clocks; zero is the
//! earliest of them and stands in `otherData.base_unix_ns`. Written while the recordings are read:
//! memory is 24 bytes for each pause and slow request of one recording, and its stacks.

mod events;
mod nesting;

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

use self::events::{Events, Processes};
use self::nesting::Spans;
use super::ExportError;
use crate::digest::{MOST_PAUSES, RunDigest};
use crate::recording::{Pause, PauseReader, Reader, SlowRequest};
use crate::report::Report;
use crate::text;
use crate::variant::label;

/// Frames of a stack that are written.
const FRAMES: usize = 16;
/// Category of slow requests.
const REQUEST: &str = "request";
/// Category of pauses.
const PAUSE: &str = "pause";
/// Category of single calls that no request stands still in.
const CALL: &str = "call";

/// What a trace holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TraceSummary {
    /// Slow requests.
    pub requests: u64,
    /// Pauses, and single calls over their threshold.
    pub pauses: u64,
    /// Of both, those that lie across another of their thread and are no slices of it.
    pub across: u64,
}

/// Writes the trace of all recordings of a report, reading them once more.
///
/// # Errors
/// [`ExportError::Io`] of `out`, and [`ExportError::Recording`] when a recording has gone since the
/// report was made.
pub fn trace(report: &Report, out: &mut dyn Write) -> Result<TraceSummary, ExportError> {
    let base = base(report);
    let mut events = Events::begin(out, &other_data(report, base)).map_err(stream)?;
    let mut processes = Processes::default();
    let mut summary = TraceSummary::default();
    for (place, run) in report.runs.iter().enumerate() {
        let (reader, _) = Reader::open_damaged(&run.dir)?;
        let mut track = Track {
            run,
            place,
            shift: shift(run, base),
            events: &mut events,
            processes: &mut processes,
        };
        track.all(&reader, &mut summary).map_err(stream)?;
    }
    events.end().map_err(stream)?;
    Ok(summary)
}

fn stream(cause: std::io::Error) -> ExportError {
    ExportError::io(Path::new("the trace"))(cause)
}

/// The earliest instant of any recording, in nanoseconds since 1970.
fn base(report: &Report) -> i128 {
    let begin = |run: &RunDigest| {
        let traced = run.pauses.as_ref().map(|pauses| pauses.span().0);
        let first = [
            Some(run.meta.clock.monotonic_ns),
            Some(run.start_ns()),
            traced,
        ];
        let first = first.into_iter().flatten().min().unwrap_or(0);
        i128::from(first) + shift(run, 0)
    };
    report.runs.iter().map(begin).min().unwrap_or(0)
}

/// What turns an instant of a run's monotonic clock into nanoseconds after `base`.
fn shift(run: &RunDigest, base: i128) -> i128 {
    let clock = run.meta.clock;
    i128::from(clock.unix_ns) - i128::from(clock.monotonic_ns) - base
}

fn other_data(report: &Report, base: i128) -> Value {
    let runs: Vec<Value> = report
        .runs
        .iter()
        .map(|run| {
            json!({
                "variant": run.meta.variant,
                "run": run.meta.run,
                "partial": run.partial(),
                // As text: JavaScript has no whole numbers of this size.
                "monotonic_ns": run.meta.clock.monotonic_ns.to_string(),
                "unix_ns": run.meta.clock.unix_ns.to_string(),
            })
        })
        .collect();
    json!({
        "made_by": concat!("tailcut ", env!("CARGO_PKG_VERSION")),
        "base_unix_ns": base.to_string(),
        "verdict": report.verdict.sentence,
        "partial": report.runs.iter().any(RunDigest::partial),
        "alerts": report.alerts(),
        "recordings": runs,
    })
}

/// The stacks of a recording, each as one line, the innermost function first; none where they
/// cannot be read.
pub(super) fn stacks(reader: &PauseReader) -> HashMap<u32, String> {
    let table = reader.stacks().unwrap_or_default();
    table
        .stacks
        .iter()
        .map(|stack| {
            let frames = stack.frames.iter().take(FRAMES);
            let names: Vec<String> = frames.map(|frame| text::name(&frame.name)).collect();
            (stack.id, names.join(" ← "))
        })
        .collect()
}

/// One recording on its way into the trace.
struct Track<'a, 'w> {
    run: &'a RunDigest,
    place: usize,
    shift: i128,
    events: &'a mut Events<'w>,
    processes: &'a mut Processes,
}

impl Track<'_, '_> {
    fn all(&mut self, reader: &Reader, summary: &mut TraceSummary) -> std::io::Result<()> {
        let own = self.own_process()?;
        self.seconds(own)?;
        self.marks(own)?;
        self.windows()?;
        let across = self.across(reader, own);
        let mut across = across.into_iter();
        let mut next = || across.next().unwrap_or(true);
        for request in requests(reader) {
            let crossing = next();
            self.request(request, own, crossing)?;
            summary.requests += 1;
            summary.across += u64::from(crossing);
        }
        if let Some(pauses) = reader.pauses() {
            let stacks = stacks(pauses);
            for pause in listed(pauses) {
                let crossing = next();
                self.pause(&pause, &stacks, crossing)?;
                summary.pauses += 1;
                summary.across += u64::from(crossing);
            }
        }
        Ok(())
    }

    /// Which of the slow requests, then of the pauses, lie across another on their thread.
    fn across(&mut self, reader: &Reader, own: u32) -> Vec<bool> {
        let mut spans = Spans::default();
        for request in requests(reader) {
            spans.push((own, request.thread), request.start_ns, request.end_ns);
        }
        for pause in reader.pauses().into_iter().flat_map(listed) {
            let process = self.process_of(&pause);
            let pid = self.processes.number(self.place, Some(process));
            spans.push((pid, pause.thread), pause.start_ns, pause.end_ns);
        }
        spans.across()
    }

    /// The process that serves the requests, or that makes the load on another.
    fn own_process(&mut self) -> std::io::Result<u32> {
        let traced = self.run.pauses.as_ref();
        let inside = self.run.meta.load.target.is_empty();
        let process = traced
            .filter(|_| inside)
            .map(|digest| digest.meta.target.process);
        self.process(process.filter(|process| *process > 0))
    }

    /// The number of a process, which is named when it is first met.
    fn process(&mut self, process: Option<u32>) -> std::io::Result<u32> {
        let (pid, new) = self.processes.meet(self.place, process);
        if new {
            let meta = &self.run.meta;
            let of = format!("{}, run {}", label(&meta.variant), meta.run);
            let name = match process {
                Some(process) => format!("{of}: process {process}"),
                None if meta.load.target.is_empty() => of,
                None => format!("{of}: load generator"),
            };
            self.events.process(pid, self.place, &name)?;
            if self.run.partial() {
                let reason = meta.state_reason.as_deref().unwrap_or("cut short");
                let label = format!("partial: {}", text::clean(reason));
                self.events.label(pid, &label)?;
            }
        }
        Ok(pid)
    }

    fn process_of(&self, pause: &Pause) -> u32 {
        match (pause.process, &self.run.pauses) {
            (0, Some(digest)) => digest.meta.target.process,
            (process, _) => process,
        }
    }

    fn at(&self, monotonic_ns: u64) -> i128 {
        i128::from(monotonic_ns) + self.shift
    }

    fn seconds(&mut self, pid: u32) -> std::io::Result<()> {
        for second in &self.run.seconds {
            let at = self.at(second.start_ns);
            let milliseconds = second.p999_ns as f64 / 1e6;
            self.events
                .counter(pid, "P99.9 of the second, ms", at, milliseconds)?;
            self.events
                .counter(pid, "requests of the second", at, second.requests as f64)?;
        }
        Ok(())
    }

    fn marks(&mut self, pid: u32) -> std::io::Result<()> {
        for mark in &self.run.load.marks {
            let args = object(json!({ "detail": mark.detail }));
            let at = self.at(mark.start_ns);
            match mark.length_ns() {
                0 => self.events.instant(pid, "mark", &mark.name(), at, args)?,
                length => {
                    let until = at + i128::from(length);
                    self.events
                        .asynchronous((pid, 0), "mark", &mark.name(), at, until, args)?;
                }
            }
        }
        Ok(())
    }

    fn windows(&mut self) -> std::io::Result<()> {
        let Some(digest) = &self.run.pauses else {
            return Ok(());
        };
        let process = digest.meta.target.process;
        let pid = self.process((process > 0).then_some(process))?;
        for window in &digest.meta.windows {
            let args = object(json!({
                "series": window.series, "hits": window.hits, "ended by": window.why_ended,
            }));
            let (from, until) = (self.at(window.start_ns), self.at(window.end_ns));
            let name = "tailcut's own window";
            self.events
                .asynchronous((pid, 0), "tailcut", name, from, until, args)?;
        }
        Ok(())
    }

    fn request(&mut self, request: &SlowRequest, pid: u32, crossing: bool) -> std::io::Result<()> {
        let thread = (pid, request.thread);
        self.events.thread(pid, request.thread)?;
        let args = object(json!({
            "number": request.request,
            "thread": request.thread,
            "response_ms": request.response_ns() as f64 / 1e6,
            "waiting_ms": request.backlog_ns() as f64 / 1e6,
            "service_ms": request.service_ns() as f64 / 1e6,
        }));
        let (due, start, end) = (
            self.at(request.intended_ns),
            self.at(request.start_ns),
            self.at(request.end_ns),
        );
        let id = self
            .events
            .open(thread, REQUEST, "slow request", due, args)?;
        if start > due {
            self.events
                .within(thread, REQUEST, "waiting", id, due, start)?;
        }
        if crossing {
            self.events
                .within(thread, REQUEST, "service", id, start, end)?;
        }
        self.events
            .close(thread, REQUEST, "slow request", id, end)?;
        if !crossing {
            let args = object(json!({ "number": request.request }));
            self.events
                .slice(thread, REQUEST, "service", start, end, args)?;
        }
        Ok(())
    }

    fn pause(
        &mut self,
        pause: &Pause,
        stacks: &HashMap<u32, String>,
        crossing: bool,
    ) -> std::io::Result<()> {
        let process = self.process_of(pause);
        let pid = self.process(Some(process))?;
        self.events.thread(pid, pause.thread)?;
        let kind = match text::name(&pause.kind) {
            kind if kind.is_empty() => "unnamed".to_owned(),
            kind => kind,
        };
        let series = self.run.pauses.as_ref().and_then(|digest| {
            let mut series = digest.series.iter().map(|series| &series.meta);
            series.find(|series| series.name == kind)
        });
        let mut args = Map::new();
        if let Some(detail) = pause.detail {
            let meaning = series.and_then(|series| series.detail.clone());
            let meaning = meaning.unwrap_or_else(|| "detail".to_owned());
            args.insert(meaning, detail.into());
        }
        if let Some(cpu) = pause.cpu {
            args.insert("cpu".to_owned(), cpu.into());
        }
        if let Some(by) = &pause.by {
            args.insert("by".to_owned(), text::name(by).into());
        }
        if let Some(stack) = pause.stack.and_then(|id| stacks.get(&id)) {
            args.insert("stack".to_owned(), stack.as_str().into());
        }
        let category = match series {
            Some(series) if !series.pause => CALL,
            _ => PAUSE,
        };
        let thread = (pid, pause.thread);
        let (from, until) = (self.at(pause.start_ns), self.at(pause.end_ns));
        if crossing {
            args.insert("thread".to_owned(), pause.thread.into());
            self.events
                .asynchronous(thread, category, &kind, from, until, args)
        } else {
            self.events
                .slice(thread, category, &kind, from, until, args)
        }
    }
}

/// Those whose times are in their order.
fn requests(reader: &Reader) -> impl Iterator<Item = &SlowRequest> {
    reader.slow().iter().filter(|request| {
        request.intended_ns <= request.start_ns && request.start_ns <= request.end_ns
    })
}

/// Those that the report looked at too, and whose times are in their order.
fn listed(reader: &PauseReader) -> impl Iterator<Item = Pause> {
    reader
        .pauses()
        .map_while(Result::ok)
        .take(MOST_PAUSES)
        .filter(|pause| pause.start_ns <= pause.end_ns)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
