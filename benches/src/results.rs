//! What was measured, as it is written to the JSON file and printed.

use serde::Serialize;

use crate::rounds::Samples;
use crate::rows::REFERENCE;
use crate::source::{Kind, Source};
use crate::workload::{Figure, Row, Workload};

/// The figures of one row, in nanoseconds per unit.
#[derive(Debug, Clone, Serialize)]
pub struct RowResult {
    /// The row's name.
    pub name: String,
    /// What kind of thing it is.
    pub kind: Kind,
    /// Whether an object must stay on the thread that took it, so that nothing is synchronised.
    pub one_thread_only: bool,
    /// What a reader must know to compare it with the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
    /// The median over the rounds.
    pub median_ns: f64,
    /// The fastest round.
    pub min_ns: f64,
    /// The slowest round.
    pub max_ns: f64,
    /// How many rounds.
    pub rounds: usize,
    /// How many of them the kernel preempted, even when they were measured again.
    pub disturbed_rounds: usize,
    /// How much dearer than the control, where the workload is read that way: the median over the
    /// rounds of the difference in the same round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above_control_ns: Option<f64>,
    /// This row's figure over tailcut rseq's: medians, above the control where that applies.
    pub ratio_to_reference: Option<f64>,
    /// Every round's figure, in the order of measuring.
    pub by_round_ns: Vec<f64>,
}

impl RowResult {
    /// The figure that counts in this workload.
    #[must_use]
    pub fn figure_ns(&self) -> f64 {
        self.above_control_ns.unwrap_or(self.median_ns)
    }
}

/// A row that has no figures.
#[derive(Debug, Clone, Serialize)]
pub struct NotMeasured {
    /// The row's name.
    pub name: String,
    /// Why.
    pub why: String,
}

/// One table.
#[derive(Debug, Clone, Serialize)]
pub struct WorkloadResult {
    /// The workload's short name.
    pub name: String,
    /// What happens in it.
    pub title: String,
    /// What the nanoseconds are per.
    pub unit: String,
    /// How the figures are to be read.
    pub figure: Figure,
    /// Whether all rows were asked for: if not, none of these is the first of all.
    pub every_row: bool,
    /// Fastest first.
    pub rows: Vec<RowResult>,
    /// The others.
    pub not_measured: Vec<NotMeasured>,
}

impl WorkloadResult {
    /// Works out the table of a workload.
    #[must_use]
    pub fn new(workload: &Workload, measured: Vec<(Row, Option<Samples>)>) -> WorkloadResult {
        let samples_of = |wanted: &str| {
            let found = measured.iter().find(|(row, _)| row.name == wanted);
            found.and_then(|(_, samples)| samples.clone())
        };
        let control = match workload.figure {
            Figure::Whole => None,
            Figure::AboveControl => samples_of(<crate::rows::Control<8> as Source>::NAME),
        };
        let control = control.as_ref();
        let reference = samples_of(REFERENCE)
            .map(|samples| control.map_or(samples.median(), |control| samples.above(control)));
        let (mut rows, mut not_measured) = (vec![], vec![]);
        for (row, samples) in measured {
            match samples {
                Some(samples) => rows.push(result(&row, &samples, control, reference)),
                None => not_measured.push(NotMeasured {
                    name: row.name.to_owned(),
                    why: row.run.err().unwrap_or_default(),
                }),
            }
        }
        rows.sort_by(|a, b| a.figure_ns().total_cmp(&b.figure_ns()));
        WorkloadResult {
            name: workload.name.to_owned(),
            title: workload.title.clone(),
            unit: workload.unit.to_owned(),
            figure: workload.figure,
            every_row: true,
            rows,
            not_measured,
        }
    }

    /// The row, if it was measured.
    #[must_use]
    pub fn row(&self, name: &str) -> Option<&RowResult> {
        self.rows.iter().find(|row| row.name == name)
    }
}

fn result(
    row: &Row,
    samples: &Samples,
    control: Option<&Samples>,
    reference: Option<f64>,
) -> RowResult {
    let median_ns = samples.median();
    let is_control = row.kind == Kind::Control;
    let above_control_ns = control.map(|control| samples.above(control));
    let figure = above_control_ns.unwrap_or(median_ns);
    // A ratio to a figure that drowns in the control's noise says nothing.
    let reference = reference.filter(|&reference| reference > 0.05 && !is_control);
    RowResult {
        name: row.name.to_owned(),
        kind: row.kind,
        one_thread_only: row.one_thread_only,
        note: row.note,
        median_ns,
        min_ns: samples.min(),
        max_ns: samples.max(),
        rounds: samples.by_round().len(),
        disturbed_rounds: samples.disturbed(),
        above_control_ns,
        ratio_to_reference: reference.map(|reference| figure / reference),
        by_round_ns: samples.by_round().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three rounds, in the last of which the machine was ten times slower.
    fn measured(name: &'static str, kind: Kind, ns: f64) -> (Row, Option<Samples>) {
        (
            Row::absent(name, kind, ""),
            Samples::new(vec![ns, ns, 10.0 * ns], 0),
        )
    }

    #[test]
    fn rows_are_compared_above_what_the_control_costs() {
        let workload = Workload {
            name: "test",
            title: String::new(),
            unit: "object",
            units: 1.0,
            figure: Figure::AboveControl,
            round_ms: 1.0,
            fewest: 1,
            cores: 1,
            pinned: false,
            rows: Box::new(|_| vec![]),
        };
        let table = WorkloadResult::new(
            &workload,
            vec![
                measured("slow", Kind::Pool, 14.0),
                measured(
                    <crate::rows::Control<8> as Source>::NAME,
                    Kind::Control,
                    4.0,
                ),
                measured(REFERENCE, Kind::Tailcut, 6.0),
                (Row::absent("lost", Kind::Pool, "it is not here"), None),
            ],
        );
        assert_eq!(table.row("slow").map(RowResult::figure_ns), Some(10.0));
        assert_eq!(table.rows[2].ratio_to_reference, Some(5.0));
        assert_eq!(table.rows[0].kind, Kind::Control);
        assert_eq!(table.not_measured[0].why, "it is not here");
    }
}
