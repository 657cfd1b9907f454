//! The gate's answer as a comment on a change.

use std::fmt::Write as _;

use super::regression::{Check, Quantity};
use super::verdict::shown;
use super::{Gate, Outcome};
use crate::compare::verdict::p_value;
use crate::format;
use crate::markdown::{escape, table};
use crate::table::Table;

impl Gate {
    /// The answer and what it rests on, for a comment on a change. All names are escaped.
    #[must_use]
    pub fn markdown(&self) -> String {
        // Writing to a String cannot fail.
        let mut text = format!("**{}**\n\n", escape(&self.sentence));
        table(&mut text, &self.check_table());
        let _ = writeln!(
            text,
            "\nThe median of the runs, with where it lies with 95% confidence. p: NEW worse than BASE by more than {}, \
             corrected for all {} figures.",
            format::share(self.tolerated),
            self.checks.len()
        );
        if let Some(objectives) = self.objective_table() {
            text.push('\n');
            table(&mut text, &objectives);
        }
        let comparison = &self.comparison;
        if !comparison.differences.is_empty() {
            let listed: Vec<String> = comparison
                .differences
                .iter()
                .map(|difference| escape(&difference.to_string()))
                .collect();
            let _ = writeln!(text, "\nCompared: {}.", listed.join(", "));
        }
        for note in &comparison.notes {
            let _ = writeln!(text, "\n{}", escape(note));
        }
        text
    }

    /// What was judged, as text: a row per figure.
    #[must_use]
    pub fn check_table(&self) -> Table {
        let side = |title: &str, side: &crate::compare::comparison::SideSummary| {
            format!("{title} ({}, {} runs)", side.name, side.recordings.len())
        };
        Table {
            header: vec![
                String::new(),
                side("BASE", &self.comparison.a),
                side("NEW", &self.comparison.b),
                "NEW / BASE".to_owned(),
                "p".to_owned(),
                "answer".to_owned(),
            ],
            rows: self
                .checks
                .iter()
                .map(|check| self.check_row(check))
                .collect(),
        }
    }

    fn check_row(&self, check: &Check) -> Vec<String> {
        let row = self
            .comparison
            .rows
            .iter()
            .find(|row| row.percentile == check.measure);
        let [base, new] = match (check.quantity, row) {
            (Quantity::Time, Some(row)) => [row.a.text(), row.b.text()],
            (Quantity::Time, None) => [check.base, check.new].map(format::duration),
            (Quantity::Share, _) => [check.base, check.new].map(format::share),
        };
        let ratio = match (check.ratio, row) {
            (Some(_), Some(row)) => row.ratio_text(),
            _ => format::MISSING.to_owned(),
        };
        let answer = match (check.regressed, self.outcome, self.runs_needed) {
            (true, Outcome::CannotTell, _) | (false, _, Some(_)) => "cannot tell",
            (true, ..) => "worse",
            (false, _, None) => "no worse shown",
        };
        vec![
            check.measure.clone(),
            base,
            new,
            ratio,
            p_value(check.p),
            answer.to_owned(),
        ]
    }

    /// The objectives as text; nothing without any.
    #[must_use]
    pub fn objective_table(&self) -> Option<Table> {
        let rows: Vec<Vec<String>> = self
            .objectives
            .iter()
            .map(|check| {
                vec![
                    check.objective.clone(),
                    shown(check),
                    if check.held { "holds" } else { "broken" }.to_owned(),
                    format!("{} of {}", check.runs_held, check.runs),
                ]
            })
            .collect();
        (!rows.is_empty()).then(|| Table {
            header: ["Objective", "all requests", "", "runs that hold it"]
                .map(str::to_owned)
                .to_vec(),
            rows,
        })
    }
}
