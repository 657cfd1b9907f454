//! The report as a comment on a change: verdict, before and after, all variants, pauses, conditions.

use std::fmt::Write as _;

use crate::allocator;
use crate::blame::tables as blame_tables;
use crate::conditions::{commands, conditions};
use crate::load;
use crate::pauses::tables;
use crate::pool;
use crate::report::Report;
use crate::slo;
use crate::table::Table;
use crate::text::clean;

/// The whole comment.
pub(crate) fn comment(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "**{}**", escape(&report.verdict.sentence));
    for note in &report.verdict.notes {
        let _ = writeln!(text, "\n{}", escape(note));
    }
    for alert in report.alerts() {
        let _ = writeln!(text, "\n- {}", escape(&alert));
    }
    if let Some(comparison) = report.comparison_table() {
        text.push('\n');
        table(&mut text, &comparison);
        for sentence in report.comparison.iter().flat_map(|known| &known.legend) {
            let _ = writeln!(text, "\n{}", escape(sentence));
        }
    }
    incident(&mut text, report);
    if let Some(trend) = &report.trend {
        text.push('\n');
        table(&mut text, &trend.table());
    }
    if !report.variants.is_empty() {
        text.push('\n');
        table(&mut text, &report.table());
    }
    if let Some(line) = slo::tables::line(report) {
        let _ = writeln!(text, "\n{}", escape(&line));
    }
    recorded_beside(&mut text, report);
    pools(&mut text, report);
    pauses(&mut text, report);
    blame(&mut text, report);
    allocator(&mut text, report);
    let _ = writeln!(text, "\n<details><summary>Conditions</summary>\n");
    for condition in conditions(report) {
        let value = condition.values.join("; ");
        let _ = writeln!(text, "- {}: {}", condition.label, escape(&value));
    }
    if let Some(stalls) = Table::of_stalls(&report.variants) {
        text.push_str("\nWhat the machine took away:\n\n");
        table(&mut text, &stalls);
    }
    for command in commands(report) {
        let _ = writeln!(text, "\nTo reproduce: {}", escape(&command));
    }
    text.push_str("\n</details>\n");
    text
}

/// Forms in Go and in Rust side by side.
fn incident(text: &mut String, report: &Report) {
    let parts = [
        ("The forms side by side", report.incident_table()),
        (
            "Go's sync.Pool against the pool in Rust",
            report.rust_against_go_table(),
        ),
    ];
    write_parts(text, parts);
}

/// What a load generator recorded beside response times.
fn recorded_beside(text: &mut String, report: &Report) {
    let parts = [
        ("Objectives", load::tables::objectives(report)),
        ("Failed requests by kind", load::tables::errors(report)),
        ("Also recorded", load::tables::series(report)),
        ("What happened meanwhile", load::tables::marks(report)),
        ("The target's resources", load::tables::resources(report)),
    ];
    write_parts(text, parts);
}

/// What a probe saw; nothing when nobody traced.
fn pauses(text: &mut String, report: &Report) {
    let parts = [
        ("Pauses", tables::pauses(report)),
        ("The longest of them", tables::longest(report)),
        (
            "Traced, but no pauses: calls, sizes, counts",
            tables::others(report),
        ),
    ];
    write_parts(text, parts);
}

/// Why the slow requests were slow: a sentence a variant, then the shares.
fn blame(text: &mut String, report: &Report) {
    for (variant, summary) in blame_tables::blamed(report) {
        let _ = writeln!(
            text,
            "\n{}",
            escape(&blame_tables::sentence(variant, summary))
        );
    }
    let parts = [(
        "Why the slow requests were slow",
        blame_tables::shares(report),
    )];
    write_parts(text, parts);
}

/// What the pools held, and what capacity is recommended.
fn pools(text: &mut String, report: &Report) {
    let parts = [
        ("Pool", pool::tables::usage(report)),
        ("Capacity by Little's law", pool::tables::sizing(report)),
    ];
    write_parts(text, parts);
    let pools = pool::tables::pools(report);
    for (variant, pool) in &pools {
        let whose = match pools.len() {
            1 => String::new(),
            _ => format!("{}: ", pool::tables::label(variant, pool)),
        };
        for sentence in &pool.advice {
            let _ = writeln!(text, "\n{}", escape(&format!("{whose}{sentence}")));
        }
    }
}

/// What a probe saw of the allocator; nothing when nobody looked.
fn allocator(text: &mut String, report: &Report) {
    let parts = [
        (
            "The allocator's calls by how long they took (share of calls, time in them per second)",
            allocator::tables::tiers(report),
        ),
        (
            "Where its slow calls came from",
            allocator::tables::slow_sites(report),
        ),
    ];
    write_parts(text, parts);
}

/// Tables, each under its title; those that are not there are left out.
fn write_parts<const N: usize>(text: &mut String, parts: [(&str, Option<Table>); N]) {
    for (title, part) in parts {
        if let Some(part) = part {
            let _ = writeln!(text, "\n{title}:\n");
            table(text, &part);
        }
    }
}

pub(crate) fn table(text: &mut String, table: &Table) {
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| escape(cell)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    text.push_str(&line(&table.header));
    text.push_str("|---|");
    for _ in table.header.iter().skip(1) {
        text.push_str("---:|");
    }
    text.push('\n');
    for row in &table.rows {
        text.push_str(&line(row));
    }
}

/// Takes from a text whatever Markdown or HTML would make of it.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in clean(text).chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' | '@' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            letter => escaped.push(letter),
        }
    }
    escaped
}
