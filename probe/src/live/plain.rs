//! `tailcut top --once`: what the screen shows, as text without any control sequence.

use std::io::Write;
use std::time::Duration;

use tailcut_report::format;

use super::columns::Column;
use super::figures;
use super::model::{Model, Span};
use super::run::TopError;
use super::source::Source;
use super::text::{clean, left, right};
use super::view::{about, lost};
use crate::stop::Stop;

/// How long to wait for an interval before looking whether to end.
const PATIENCE: Duration = Duration::from_millis(100);
/// Lines of call sites, and of slow events.
const LINES: usize = 10;
/// Wide enough for `gc_stw_sweep_termination`.
const EVENT: usize = 24;

/// Waits for one interval of `source`, and writes it to `out` as tables of text.
///
/// # Errors
///
/// The source or the output fails, or `stop` is raised before the interval is over.
pub fn top_once<S: Source>(
    source: &mut S,
    out: &mut dyn Write,
    stop: &Stop,
) -> Result<(), TopError<S::Error>> {
    let mut model = Model::default();
    loop {
        if stop.is_set() {
            return Err(TopError::NothingSeen);
        }
        if let Some(tick) = source.next(PATIENCE).map_err(TopError::Source)? {
            model.absorb(tick, source.describe());
            break;
        }
    }
    let written = out.write_all(text(&model).as_bytes());
    written.and_then(|()| out.flush()).map_err(TopError::Output)
}

fn text(model: &Model) -> String {
    let mut lines = head(model);
    lines.push(String::new());
    lines.extend(series(model));
    let sites = model.sites.rows();
    if !sites.is_empty() {
        lines.push(String::new());
        lines.push(format!(
            "{} {} {} {}  {}",
            left("call sites of", 16),
            right("calls/s", 9),
            right("bytes/s", 10),
            right("lifetime", 9),
            "function"
        ));
    }
    for row in sites.iter().take(LINES) {
        let bytes = row.since_start.bytes.map(format::bytes);
        let lifetime = row.site.mean_lifetime_ns.map(format::nanos);
        let nothing = || figures::NOTHING.to_owned();
        lines.push(format!(
            "{} {} {} {}  {}",
            left(&row.site.series, 16),
            right(&figures::rate(row.since_start.calls), 9),
            right(&bytes.unwrap_or_else(nothing), 10),
            right(&lifetime.unwrap_or_else(nothing), 9),
            clean(&row.site.symbol)
        ));
    }
    if !model.events.is_empty() {
        lines.push(String::new());
        lines.push(format!(
            "{} {} {}  by whom, of what",
            left("slow events", EVENT),
            right("length", 10),
            right("thread", 9),
        ));
    }
    for event in model.events.iter().rev().take(LINES) {
        lines.push(format!(
            "{} {} {}  {}",
            left(&event.name, EVENT),
            right(&format::nanos(event.length_ns()), 10),
            right(&event.thread.to_string(), 9),
            clean(&about(event))
        ));
    }
    lines.push(String::new());
    lines.push(format!(
        "probe {} of the target's CPU (budget {}){}",
        format::share(model.cost.share),
        format::share(model.cost.budget),
        lost(model).map_or_else(String::new, |lost| format!(", {lost}"))
    ));
    let mut text = String::new();
    for line in lines {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn head(model: &Model) -> Vec<String> {
    let target = &model.target;
    let mut lines = vec![
        format!(
            "{} pid {}, {} threads, CPU {}, RSS {}, seen for {}",
            clean(&target.name),
            target.process,
            model.threads,
            format::share((model.target_cpu_share * 100.0).round() / 100.0),
            format::memory(model.target_rss_bytes),
            format::duration(model.span().as_nanos() as f64),
        ),
        match target.allocators.as_slice() {
            [] => "no allocator found".to_owned(),
            names => format!("allocators: {}", clean(&names.join(", "))),
        },
    ];
    if model.ended {
        lines.push("the target has ended".to_owned());
    }
    for left_out in &target.left_out {
        let (series, reason) = (clean(&left_out.series), clean(&left_out.reason));
        lines.push(format!("left out: {series}: {reason}"));
    }
    lines
}

fn series(model: &Model) -> Vec<String> {
    let names = model.rows.iter().map(|row| row.name.len());
    let widest = names.max().unwrap_or(0).clamp(16, 40);
    let width = |column: Column| match column {
        Column::Name => widest,
        column => column.width() + 1,
    };
    let line = |cell: &dyn Fn(Column) -> String| {
        let cells = Column::ALL.map(|column| match column {
            Column::Name => left(&cell(column), width(column)),
            _ => right(&cell(column), width(column)),
        });
        cells.concat()
    };
    let mut rows: Vec<_> = model.rows.iter().collect();
    rows.sort_by(|a, b| Column::default().compare(a, b, Span::LastSecond));
    let mut lines = vec![line(&|column| column.title().to_owned())];
    lines.extend(
        rows.into_iter()
            .map(|row| line(&|column| column.cell(row, Span::LastSecond))),
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::SyntheticTarget;
    use super::*;

    #[test]
    fn one_interval_is_one_table_without_control_characters() {
        let mut out = Vec::new();
        top_once(&mut SyntheticTarget::new(), &mut out, &Stop::new()).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("redis-server pid 4242"), "{text}");
        assert!(
            text.contains("page_fault") && text.contains("P99.9"),
            "{text}"
        );
        assert!(text.contains("<900 ns"), "{text}");
        assert!(
            text.contains("left out: tlb: this kernel has no tracepoint"),
            "{text}"
        );
        let harmless = |c: char| c == '\n' || !c.is_control();
        assert!(text.chars().all(harmless), "{text:?}");
    }

    #[test]
    fn stopped_before_the_first_interval_it_says_so() {
        let stop = Stop::new();
        stop.set();
        let error = top_once(&mut SyntheticTarget::new(), &mut Vec::new(), &stop).unwrap_err();
        assert!(matches!(error, TopError::NothingSeen));
    }
}
