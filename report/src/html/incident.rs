//! The page's part on forms in Go and in Rust: a row each, and the pool in Rust against what cured Go.

use super::slot;
use crate::before_after::BeforeAfter;
use crate::incident::{Incident, Owed, tables};
use crate::report::Report;
use crate::variant::{GO_HEAP, label};

/// What the template shows.
pub(super) struct Section<'a> {
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Row>,
    pub(super) legend: Vec<String>,
    /// What the slow requests of the heap form are owed to, in a sentence; empty where that is not known.
    pub(super) owed: String,
    pub(super) rust: Option<&'a BeforeAfter>,
}

pub(super) struct Row {
    pub(super) name: String,
    /// Its variant's colour.
    pub(super) slot: String,
    pub(super) cells: Vec<String>,
    pub(super) missed: bool,
}

/// `None` where nothing ran in Go, or nothing beside it.
pub(super) fn section(report: &Report) -> Option<Section<'_>> {
    let incident: &Incident = report.incident.as_ref()?;
    let mut table = tables::forms(incident);
    let colour = |name: &str| {
        let place = report.variants.iter().position(|known| known.name == name);
        place.map_or_else(String::new, |place| slot(&report.variants[place], place))
    };
    let rows = incident
        .forms
        .iter()
        .zip(&mut table.rows)
        .map(|(form, cells)| {
            let name = cells.remove(0);
            Row {
                name,
                slot: colour(&form.variant),
                cells: std::mem::take(cells),
                missed: !form.schedule_kept,
            }
        });
    let rows = rows.collect();
    table.header.remove(0);
    let owed = incident.owed.as_ref();
    Some(Section {
        header: table.header,
        rows,
        legend: tables::legend(incident),
        owed: owed.map_or_else(String::new, |owed: &Owed| owed.sentence(label(GO_HEAP))),
        rust: incident.rust_against_go.as_ref(),
    })
}
