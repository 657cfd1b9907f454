//! A comparison as text for a terminal.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, Table, presets};
use tailcut_report::compare::comparison::{Figures, Row, SideSummary};
use tailcut_report::compare::verdict::p_value;
use tailcut_report::compare::{Comparison, Outcome};
use tailcut_report::format;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const NEITHER: Style = Style::new().bold();

/// All of it; ends with a newline. Colours are escape sequences, which are taken out where nobody could
/// see them.
pub fn result(comparison: &Comparison) -> String {
    let Comparison {
        a,
        b,
        differences,
        rows,
        verdict,
        notes,
        ..
    } = comparison;
    let mut text = format!("\n{}\n", runs_table(a, b, rows));
    let _ = writeln!(
        text,
        "The median of the runs, and below it where it lies with 95% confidence. p is corrected for all percentiles\n\
         that are judged: * up to 0.05, ** 0.01, *** 0.001; in brackets those that are not judged, each by itself.\n\n{}",
        whole_table(a, b, rows)
    );
    if !differences.is_empty() {
        let listed: Vec<String> = differences.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "compared: {}", listed.join(", "));
    }
    for note in notes {
        let _ = writeln!(text, "note: {note}");
    }
    let style = match verdict.outcome {
        Outcome::Better => GOOD,
        Outcome::Worse => BAD,
        Outcome::Mixed | Outcome::NoDifference | Outcome::Undecided => NEITHER,
    };
    let _ = writeln!(text, "{style}{}{style:#}", verdict.sentence);
    text
}

fn titles(a: &SideSummary, b: &SideSummary) -> [String; 2] {
    [("A", a), ("B", b)].map(|(letter, side)| {
        if side.name == letter {
            letter.to_owned()
        } else {
            format!("{letter}: {}", side.name)
        }
    })
}

/// What differs from run to run and from side to side.
fn runs_table(a: &SideSummary, b: &SideSummary, rows: &[Row]) -> Table {
    let [title_a, title_b] = titles(a, b);
    let title =
        |title: String, side: &SideSummary| format!("{title}\n{} runs", side.recordings.len());
    let mut table = empty();
    table.set_header([
        "response\ntime".to_owned(),
        title(title_a, a),
        title(title_b, b),
        "B / A".to_owned(),
        "change".to_owned(),
        "p".to_owned(),
    ]);
    for row in rows {
        table.add_row([
            row.percentile.clone(),
            figures(&row.a),
            figures(&row.b),
            ratio(row),
            format::change(row.a.median_ns, row.b.median_ns),
            p(row),
        ]);
    }
    right(table)
}

/// All requests of all runs of a side together.
fn whole_table(a: &SideSummary, b: &SideSummary, rows: &[Row]) -> Table {
    let [title_a, title_b] = titles(a, b);
    let mut table = empty();
    let percentiles = rows.iter().map(|row| row.percentile.clone());
    table.set_header(std::iter::once("all requests".to_owned()).chain(percentiles));
    type Of = fn(&Row) -> &Figures;
    let of_a: Of = |row| &row.a;
    let of_b: Of = |row| &row.b;
    for (title, of) in [(title_a, of_a), (title_b, of_b)] {
        let cells = rows
            .iter()
            .map(|row| format::nanos(of(row).all_requests_ns));
        table.add_row(std::iter::once(title).chain(cells));
    }
    right(table)
}

fn figures(figures: &Figures) -> String {
    let median = format::duration(figures.median_ns);
    match figures.interval_ns {
        Some(interval) => format!(
            "{median}\n{} to {}",
            format::duration(interval.low),
            format::duration(interval.high)
        ),
        None => median,
    }
}

fn ratio(row: &Row) -> String {
    let ratio = format::ratio(row.ratio);
    match row.ratio_interval {
        Some(interval) => format!(
            "{ratio}\n{} to {}",
            format::ratio(interval.low).trim_end_matches('×'),
            format::ratio(interval.high).trim_end_matches('×')
        ),
        None => ratio,
    }
}

fn p(row: &Row) -> String {
    match row.p_adjusted {
        Some(p) => format!(
            "{}{}",
            p_value(p),
            match row.stars() {
                "" => String::new(),
                stars => format!("\n{stars}"),
            }
        ),
        None => format!("({})", p_value(row.p)),
    }
}

fn empty() -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table
}

fn right(mut table: Table) -> Table {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
