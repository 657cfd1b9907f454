//! Lines in, a recording out.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::PathBuf;

use hdrhistogram::Histogram;
use tailcut_report::recording::{
    Allocations, ClockPair, Load, Meta, RESPONSE, RunResult, Runtime, SCHEMA, SERVICE, SlowRequest,
    State, Writer,
};

use super::ExternalError;
use super::check::Course;
use super::lines::{EndedLine, Line, Lines, Second, Started};
use super::watch::Watch;
use crate::clock::{Nanos, monotonic_ns};
use crate::engine::interval::histogram;
use crate::engine::{LivePercentiles, LiveSecond, RunOutcome};
use crate::host;
use crate::plan::Labels;
use crate::quantity::Rate;
use crate::scenario::warmup::WarmUpEnd;

/// The log's resolution.
const MILLISECOND: u64 = 1_000_000;

/// What the program was asked for, and cannot tell better than who asked.
#[derive(Debug, Clone)]
pub struct About {
    /// The recording's folder: made here, must not hold anything yet but a probe's files.
    pub dir: PathBuf,
    /// What the recording says about itself.
    pub labels: Labels,
    /// Which process must be the one that speaks; whichever it says that it is if absent.
    pub process: Option<u32>,
    /// Requests per second of the schedule.
    pub rate: Rate,
    /// How long the schedule is after the warm-up.
    pub duration: Nanos,
    /// How long before.
    pub warmup: Nanos,
    /// Live orders that are settled at once.
    pub window: u64,
    /// What requests are made from.
    pub seed: u64,
}

/// Records what a program prints (see the [module](super)) until it ends.
///
/// `on_second` is called for each second that it tells, on the calling thread, which blocks while the program says
/// nothing: to end early, end the program. One that ends before its last line leaves a recording that is partial and
/// says so, and no error.
///
/// # Errors
/// [`ExternalError::Silent`] before the first line, [`ExternalError::Line`] for one that cannot be used (the recording is
/// then partial), and a recording that cannot be written.
pub fn record(
    input: impl BufRead,
    about: &About,
    on_second: &mut dyn FnMut(&LiveSecond),
) -> Result<RunOutcome, ExternalError> {
    let mut lines = Lines::new(input);
    let started = match lines.next()? {
        Some(Line::Started(started)) => started,
        Some(_) => {
            return Err(lines.refuse("comes before the one that says when it starts".to_owned()));
        }
        None => return Err(ExternalError::Silent),
    };
    let now = monotonic_ns();
    let course = Course::begin(&started, about.process, now, about.duration)
        .map_err(|reason| lines.refuse(reason))?;
    let meta = meta(about, &started);
    let mut run = Run {
        about,
        writer: Writer::create(&about.dir, &meta)?,
        course,
        watch: Watch::new(
            started.process,
            started.workers.iter().map(|worker| worker.thread).collect(),
        ),
        response: histogram(),
        service: histogram(),
        second: (histogram(), histogram()),
    };
    let told = run.listen(&mut lines, on_second);
    run.conclude(meta, &started, told)
}

struct Run<'a> {
    about: &'a About,
    writer: Writer,
    course: Course,
    watch: Watch,
    /// Over the whole run.
    response: Histogram<u64>,
    service: Histogram<u64>,
    /// Of one second.
    second: (Histogram<u64>, Histogram<u64>),
}

