//! `tailcut top --json`: one object a line, a line an interval.
//!
//! Fields are only ever added. Values are in the series' unit, whole numbers; what is not known is
//! `null`. Texts of the target are [made harmless](super::clean): whoever prints a line does no harm.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::time::Duration;

use serde::Serialize;

use super::period::Period;
use super::run::TopError;
use super::source::{Source, TargetDescription};
use super::text::clean;
use crate::catalogue::Unit;
use crate::stop::Stop;
use crate::tick::Tick;

/// How long to wait for an interval before looking whether to end.
const PATIENCE: Duration = Duration::from_millis(100);

/// Writes each interval of `source` to `out`, until the target ends, `stop` is raised or nobody
/// reads `out` any more.
///
/// # Errors
///
/// The source or the output fails.
pub fn top_json<S: Source>(
    source: &mut S,
    out: &mut dyn Write,
    stop: &Stop,
) -> Result<(), TopError<S::Error>> {
    while !stop.is_set() {
        let Some(tick) = source.next(PATIENCE).map_err(TopError::Source)? else {
            continue;
        };
        let line = serde_json::to_string(&Line::of(&tick, &source.describe()));
        let line = line.map_err(|error| TopError::Output(error.into()))?;
        match writeln!(out, "{line}").and_then(|()| out.flush()) {
            Ok(()) if tick.ended => return Ok(()),
            Ok(()) => {}
            // `| head -1`: the reader has what it wanted.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(TopError::Output(error)),
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct Line {
    start_ns: u64,
    length_ns: u64,
    target: Target,
    series: Vec<SeriesLine>,
    slow_events: Vec<EventLine>,
    call_sites: Vec<SiteLine>,
    probe: ProbeLine,
    lost: BTreeMap<&'static str, u64>,
    lives: Vec<String>,
}

#[derive(Serialize)]
struct Target {
    name: String,
    pid: u32,
    command: String,
    allocators: Vec<String>,
    threads: u32,
    cpu_ns: u64,
    rss_bytes: u64,
    ended: bool,
}

#[derive(Serialize)]
struct SeriesLine {
    name: String,
    unit: Unit,
    pause: bool,
    /// As seen; `per_second` is the estimate for the whole.
    count: u64,
    per_second: Option<f64>,
    total: u64,
    bytes: u64,
    /// Of the values seen; `null` if there are none.
    p50: Option<u64>,
    p99: Option<u64>,
    p999: Option<u64>,
    max: Option<u64>,
    sampled: f64,
    floor_ns: u64,
    under_floor: u64,
}

#[derive(Serialize)]
struct EventLine {
    series: String,
    pause: bool,
    thread: u32,
    cpu: u32,
    start_ns: u64,
    end_ns: u64,
    detail: u64,
    by: Option<String>,
}

#[derive(Serialize)]
struct SiteLine {
    series: String,
    function: String,
    calls: u64,
    bytes: u64,
    total_ns: u64,
    mean_lifetime_ns: Option<u64>,
}

#[derive(Serialize)]
struct ProbeLine {
    cpu_share: f64,
    budget: f64,
    programs_ns: u64,
    traps_ns: u64,
    hits: u64,
    own_cpu_ns: u64,
    own_rss_bytes: u64,
}

impl Line {
    fn of(tick: &Tick, target: &TargetDescription) -> Line {
        let text = |text: &str| clean(text).into_owned();
        Line {
            start_ns: tick.start_ns,
            length_ns: tick.length_ns,
            target: Target {
                name: text(&target.name),
                pid: target.process,
                command: text(&target.command),
                allocators: target.allocators.iter().map(|name| text(name)).collect(),
                threads: tick.threads,
                cpu_ns: tick.target_cpu_ns,
                rss_bytes: tick.target_rss_bytes,
                ended: tick.ended,
            },
            series: tick
                .series
                .iter()
                .map(|series| {
                    let period = Period::of(series, tick.length_ns);
                    let figures = period.figures();
                    let seen = |value| (figures.count > 0).then_some(value);
                    SeriesLine {
                        name: text(&series.name),
                        unit: series.series.unit,
                        pause: series.series.pause,
                        count: figures.count,
                        per_second: figures.rate,
                        total: series.total,
                        bytes: series.bytes,
                        p50: seen(figures.p50),
                        p99: seen(figures.p99),
                        p999: seen(figures.p999),
                        max: seen(figures.max),
                        sampled: series.sampled,
                        floor_ns: series.floor_ns,
                        under_floor: series.under_floor,
                    }
                })
                .collect(),
            slow_events: tick
                .events
                .iter()
                .map(|event| EventLine {
                    series: text(&event.name),
                    pause: event.pause,
                    thread: event.thread,
                    cpu: event.cpu,
                    start_ns: event.start_ns,
                    end_ns: event.end_ns,
                    detail: event.detail,
                    by: event.by.as_deref().map(text),
                })
                .collect(),
            call_sites: tick
                .call_sites
                .iter()
                .map(|site| SiteLine {
                    series: text(&site.series),
                    function: text(&site.symbol),
                    calls: site.calls,
                    bytes: site.bytes,
                    total_ns: site.total_ns,
                    mean_lifetime_ns: site.mean_lifetime_ns,
                })
                .collect(),
            probe: ProbeLine {
                cpu_share: tick.cost.share,
                budget: tick.cost.budget,
                programs_ns: tick.cost.programs_ns,
                traps_ns: tick.cost.traps_ns,
                hits: tick.cost.hits,
                own_cpu_ns: tick.cost.own_cpu_ns,
                own_rss_bytes: tick.cost.own_rss_bytes,
            },
            lost: tick.lost.iter().copied().collect(),
            lives: tick.lives.iter().map(|life| text(life)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::SyntheticTarget;
    use super::*;

    #[test]
    fn each_interval_is_one_line_and_the_last_says_that_the_target_ended() {
        let mut out = Vec::new();
        let mut source = SyntheticTarget::new().ending_after(3);
        top_json(&mut source, &mut out, &Stop::new()).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let ended = lines.iter().map(|line| line["target"]["ended"] == true);
        assert_eq!(ended.collect::<Vec<_>>(), [false, false, true]);
        assert_eq!(lines[0]["target"]["pid"], 4242);
    }

    #[test]
    fn a_series_that_saw_nothing_has_no_percentiles_rather_than_zeros() {
        let mut source = SyntheticTarget::new();
        let tick = source.tick();
        let line = serde_json::to_value(Line::of(&tick, &source.describe())).unwrap();
        let series = |name: &str| {
            let all = line["series"].as_array().unwrap();
            all.iter().find(|series| series["name"] == name).unwrap()
        };
        assert!(series("compaction")["p99"].is_null());
        assert!(series("page_fault")["p99"].as_u64().unwrap() > 0);
    }

    #[test]
    fn a_reader_that_goes_away_ends_it_without_an_error() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        top_json(&mut SyntheticTarget::new(), &mut Closed, &Stop::new()).unwrap();
    }
}
