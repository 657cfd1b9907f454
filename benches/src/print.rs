//! Tables for a terminal, in Markdown, so that a document can quote them as they are.

use comfy_table::{CellAlignment, Table, presets};

use crate::results::{RowResult, WorkloadResult};
use crate::source::Kind;
use crate::targets::{Checked, Verdict};
use crate::workload::Figure;

/// One workload's table, with a line for each row that has no figures.
#[must_use]
pub fn table(result: &WorkloadResult) -> String {
    let above = result.figure == Figure::AboveControl;
    let mut table = new_table();
    let mut head = vec![format!("per {}", result.unit), "median".to_owned()];
    head.extend(above.then(|| "above control".to_owned()));
    head.extend(["min", "max", "rounds", "x tailcut rseq"].map(str::to_owned));
    // Whether an object may be given back by another thread than the one that took it.
    let mixed = result.rows.iter().any(|row| row.one_thread_only);
    head.extend(mixed.then(|| "threads".to_owned()));
    table.set_header(head);
    for row in &result.rows {
        let mut cells = vec![row.name.clone(), duration(row.median_ns)];
        if above {
            let figure = row.above_control_ns.filter(|_| row.kind != Kind::Control);
            cells.push(figure.map_or_else(String::new, duration));
        }
        let ratio = row.ratio_to_reference.map_or_else(String::new, ratio);
        cells.extend([
            duration(row.min_ns),
            duration(row.max_ns),
            row.rounds.to_string(),
            ratio,
        ]);
        cells.extend(mixed.then(|| threads(row).to_owned()));
        table.add_row(cells);
    }
    align(&mut table);
    let mut text = format!("{} [{}]\n{table}\n", result.title, result.name);
    if mixed {
        text.push_str("  one: for one thread only: an object stays with the thread that took it, nothing is synchronised\n");
    }
    for row in &result.rows {
        if let Some(note) = row.note {
            text.push_str(&format!("  {}: {note}\n", row.name));
        }
    }
    for missing in &result.not_measured {
        text.push_str(&format!(
            "  not measured: {}: {}\n",
            missing.name, missing.why
        ));
    }
    text
}

/// How many threads a row can serve.
fn threads(row: &RowResult) -> &'static str {
    match (row.kind, row.one_thread_only) {
        (Kind::Control, _) => "",
        (_, true) => "one",
        (_, false) => "any",
    }
}

/// The targets, one a line.
#[must_use]
pub fn targets(checked: &[Checked]) -> String {
    let mut table = new_table();
    table.set_header(["target", "against", "ours", "limit", "ratio", ""]);
    for target in checked {
        let shown = |ns: Option<f64>| ns.map_or_else(|| "-".to_owned(), duration);
        table.add_row([
            target.target.clone(),
            target.against.clone().unwrap_or_else(|| "-".to_owned()),
            shown(target.ours_ns),
            shown(target.limit_ns),
            target
                .ratio
                .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}")),
            match target.verdict {
                Verdict::Pass => "PASS",
                Verdict::Miss => "MISS",
                Verdict::NoLimit => "shown",
                Verdict::NotMeasured => "not measured",
            }
            .to_owned(),
        ]);
    }
    align(&mut table);
    format!("Targets, medians of this run\n{table}\n")
}

fn new_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table
}

/// Names to the left, figures to the right.
fn align(table: &mut Table) {
    table.column_iter_mut().skip(1).for_each(|column| {
        column.set_cell_alignment(CellAlignment::Right);
    });
}

/// Three digits that count.
fn duration(ns: f64) -> String {
    match ns.abs() {
        size if size < 99.95 => format!("{ns:.2} ns"),
        size if size < 999.5 => format!("{ns:.0} ns"),
        size if size < 99_950.0 => format!("{:.2} us", ns / 1e3),
        size if size < 999_500.0 => format!("{:.0} us", ns / 1e3),
        size if size < 99_950_000.0 => format!("{:.2} ms", ns / 1e6),
        _ => format!("{:.0} ms", ns / 1e6),
    }
}

/// Three digits that count, and no more than five behind the point.
fn ratio(ratio: f64) -> String {
    let digits = match ratio.abs() {
        size if size >= 99.5 => 0,
        size if size >= 9.95 => 1,
        size if size >= 0.1 => 2,
        _ => 5,
    };
    format!("{ratio:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, one_thread_only: bool, note: Option<&'static str>) -> RowResult {
        RowResult {
            name: name.to_owned(),
            kind: Kind::Pool,
            one_thread_only,
            note,
            median_ns: 2.0,
            min_ns: 1.0,
            max_ns: 3.0,
            rounds: 5,
            disturbed_rounds: 0,
            above_control_ns: None,
            ratio_to_reference: None,
            by_round_ns: vec![],
        }
    }

    #[test]
    fn a_row_for_one_thread_only_is_marked_and_its_note_stands_below_the_table() {
        let mut result = WorkloadResult {
            name: "test".to_owned(),
            title: String::new(),
            unit: "object".to_owned(),
            figure: Figure::Whole,
            every_row: true,
            rows: vec![row("shared", false, None), row("local", true, Some("why"))],
            not_measured: vec![],
        };
        let text = table(&result);
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(line("| local").ends_with("one |"), "{text}");
        assert!(line("| shared").ends_with("any |"), "{text}");
        assert!(text.contains("  local: why"), "{text}");
        result.rows.truncate(1);
        assert!(!table(&result).contains("threads"), "all alike");
    }

    #[test]
    fn durations_change_their_unit_without_losing_their_meaning() {
        let shown = [2.345, 99.96, 537.4, 1234.0, 123_456.0, 5_600_000.0, 1.2e9].map(duration);
        assert_eq!(
            shown,
            [
                "2.35 ns", "100 ns", "537 ns", "1.23 us", "123 us", "5.60 ms", "1200 ms"
            ]
        );
    }
}
