//! Measures the rows of one workload in turn, round by round.
//!
//! Rows are never measured one long after another: each round visits all of them, every other
//! round in reverse order, so that what the machine does meanwhile (frequency, neighbours, other
//! programs) falls on all alike, and no row always follows the same one. Criterion cannot do
//! this: it runs each benchmark to its end before it begins the next. It stays in charge of
//! `cargo bench`, where tailcut is compared with its own past.

use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};

use crate::workload::{Row, Run, Workload};

/// How long to measure.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Rounds of each row.
    pub rounds: usize,
    /// Factor on the workload's length of a round.
    pub length: f64,
}

/// A row whose round takes this long in all, preparation included, gets fewer rounds.
const LONGEST_ROW_S: f64 = 8.0;
const FEWEST_ROUNDS: usize = 3;
/// How often a disturbed round is measured again before it is taken as it is.
pub(crate) const RETRIES: usize = 4;

/// What was measured of a row, in nanoseconds per unit.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    by_round: Vec<f64>,
    disturbed: usize,
}

impl Samples {
    /// Of at least one round.
    #[must_use]
    pub fn new(by_round: Vec<f64>, disturbed: usize) -> Option<Samples> {
        (!by_round.is_empty()).then_some(Samples {
            by_round,
            disturbed,
        })
    }

    /// How many rounds were taken although the kernel had preempted them.
    #[must_use]
    pub fn disturbed(&self) -> usize {
        self.disturbed
    }

    /// By round.
    #[must_use]
    pub fn by_round(&self) -> &[f64] {
        &self.by_round
    }

    /// The middle one, or the mean of the two middle ones.
    #[must_use]
    pub fn median(&self) -> f64 {
        median(self.by_round.clone())
    }

    /// How much dearer than `control`: the median over the rounds of the difference in the same
    /// round. So a machine that changes its pace between rounds (a virtual one whose cores are
    /// moved apart, say) does not compare a row in one state with the control in the other.
    #[must_use]
    pub fn above(&self, control: &Samples) -> f64 {
        let rounds = self.by_round.iter().zip(&control.by_round);
        median(rounds.map(|(row, control)| row - control).collect())
    }

    /// The least.
    #[must_use]
    pub fn min(&self) -> f64 {
        self.by_round.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The greatest.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.by_round.iter().copied().fold(0.0, f64::max)
    }
}

fn median(mut sorted: Vec<f64>) -> f64 {
    sorted.sort_by(f64::total_cmp);
    f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2])
}

/// A row while it is measured.
struct Measuring {
    run: Run,
    repetitions: u64,
    rounds: usize,
    samples: Vec<f64>,
    disturbed: usize,
    failed: Option<String>,
}

/// Measures every row; each comes back with its samples, or with why it has none.
#[must_use]
pub fn measure(workload: &Workload, rows: Vec<Row>, effort: Effort) -> Vec<(Row, Option<Samples>)> {
    let mut measuring: Vec<(Row, Option<Measuring>)> = rows
        .into_iter()
        .map(|mut row| {
            let run = std::mem::replace(&mut row.run, Err(String::new()));
            let prepared = run.and_then(|run| prepare(run, workload, effort));
            match prepared {
                Ok(measuring) => (row, Some(measuring)),
                Err(why) => (
                    Row {
                        run: Err(why),
                        ..row
                    },
                    None,
                ),
            }
        })
        .collect();
    for round in 0..effort.rounds {
        let visit = |(_, row): &mut (Row, Option<Measuring>)| {
            if let Some(row) = row {
                row.round(workload);
            }
        };
        if round % 2 == 0 {
            measuring.iter_mut().for_each(visit);
        } else {
            measuring.iter_mut().rev().for_each(visit);
        }
    }
    let finish = |(row, measured): (Row, Option<Measuring>)| {
        let Some(measured) = measured else {
            return (row, None);
        };
        match measured.failed {
            Some(why) => (
                Row {
                    run: Err(why),
                    ..row
                },
                None,
            ),
            None => (row, Samples::new(measured.samples, measured.disturbed)),
        }
    };
    measuring.into_iter().map(finish).collect()
}

