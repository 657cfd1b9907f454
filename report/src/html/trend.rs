//! The section of the trend: a picture per group of versions, and one table.

use crate::format;
use crate::report::Report;
use crate::table::Table;
use crate::trend::TrendGroup;
use crate::variant::label;

/// What the section shows.
pub(super) struct Section {
    pub(super) charts: Vec<Chart>,
    pub(super) table: Table,
}

/// One picture.
pub(super) struct Chart {
    pub(super) title: String,
    /// For who does not see it.
    pub(super) text: String,
    /// Made by us of escaped texts.
    pub(super) svg: String,
}

pub(super) fn section(report: &Report) -> Option<Section> {
    let trend = report.trend.as_ref()?;
    let charted = trend.groups.iter().filter(|group| group.points.len() > 1);
    Some(Section {
        charts: charted
            .filter_map(|group| {
                Some(Chart {
                    title: format!(
                        "{}, {}, {}",
                        label(&group.variant),
                        group.load,
                        group.machine
                    ),
                    text: spoken(group),
                    svg: group.chart()?,
                })
            })
            .collect(),
        table: trend.table(),
    })
}

fn spoken(group: &TrendGroup) -> String {
    let each: Vec<String> = group
        .points
        .iter()
        .map(|point| format!("{} {}", point.label, format::duration(point.p999_ns)))
        .collect();
    format!("P99.9 by version: {}", each.join(", "))
}