impl Run<'_> {
    /// The last line; `None` if there was none.
    fn listen<R: BufRead>(
        &mut self,
        lines: &mut Lines<R>,
        on_second: &mut dyn FnMut(&LiveSecond),
    ) -> Result<Option<EndedLine>, ExternalError> {
        while let Some(line) = lines.next()? {
            match line {
                Line::Started(_) => {
                    return Err(lines.refuse("says for a second time that it starts".to_owned()));
                }
                Line::Second(second) => {
                    let begins = self
                        .course
                        .second(&second)
                        .map_err(|reason| lines.refuse(reason))?;
                    self.take(&second, begins)?;
                    on_second(&self.live(&second));
                }
                Line::Ended(ended) => {
                    self.watch.peak();
                    self.course
                        .end(&ended)
                        .map_err(|reason| lines.refuse(reason))?;
                    return Ok(Some(ended));
                }
            }
        }
        Ok(None)
    }

    fn take(&mut self, second: &Second, begins: Nanos) -> Result<(), ExternalError> {
        let (response, service) = &mut self.second;
        for (values, one, whole) in [
            (&second.response, response, &mut self.response),
            (&second.service, service, &mut self.service),
        ] {
            one.reset();
            for (value, count) in values {
                one.saturating_record_n(*value, *count);
            }
            // Their bounds are equal, so adding cannot fail.
            let _ = whole.add(&*one);
        }
        let (response, service) = &self.second;
        // The last second of a schedule may be a part of one.
        let left = self.about.duration.0 - second.index * Nanos::SECOND.0;
        let length = left.min(Nanos::SECOND.0);
        self.writer.interval(RESPONSE, begins.0, length, response)?;
        self.writer.interval(SERVICE, begins.0, length, service)?;
        let rate = self.about.rate.as_f64();
        let mut slow: Vec<SlowRequest> = second
            .slow
            .iter()
            .map(|&(due, start, end, thread)| SlowRequest {
                intended_ns: due,
                start_ns: start,
                end_ns: end,
                thread,
                request: self.course.request(due, rate),
            })
            .collect();
        slow.sort_unstable_by_key(|request| request.intended_ns);
        self.writer.slow(&slow)?;
        self.watch.look();
        self.writer.resources(&self.watch.samples())?;
        Ok(())
    }

    #[allow(clippy::cast_precision_loss)] // rates for people
    fn live(&self, second: &Second) -> LiveSecond {
        let (response, _) = &self.second;
        let at = |quantile| Nanos(response.value_at_quantile(quantile));
        LiveSecond {
            elapsed: Nanos((second.index + 1) * Nanos::SECOND.0),
            duration: self.about.duration,
            warming_up: false,
            completed: self.course.done,
            due: self.course.due,
            rate: second.done as f64,
            response: (!response.is_empty()).then(|| LivePercentiles {
                p50: at(0.5),
                p99: at(0.99),
                p999: at(0.999),
                max: Nanos(response.max()),
            }),
            failed: 0,
            steal: Nanos(0),
            run_queue_wait: Nanos(0),
        }
    }

    /// Ends the recording, whatever came of the listening.
    fn conclude(
        mut self,
        mut meta: Meta,
        started: &Started,
        told: Result<Option<EndedLine>, ExternalError>,
    ) -> Result<RunOutcome, ExternalError> {
        let (ended, reason, failure) = match told {
            Ok(Some(ended)) => {
                let reason = ended.partial.clone();
                (Some(ended), reason, None)
            }
            Ok(None) => {
                let reason = "the program ended before it had said how its run ended".to_owned();
                (None, Some(reason), None)
            }
            Err(error) => (None, Some(error.to_string()), Some(error)),
        };
        meta.state = match &reason {
            None => State::Complete,
            Some(_) => State::Partial,
        };
        meta.state_reason = reason;
        meta.result = Some(self.result(started, ended.as_ref()));
        meta.allocations = ended.as_ref().and_then(allocations);
        // What is left to write is worth little beside the recording's end.
        let _ = self.writer.resources(&self.watch.samples());
        let finished = self.writer.finish(&meta);
        if let Some(error) = failure {
            return Err(error);
        }
        finished?;
        Ok(RunOutcome {
            dir: self.about.dir.clone(),
            meta,
            response: self.response,
            service: self.service,
            series: BTreeMap::new(),
            drift: None,
            counter_refused: None,
            swaps_missed: 0,
        })
    }

    #[allow(clippy::cast_precision_loss)] // rates and shares for people
    fn result(&self, started: &Started, ended: Option<&EndedLine>) -> RunResult {
        let (due, done) = (self.course.due, self.course.done);
        let unserved = due - done;
        let refused = ended.map_or(0, |ended| ended.refused.min(done));
        // Where it was cut short nobody said how many were late.
        let on_schedule = done - ended.map_or(0, |ended| ended.late.min(done));
        let seconds = match ended {
            Some(ended) if ended.partial.is_none() => self.about.duration.as_secs_f64(),
            _ => self.course.told().min(self.about.duration).as_secs_f64(),
        };
        let per_second = |amount: f64| if seconds > 0.0 { amount / seconds } else { 0.0 };
        let busy = self.service.mean() * self.service.len() as f64 / 1e9;
        let collections = ended.and_then(|ended| ended.gc.clone());
        let has_runtime = !started.go.is_empty() || collections.is_some();
        let collections = collections.unwrap_or_default();
        RunResult {
            offered: due,
            completed: done,
            completed_on_schedule: on_schedule,
            unserved,
            rate_achieved: per_second(on_schedule as f64),
            schedule_kept: ended.is_some_and(|ended| ended.schedule_kept),
            checksum: ended.map_or_else(String::new, |ended| ended.checksum.clone()),
            settled_windows: ended.map_or(0, |ended| ended.settled_windows),
            rejected: refused,
            errors: (refused > 0)
                .then(|| ("refused".to_owned(), refused))
                .into_iter()
                .collect(),
            cpu_busy: (per_second(busy) / started.workers.len().max(1) as f64).min(1.0),
            max_rss_bytes: self.watch.peak_bytes(),
            failed: refused + unserved,
            runtime: has_runtime.then(|| Runtime {
                name: started.go.clone(),
                settings: settings(started),
                gc_cycles: collections.cycles,
                gc_pause_total_ns: collections.pause_total_ns,
                gc_assist_cpu_ns: collections
                    .assist_cpu_ns
                    .map(|ns| ns.max(0).cast_unsigned()),
                other_threads_cpus: self.watch.other_threads_cpus(),
            }),
            ..RunResult::default()
        }
    }
}

