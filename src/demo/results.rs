//! What the demo shows when all has been measured: made from the recordings alone.

use std::path::Path;

use anyhow::{Result, ensure};
use comfy_table::{CellAlignment, Table, presets};
use tailcut_report::{Report, Table as Figures};

use super::order::Variant;
use crate::cli::DemoArguments;
use crate::output;

/// Reads the recordings in `out` back, writes the page, prints the result.
///
/// # Errors
/// No recording, variants that computed different results, a page that cannot be written.
pub fn report(arguments: &DemoArguments, out: &Path) -> Result<Report> {
    let report = Report::read_tree(out)?;
    let page = out.join("report.html");
    output::write_whole(&page, &report.html())?;
    check_results(&report)?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report.json())?);
    } else {
        print_results(&report);
    }
    eprintln!("report: {}", page.display());
    Ok(report)
}

/// The variants must have computed the same: otherwise they are not forms of one service.
fn check_results(report: &Report) -> Result<()> {
    let summaries = report.summaries();
    let mut services = summaries
        .iter()
        .filter(|(variant, summary)| *variant != Variant::Noop.key() && !summary.partial);
    if let Some((first, expected)) = services.next() {
        for (variant, summary) in services {
            ensure!(
                summary.checksum == expected.checksum,
                "{variant} computed {} where {first} computed {}: they are not the same service, so nothing here can \
                 be compared. This is a bug in tailcut.",
                summary.checksum,
                expected.checksum
            );
        }
    }
    Ok(())
}

fn print_results(report: &Report) {
    match report.incident_table() {
        Some(forms) => println!("{}\n", as_text(&forms)),
        None => println!("{}\n", as_text(&report.table())),
    }
    if let Some(comparison) = report.comparison_table() {
        println!("{}\n", as_text(&comparison));
    }
    if let Some(rust) = report.rust_against_go_table() {
        println!("{}\n", as_text(&rust));
    }
    // Of eight forms the pauses fill pages, and stand in one; whom to blame is what is asked here.
    let seen = match report.incident() {
        Some(_) => report.blame_table(),
        None => report.pause_table(),
    };
    if let Some(seen) = seen {
        println!("{}\n", as_text(&seen));
    }
    println!("{}", report.verdict().sentence);
    for note in &report.verdict().notes {
        println!("- {note}");
    }
}

fn as_text(figures: &Figures) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(&figures.header);
    table.add_rows(&figures.rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
