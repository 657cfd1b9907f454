//! The page's table of variants: a column for each, with the colour that it has in every chart.

use crate::load::Story;
use crate::measures::{Mark, closed};
use crate::report::Report;
use crate::table::measures;
use crate::variant::{NOOP, POOL, Variant};

/// A variant as the head of a column.
pub(super) struct Column {
    pub(super) label: String,
    pub(super) kind: &'static str,
    pub(super) slot: String,
    pub(super) missed: bool,
}

pub(super) struct Group {
    pub(super) label: &'static str,
    pub(super) rows: Vec<Row>,
}

pub(super) struct Row {
    pub(super) label: &'static str,
    pub(super) help: &'static str,
    pub(super) cells: Vec<Shown>,
}

pub(super) struct Shown {
    pub(super) text: String,
    pub(super) class: &'static str,
}

/// The name of a variant's colour in the style sheet.
pub(super) fn slot(variant: &Variant, index: usize) -> String {
    match variant.name.as_str() {
        NOOP => "v-noop".to_owned(),
        POOL => "v-pool".to_owned(),
        "heap_system" => "v-system".to_owned(),
        "heap_jemalloc" => "v-jemalloc".to_owned(),
        "heap_mimalloc" => "v-mimalloc".to_owned(),
        "go_heap" => "v-other0".to_owned(),
        "go_sync_pool" => "v-other1".to_owned(),
        "go_free_list" => "v-other2".to_owned(),
        _ if index < 3 => format!("v-other{index}"),
        // More than anybody tells apart: the colours of pauses, which stand in charts of their own.
        _ => format!("k{}", (index - 3) % 8),
    }
}

/// The heads of the columns.
pub(super) fn columns(variants: &[Variant], report: &Report) -> Vec<Column> {
    let side = |variant: &Variant| match &report.comparison {
        // Of heaps and pool the names say it.
        Some(known) if known.ratios.is_empty() && known.before == variant.name => Some("before"),
        Some(known) if known.ratios.is_empty() && known.after == variant.name => Some("after"),
        _ => None,
    };
    variants
        .iter()
        .enumerate()
        .map(|(index, variant)| Column {
            label: variant.label().to_owned(),
            kind: match variant.name.as_str() {
                _ if side(variant).is_some() => side(variant).unwrap_or_default(),
                _ if closed(variant) => "closed loop",
                _ if report.story == Story::Load => "",
                NOOP => "floor",
                // Before and after are the forms in Go.
                POOL if report.incident.is_some() => "Rust",
                POOL => "after",
                _ if variant.is_heap() => "heap",
                _ => "",
            },
            slot: slot(variant, index),
            missed: variant.lower_bound(),
        })
        .collect()
}

/// The rows, without those in which nobody has a figure.
pub(super) fn groups(variants: &[Variant], story: Story) -> Vec<Group> {
    let (measures, context) = measures(variants, story);
    let mut groups: Vec<Group> = Vec::new();
    for measure in measures {
        let cells: Vec<_> = variants
            .iter()
            .map(|variant| (measure.cell)(variant, &context))
            .collect();
        if cells.iter().all(|cell| cell.mark == Mark::Missing) {
            continue;
        }
        let row = Row {
            label: measure.label,
            help: measure.help,
            cells: cells
                .into_iter()
                .map(|cell| Shown {
                    text: cell.text,
                    class: match cell.mark {
                        Mark::None => "",
                        Mark::Missing => "missing",
                        Mark::LowerBound => "bound",
                        Mark::Bad => "bad",
                    },
                })
                .collect(),
        };
        match groups.last_mut() {
            Some(group) if group.label == measure.group => group.rows.push(row),
            _ => groups.push(Group {
                label: measure.group,
                rows: vec![row],
            }),
        }
    }
    groups
}