/// What the recording says while the run goes on.
fn meta(about: &About, started: &Started) -> Meta {
    let labels = about.labels.clone();
    Meta {
        schema: SCHEMA,
        tool: labels.tool,
        state: State::Running,
        state_reason: None,
        variant: labels.variant,
        label: labels.label,
        run: labels.run,
        sequence: labels.sequence,
        command: labels.command,
        host: host::describe(&labels.allocator),
        clock: clock_pair(started.start_ns),
        load: Load {
            rate_target: about.rate.as_f64(),
            duration_ns: about.duration.0,
            warmup_ns: about.warmup.0,
            window: about.window,
            workers: u32::try_from(started.workers.len()).unwrap_or(u32::MAX),
            form: "inline".to_owned(),
            pacing: "constant".to_owned(),
            seed: about.seed,
            warmup_rule: WarmUpEnd::Fixed(about.warmup).to_string(),
            ..Load::default()
        },
        result: None,
        allocations: None,
    }
}

/// When the recording is said to begin: now or before the schedule if that has begun already, so that the schedule begins
/// at a whole millisecond of the log.
fn clock_pair(start_ns: u64) -> ClockPair {
    let now = host::clock_pair();
    let ahead = start_ns.saturating_sub(now.monotonic_ns);
    let back = match ahead {
        0 => now.monotonic_ns - start_ns,
        ahead => (MILLISECOND - ahead % MILLISECOND) % MILLISECOND,
    };
    ClockPair {
        monotonic_ns: now.monotonic_ns - back,
        unix_ns: now.unix_ns.saturating_sub(back),
    }
}

fn settings(started: &Started) -> String {
    let number = match started.gomaxprocs {
        0 => String::new(),
        number => number.to_string(),
    };
    let all = [
        ("GOMAXPROCS", &number),
        ("GOGC", &started.gogc),
        ("GOMEMLIMIT", &started.gomemlimit),
    ];
    let known = all.iter().filter(|(_, value)| !value.is_empty());
    let texts: Vec<String> = known
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    texts.join(" ")
}

