//! The page's part on the service level: the board, the worst seconds, what the health score is
//! made of, and for the script each second's state.

use serde::Serialize;

use super::slot;
use crate::format;
use crate::report::Report;
use crate::slo::{SecondState, SloSummary, Targets, second_pauses, second_states, tables};
use crate::table::Table;
use crate::variant::Variant;

/// Worst seconds shown of each variant where there are several.
const ROWS: usize = 5;
/// Lines over the charts at most; beyond them nothing could be read.
const MOST_LINES: usize = 8;
/// Seconds of a run whose pauses the chart names.
const MOST_NAMED: usize = 500;

/// What the template shows of the service level.
pub(super) struct Section {
    pub(super) board: Table,
    /// Where the targets come from.
    pub(super) origin: String,
    /// The limits on pauses.
    pub(super) limits: String,
    pub(super) traced: bool,
    pub(super) strip_text: String,
    pub(super) worst: Vec<Group>,
    /// Seconds over their targets that are not among them; empty for none.
    pub(super) more: String,
    pub(super) health: Vec<tables::HealthRow>,
    /// What is left out of the score; empty for nothing.
    pub(super) left_out: String,
    /// Objectives that no second can keep; empty for none.
    pub(super) not_by_second: String,
    pub(super) lower_bound: bool,
}

/// The worst seconds of one variant.
pub(super) struct Group {
    pub(super) label: String,
    pub(super) slot: String,
    pub(super) rows: Vec<Row>,
}

pub(super) struct Row {
    /// Whether a pause over the limit lies in the second.
    pub(super) paused: bool,
    pub(super) run: u32,
    pub(super) second: u64,
    pub(super) p99: String,
    pub(super) p999: String,
    pub(super) max: String,
    pub(super) times: String,
    pub(super) pauses: String,
}

/// `None` where no second was measured.
pub(super) fn section(report: &Report) -> Option<Section> {
    let judged: Vec<_> = tables::judged(report).collect();
    let (_, _, first) = judged.first()?;
    let shown = if judged.len() > 1 { ROWS } else { usize::MAX };
    let worst: Vec<Group> = judged
        .iter()
        .filter(|(_, _, slo)| !slo.worst.is_empty())
        .map(|(index, variant, slo)| Group {
            label: variant.label().to_owned(),
            slot: slot(variant, *index),
            rows: slo
                .worst
                .iter()
                .take(shown)
                .map(|second| Row {
                    paused: !second.pauses.is_empty(),
                    run: second.run,
                    second: second.second,
                    p99: format::nanos(second.p99_ns),
                    p999: format::nanos(second.p999_ns),
                    max: format::nanos(second.max_ns),
                    times: format::ratio(second.times_target),
                    pauses: match tables::in_words(&second.pauses) {
                        none if none.is_empty() && slo.traced => "none over the limit".to_owned(),
                        none if none.is_empty() => "not traced".to_owned(),
                        pauses => pauses,
                    },
                })
                .collect(),
        })
        .collect();
    let over: u64 = judged.iter().map(|(_, _, slo)| slo.seconds_over()).sum();
    let listed: u64 = worst.iter().map(|group| group.rows.len() as u64).sum();
    let mut limits: Vec<String> = judged
        .iter()
        .map(|(_, _, slo)| tables::limit(slo))
        .collect();
    limits.dedup();
    let mut not_by_second: Vec<&str> = judged
        .iter()
        .flat_map(|(_, _, slo)| slo.not_by_second.iter().map(String::as_str))
        .collect();
    not_by_second.dedup();
    Some(Section {
        board: tables::board(report)?,
        origin: tables::origin(first),
        limits: limits.join(" or "),
        traced: judged.iter().any(|(_, _, slo)| slo.traced),
        strip_text: format!(
            "A cell for each second; {}",
            judged
                .iter()
                .map(|(_, variant, slo)| format!(
                    "{}: {} of {} within target, {} of the others with a pause over the limit",
                    variant.label(),
                    slo.seconds_within,
                    slo.seconds,
                    slo.seconds_over_with_pause
                ))
                .collect::<Vec<_>>()
                .join("; ")
        ),
        worst,
        more: match over - listed {
            0 => String::new(),
            more => {
                format!("{more} more seconds were over their targets; each is in the strip above.")
            }
        },
        health: tables::health(report),
        left_out: left_out(&judged),
        not_by_second: not_by_second.join(", "),
        lower_bound: judged.iter().any(|(_, variant, _)| variant.lower_bound()),
    })
}

fn left_out(judged: &[(usize, &Variant, &SloSummary)]) -> String {
    let mut names: Vec<&str> = judged
        .iter()
        .flat_map(|(_, _, slo)| slo.health.unknown().map(|part| part.name))
        .collect();
    names.sort_unstable();
    names.dedup();
    match names.as_slice() {
        [] => String::new(),
        names => format!(
            "Not known everywhere and left out there, with the other weights scaled up: {}.",
            names.join(", ")
        ),
    }
}

/// What the script draws.
#[derive(Serialize)]
pub(super) struct SloData {
    lines: Vec<Line>,
    /// By run under load, a digit a second: 0 within, 1 over, 2 over with a pause.
    states: Vec<String>,
    /// By run under load, the pauses of a second in words; of the first five hundred.
    pauses: Vec<Vec<(usize, String)>>,
}

/// A target as a line over the charts.
#[derive(Serialize, PartialEq)]
struct Line {
    level: &'static str,
    ns: u64,
    text: String,
}

/// `loaded` are the runs under load, as places in the report's list.
pub(super) fn data(report: &Report, loaded: &[usize]) -> SloData {
    let mut lines: Vec<Line> = Vec::new();
    let mut data = SloData {
        lines: Vec::new(),
        states: Vec::new(),
        pauses: Vec::new(),
    };
    for place in loaded {
        let run = &report.runs[*place];
        // Those of the variant, as its figures have it.
        let variant = report.variants.iter().find(|all| all.runs.contains(place));
        let runs = variant.map_or(&[][..], |variant| variant.runs.as_slice());
        let targets = Targets::of(runs.iter().map(|run| &report.runs[*run].meta));
        for target in &targets.latency {
            let line = Line {
                level: target.level.name(),
                ns: target.limit_ns,
                text: target.text(),
            };
            if lines.len() < MOST_LINES && !lines.contains(&line) {
                lines.push(line);
            }
        }
        data.states.push(
            second_states(run, &targets)
                .iter()
                .map(|state| match state {
                    SecondState::Within => '0',
                    SecondState::Over => '1',
                    SecondState::OverWithPause => '2',
                })
                .collect(),
        );
        data.pauses.push(
            second_pauses(run, &targets)
                .iter()
                .enumerate()
                .filter(|(_, pauses)| !pauses.is_empty())
                .take(MOST_NAMED)
                .map(|(second, pauses)| (second, tables::in_words(pauses)))
                .collect(),
        );
    }
    data.lines = lines;
    data
}