impl Measuring {
    fn round(&mut self, workload: &Workload) {
        if self.samples.len() >= self.rounds || self.failed.is_some() {
            return;
        }
        for attempt in 0..=RETRIES {
            let before = preemptions();
            match (self.run)(self.repetitions) {
                Ok(nanoseconds) => {
                    let disturbed = workload.pinned && preemptions() > before;
                    if disturbed && attempt < RETRIES {
                        continue;
                    }
                    let units = self.repetitions as f64 * workload.units;
                    self.samples.push(nanoseconds / units);
                    self.disturbed += usize::from(disturbed);
                }
                Err(why) => self.failed = Some(why),
            }
            return;
        }
    }
}

/// How often the kernel has taken a core from a thread of this process that wanted to go on.
pub(crate) fn preemptions() -> i64 {
    getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.involuntary_context_switches())
}

/// Finds how many repetitions make a round long enough. This warms everything up, too.
fn prepare(mut run: Run, workload: &Workload, effort: Effort) -> Result<Measuring, String> {
    let round_ms = workload.round_ms * effort.length;
    let mut repetitions = workload.fewest;
    loop {
        let start = Instant::now();
        let measured_ms = run(repetitions)? / 1e6;
        let whole_s = start.elapsed().as_secs_f64();
        if measured_ms >= 0.7 * round_ms {
            let rounds = ((LONGEST_ROW_S / whole_s) as usize)
                .max(FEWEST_ROUNDS)
                .min(effort.rounds);
            return Ok(Measuring {
                run,
                repetitions,
                rounds,
                samples: vec![],
                disturbed: 0,
                failed: None,
            });
        }
        let growth = (round_ms / measured_ms.max(1e-6)).clamp(1.5, 10.0);
        repetitions = (repetitions as f64 * growth).ceil() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Kind;
    use crate::workload::Figure;
    use std::cell::RefCell;
    use std::rc::Rc;

    fn workload(units: f64) -> Workload {
        Workload {
            name: "test",
            title: String::new(),
            unit: "step",
            units,
            figure: Figure::Whole,
            round_ms: 0.001,
            fewest: 1,
            cores: 1,
            pinned: false,
            rows: Box::new(|_| vec![]),
        }
    }

    fn row(name: &'static str, run: impl FnMut(u64) -> Result<f64, String> + 'static) -> Row {
        Row::named(name, Kind::Pool, Ok(Box::new(run)))
    }

    const EFFORT: Effort = Effort {
        rounds: 3,
        length: 1.0,
    };

    #[test]
    fn rounds_visit_every_row_in_turn_forwards_and_backwards() {
        let order = Rc::new(RefCell::new(String::new()));
        let rows = ["a", "b"].map(|name| {
            let order = Rc::clone(&order);
            row(name, move |_| {
                order.borrow_mut().push_str(name);
                Ok(1000.0)
            })
        });
        let measured = measure(&workload(1.0), rows.into(), EFFORT);
        assert_eq!(
            order.borrow().as_str(),
            "ab".to_owned() + "ab" + "ba" + "ab"
        );
        assert_eq!(measured[0].1.as_ref().unwrap().by_round().len(), 3);
    }

    #[test]
    fn a_round_is_made_long_enough_and_the_figure_is_per_unit() {
        let rows = vec![row("a", |repetitions| Ok(repetitions as f64 * 30.0))];
        let measured = measure(&workload(10.0), rows, EFFORT);
        let samples = measured[0].1.as_ref().unwrap();
        assert!((samples.median() - 3.0).abs() < 1e-9, "{samples:?}");
    }

    #[test]
    fn a_row_that_fails_says_why_and_spoils_no_other() {
        let mut runs = 0;
        let failing = row("a", move |_| {
            runs += 1;
            if runs > 2 {
                Err("it broke".to_owned())
            } else {
                Ok(1000.0)
            }
        });
        let measured = measure(
            &workload(1.0),
            vec![failing, row("b", |_| Ok(1000.0))],
            EFFORT,
        );
        assert!(measured[0].1.is_none());
        assert_eq!(
            measured[0].0.run.as_ref().err().map(String::as_str),
            Some("it broke")
        );
        assert!(measured[1].1.is_some());
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        let samples = Samples::new(vec![4.0, 1.0, 100.0, 2.0], 0).unwrap();
        assert!((samples.median() - 3.0).abs() < 1e-9);
        assert!((samples.min() - 1.0).abs() < 1e-9 && (samples.max() - 100.0).abs() < 1e-9);
    }
}