/// Per request, by the program's own account, or from its totals: those of a program that lags behind include what
/// was served of the warm-up. It counts what it gave out; what it took back nobody asked it.
#[allow(clippy::cast_precision_loss)] // figures for people
fn allocations(ended: &EndedLine) -> Option<Allocations> {
    let per_request = |amount: u64| amount as f64 / ended.requests as f64;
    let (mallocs, bytes) = (ended.mallocs?, ended.allocated_bytes?);
    (ended.requests > 0).then(|| Allocations {
        requests: ended.requests,
        allocations_per_request: ended.mallocs_per_request.unwrap_or(per_request(mallocs)),
        frees_per_request: 0.0,
        bytes_per_request: ended.bytes_per_request.unwrap_or(per_request(bytes)),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tailcut_report::recording::Recording;

    use super::*;

    const RATE: u64 = 1_000;
    const SECONDS: u64 = 2;

    fn about(dir: &Path) -> About {
        About {
            dir: dir.join("recording"),
            labels: Labels {
                variant: "go_heap".to_owned(),
                run: 1,
                ..Labels::default()
            },
            process: Some(std::process::id()),
            rate: Rate::per_second(RATE).expect("neither zero nor absurd"),
            duration: Nanos(SECONDS * Nanos::SECOND.0),
            warmup: Nanos::SECOND,
            window: 100,
            seed: 1,
        }
    }

    /// What a program prints that serves each request in a microsecond, but the last of a second in a millisecond.
    fn printed() -> Vec<String> {
        let process = std::process::id();
        let thread = nix::unistd::gettid();
        let start = monotonic_ns() + 1_234_567;
        let mut lines = vec![format!(
            r#"{{"kind":"started","process":{process},"go":"go1.19.8","gomaxprocs":2,"gogc":"100","gomemlimit":"off","workers":[{{"worker":0,"thread":{thread}}}],"start_ns":{start}}}"#
        )];
        for index in 0..SECONDS {
            let begins = start + index * Nanos::SECOND.0;
            let (due, end) = (begins + 999_000_000, begins + 1_000_000_000);
            let body = RATE - 1;
            lines.push(format!(
                r#"{{"kind":"second","index":{index},"start_ns":{begins},"due":{RATE},"done":{RATE},"response":[[1000,{body}],[1000447,1]],"service":[[1000,{body}],[1000447,1]],"slow":[[{due},{due},{end},{thread}]],"late_ns_max":0}}"#
            ));
        }
        let requests = RATE * SECONDS;
        lines.push(format!(
            r#"{{"kind":"ended","requests":{requests},"unserved":0,"late":20,"checksum":"0123456789abcdef","gc":{{"cycles":5,"pause_total_ns":600,"assist_cpu_ns":7}},"mallocs":22000,"allocated_bytes":4000000,"schedule_kept":true}}"#
        ));
        lines
    }

    fn recorded(dir: &Path, lines: &[String]) -> Result<RunOutcome, ExternalError> {
        let text = lines.join("\n") + "\n";
        record(text.as_bytes(), &about(dir), &mut |_| ())
    }

    #[test]
    fn what_a_program_prints_becomes_an_ordinary_recording() {
        let dir = tempfile::tempdir().unwrap();
        let mut seconds = Vec::new();
        let text = printed().join("\n") + "\n";
        record(text.as_bytes(), &about(dir.path()), &mut |second| {
            seconds.push((
                second.completed,
                second.response.map(|response| response.p50),
            ));
        })
        .unwrap();
        assert_eq!(
            seconds,
            [(1_000, Some(Nanos(1_000))), (2_000, Some(Nanos(1_000)))]
        );

        let recording = Recording::read(&dir.path().join("recording")).unwrap();
        let meta = &recording.meta;
        assert_eq!(meta.state, State::Complete);
        let result = meta.result.as_ref().unwrap();
        assert_eq!(
            (result.offered, result.completed, result.unserved),
            (2_000, 2_000, 0)
        );
        assert_eq!(
            (result.completed_on_schedule, result.rate_achieved),
            (1_980, 990.0)
        );
        assert!(result.schedule_kept && result.max_rss_bytes > 0);
        // A millisecond and a thousand microseconds in each second.
        assert!(
            (result.cpu_busy - 0.002).abs() < 1e-5,
            "{}",
            result.cpu_busy
        );
        let runtime = result.runtime.as_ref().unwrap();
        assert_eq!(runtime.settings, "GOMAXPROCS=2 GOGC=100 GOMEMLIMIT=off");
        assert_eq!((runtime.gc_cycles, runtime.gc_assist_cpu_ns), (5, Some(7)));
        let allocations = meta.allocations.as_ref().unwrap();
        assert_eq!(allocations.allocations_per_request, 11.0);
        assert_eq!(allocations.bytes_per_request, 2_000.0);

        let responses: Vec<_> = recording
            .intervals
            .iter()
            .filter(|interval| interval.series == RESPONSE)
            .collect();
        assert_eq!(responses.len(), 2);
        assert_eq!(responses[0].histogram.len(), 1_000);
        assert_eq!(recording.slow.len(), 2);
        // The log keeps milliseconds; the schedule must not be moved by them.
        assert_eq!(
            recording.slow[0].intended_ns - responses[0].start_monotonic_ns,
            999_000_000
        );
        assert_eq!(recording.slow[1].request, 1_999);
        assert!(!recording.resources.is_empty());
    }

    #[test]
    fn a_program_that_is_killed_half_way_leaves_a_partial_recording() {
        let dir = tempfile::tempdir().unwrap();
        let outcome = recorded(dir.path(), &printed()[..2]).unwrap();
        assert_eq!(outcome.meta.state, State::Partial);
        let recording = Recording::read(&dir.path().join("recording")).unwrap();
        assert_eq!(recording.meta.state, State::Partial);
        assert_eq!(recording.intervals.len(), 2);
        assert_eq!(recording.meta.result.unwrap().rate_achieved, 1_000.0);
    }

    #[test]
    fn a_program_that_was_interrupted_says_so_in_its_recording() {
        let dir = tempfile::tempdir().unwrap();
        let mut lines = printed();
        lines.remove(2);
        lines[2] = lines[2].replace("\"kind\"", "\"partial\":\"interrupted\",\"kind\"");
        let outcome = recorded(dir.path(), &lines).unwrap();
        assert_eq!(outcome.meta.state_reason.as_deref(), Some("interrupted"));
    }

    #[test]
    fn a_line_that_does_not_go_with_the_others_ends_the_recording_with_its_number() {
        type Change = fn(&mut Vec<String>);
        let changes: [(Change, &str); 8] = [
            (
                |lines| lines.swap(1, 2),
                "line 2 of what the program printed is of second 1, where 0",
            ),
            (
                |lines| lines.insert(1, lines[0].clone()),
                "line 2 of what the program printed says for a second time",
            ),
            (
                |lines| drop(lines.remove(2)),
                "line 3 of what the program printed ends the run after 1",
            ),
            (
                |lines| lines[3] = lines[3].replace("2000,", "2001,"),
                "where the seconds have 2000",
            ),
            (
                |lines| lines[3] = lines[3].replace("\"unserved\":0", "\"unserved\":9"),
                "9 requests were never served",
            ),
            (
                |lines| lines[2] = "garbage".to_owned(),
                "line 3 of what the program printed cannot be understood",
            ),
            (
                |lines| lines[2] = lines[2].replace("\"start_ns\":", "\"start_ns\":9"),
                "where the schedule has it",
            ),
            (
                |lines| lines[2] = lines[2].replace("\"slow\":[[", "\"slow\":[[1,1,1,1],["),
                "before that second",
            ),
        ];
        for (change, reason) in changes {
            let dir = tempfile::tempdir().unwrap();
            let mut lines = printed();
            change(&mut lines);
            let refused = recorded(dir.path(), &lines).unwrap_err().to_string();
            assert!(refused.contains(reason), "{refused}");
            let recording = Recording::read(&dir.path().join("recording")).unwrap();
            assert_eq!(recording.meta.state, State::Partial);
            assert_eq!(
                recording.meta.state_reason.as_deref(),
                Some(refused.as_str())
            );
        }
    }

    #[test]
    fn a_first_line_that_cannot_be_true_leaves_no_recording() {
        type Change = fn(&mut Vec<String>);
        let changes: [(Change, &str); 4] = [
            (
                |lines| drop(lines.remove(0)),
                "comes before the one that says when it starts",
            ),
            (
                |lines| lines[0] = lines[0].replace("\"process\":", "\"process\":1"),
                "process",
            ),
            (
                |lines| lines[0] = lines[0].replace("\"start_ns\":", "\"start_ns\":9999"),
                "no time near now",
            ),
            (Vec::clear, "ended before it said anything"),
        ];
        for (change, reason) in changes {
            let dir = tempfile::tempdir().unwrap();
            let mut lines = printed();
            change(&mut lines);
            let refused = recorded(dir.path(), &lines).unwrap_err().to_string();
            assert!(refused.contains(reason), "{refused}");
            assert!(!dir.path().join("recording").exists());
        }
    }
}
