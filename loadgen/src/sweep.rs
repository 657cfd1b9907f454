//! A grid of runs over one or two parameters, and which of its points are worth a look.
//!
//! Every combination is run, in an order drawn from a seed: what drifts while a sweep goes on (a machine
//! that warms up, a neighbour that comes) then spreads over all points instead of looking like an effect of
//! the parameter. Repeats go through the whole grid again, each in an order of its own.
//!
//! The result marks the **Pareto front** over three things: P99.9 of response time (low), rate achieved
//! (high), CPUs taken by generator and target (low). A point is on it when no other is at least as good in
//! all three and better in one; everything else can be bettered for nothing.

mod grid;
mod picture;

use serde::Serialize;

use crate::error::LoadError;
use crate::measured::Measured;

pub use grid::{Axis, AxisError, Parameter};
pub use picture::draw;

/// What to run.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepPlan {
    /// One or two parameters with their values.
    pub axes: Vec<Axis>,
    /// How often each combination is run.
    pub repeats: u32,
    /// Of the order.
    pub seed: u64,
}

/// A run that is to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct PointOrder {
    /// Which of the sweep, from 1.
    pub number: usize,
    /// Each parameter's value.
    pub values: Vec<(Parameter, f64)>,
    /// Which repetition, from 1.
    pub repeat: u32,
}

/// All runs of one combination.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// Each parameter's value.
    pub values: Vec<(Parameter, f64)>,
    /// Its runs, in the order in which they were made.
    pub runs: Vec<Measured>,
    /// P99.9 of response time in nanoseconds: the median of the runs.
    pub p999_ns: u64,
    /// The slowest request of all runs, in nanoseconds.
    pub max_ns: u64,
    /// Requests per second achieved: the median of the runs.
    pub rate: f64,
    /// CPUs taken: the median of the runs.
    pub cpus: f64,
    /// Failed requests as a share of those due: the largest of the runs.
    pub errors: f64,
    /// Whether every run kept its schedule.
    pub schedule_kept: bool,
    /// Whether no other point is at least as good in P99.9, rate and CPUs, and better in one.
    pub pareto: bool,
}

/// What a sweep came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SweepResult {
    /// Its parameters, in order.
    pub parameters: Vec<Parameter>,
    /// Every combination that was run, in the order of the grid.
    pub points: Vec<Point>,
    /// Whether it was stopped before all were run.
    pub stopped: bool,
}

impl SweepPlan {
    /// Every run, in the order in which they are to be made.
    #[must_use]
    pub fn orders(&self) -> Vec<PointOrder> {
        let grid = grid::combinations(&self.axes);
        let mut orders = Vec::new();
        for repeat in 1..=self.repeats {
            let mut these = grid.clone();
            grid::shuffle(&mut these, self.seed.wrapping_add(u64::from(repeat)));
            for values in these {
                let number = orders.len() + 1;
                orders.push(PointOrder {
                    number,
                    values,
                    repeat,
                });
            }
        }
        orders
    }
}

/// Sweeps. `run` makes one run and waits until the target is idle again; `None` stops the sweep.
///
/// # Errors
/// The first error of a run, with nothing lost: the recordings of the runs before it stand.
pub fn sweep(
    plan: &SweepPlan,
    run: &mut dyn FnMut(&PointOrder) -> Result<Option<Measured>, LoadError>,
) -> Result<SweepResult, LoadError> {
    let grid = grid::combinations(&plan.axes);
    let mut runs: Vec<Vec<Measured>> = vec![Vec::new(); grid.len()];
    let mut stopped = false;
    for order in plan.orders() {
        let Some(measured) = run(&order)? else {
            stopped = true;
            break;
        };
        if let Some(place) = grid.iter().position(|values| *values == order.values) {
            runs[place].push(measured);
        }
    }
    let points = grid
        .into_iter()
        .zip(runs)
        .filter(|(_, runs)| !runs.is_empty());
    let mut points: Vec<Point> = points
        .map(|(values, runs)| Point::of(values, runs))
        .collect();
    mark_pareto_front(&mut points);
    Ok(SweepResult {
        parameters: plan.axes.iter().map(|axis| axis.parameter).collect(),
        points,
        stopped,
    })
}

impl Point {
    fn of(values: Vec<(Parameter, f64)>, runs: Vec<Measured>) -> Point {
        let median = |of: &dyn Fn(&Measured) -> f64| {
            let mut all: Vec<f64> = runs.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            let upper = all.len() / 2;
            match all.as_slice() {
                [] => 0.0,
                odd if odd.len() % 2 == 1 => odd[upper],
                even => even[upper - 1].midpoint(even[upper]),
            }
        };
        let p999 = runs.iter().map(|run| run.response.p999);
        Point {
            values,
            p999_ns: tailcut_report::statistics::median(p999),
            max_ns: runs.iter().map(|run| run.response.max).max().unwrap_or(0),
            rate: median(&|run| run.rate_achieved),
            cpus: median(&Measured::cpus),
            errors: runs.iter().map(|run| run.errors).fold(0.0, f64::max),
            schedule_kept: runs.iter().all(|run| run.schedule_kept),
            pareto: false,
            runs,
        }
    }

    /// At least as good in everything, and better in something.
    fn dominates(&self, other: &Point) -> bool {
        let no_worse =
            self.p999_ns <= other.p999_ns && self.rate >= other.rate && self.cpus <= other.cpus;
        let better =
            self.p999_ns < other.p999_ns || self.rate > other.rate || self.cpus < other.cpus;
        no_worse && better
    }
}

fn mark_pareto_front(points: &mut [Point]) {
    let front: Vec<bool> = points
        .iter()
        .map(|point| !points.iter().any(|other| other.dominates(point)))
        .collect();
    for (point, on_it) in points.iter_mut().zip(front) {
        point.pareto = on_it;
    }
}

impl SweepResult {
    /// One line a point, for a spreadsheet: times in nanoseconds, shares from 0 to 1.
    #[must_use]
    pub fn csv(&self) -> String {
        let names: Vec<&str> = self
            .parameters
            .iter()
            .map(|parameter| parameter.name())
            .collect();
        let mut text = format!(
            "{},p999_ns,max_ns,rate_per_second,cpus,errors,schedule_kept,pareto,runs\n",
            names.join(",")
        );
        for point in &self.points {
            let values: Vec<String> = point
                .values
                .iter()
                .map(|(_, value)| value.to_string())
                .collect();
            text += &format!(
                "{},{},{},{:.3},{:.4},{:.6},{},{},{}\n",
                values.join(","),
                point.p999_ns,
                point.max_ns,
                point.rate,
                point.cpus,
                point.errors,
                point.schedule_kept,
                point.pareto,
                point.runs.len()
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measured::Percentiles;

    fn measured(p999: u64, rate: f64, cpus: f64) -> Measured {
        Measured {
            dir: "simulated".into(),
            rate_target: rate,
            rate_achieved: rate,
            schedule_kept: true,
            response: Percentiles {
                p999,
                max: 2 * p999,
                ..Percentiles::default()
            },
            errors: 0.0,
            objectives: Vec::new(),
            bottleneck: None,
            generator_cpus: cpus,
            target_cpus: None,
            partial: None,
        }
    }

    fn plan(axes: &[&str], repeats: u32) -> SweepPlan {
        SweepPlan {
            axes: axes.iter().map(|axis| axis.parse().unwrap()).collect(),
            repeats,
            seed: 1,
        }
    }

    #[test]
    fn every_combination_is_run_as_often_as_asked_and_not_in_the_order_of_the_grid() {
        let plan = plan(&["connections=1..8*2", "pipeline=1,4,16"], 2);
        let orders = plan.orders();
        assert_eq!(orders.len(), 24);
        let result = sweep(&plan, &mut |_| Ok(Some(measured(1, 1.0, 1.0)))).unwrap();
        assert_eq!(result.points.len(), 12);
        assert!(result.points.iter().all(|point| point.runs.len() == 2));
        let grid: Vec<_> = result.points.iter().map(|point| &point.values).collect();
        let first: Vec<_> = orders[..12].iter().map(|order| &order.values).collect();
        let second: Vec<_> = orders[12..].iter().map(|order| &order.values).collect();
        assert!(first != grid && second != first);
        assert_eq!(plan.orders(), orders, "the same seed, the same order");
    }

    #[test]
    fn the_pareto_front_is_what_nothing_betters() {
        let plan = plan(&["workers=1,2,3,4"], 1);
        let result = sweep(&plan, &mut |order| {
            Ok(Some(match order.values[0].1 as u32 {
                1 => measured(100, 10.0, 1.0), // cheapest
                2 => measured(50, 20.0, 2.0),  // fastest, at a price
                3 => measured(60, 20.0, 2.0),  // as dear, slower: bettered
                _ => measured(50, 30.0, 4.0),  // most
            }))
        })
        .unwrap();
        let front: Vec<bool> = result.points.iter().map(|point| point.pareto).collect();
        assert_eq!(front, [true, true, false, true]);
    }

    #[test]
    fn repeats_are_summed_up_by_their_median_but_the_maximum_is_of_all() {
        let plan = plan(&["workers=1"], 3);
        let mut values = [10, 1000, 20].into_iter();
        let result = sweep(&plan, &mut |_| {
            Ok(values.next().map(|p999| measured(p999, 1.0, 1.0)))
        })
        .unwrap();
        assert_eq!(
            (result.points[0].p999_ns, result.points[0].max_ns),
            (20, 2000)
        );
    }

    #[test]
    fn a_stopped_sweep_keeps_what_it_ran() {
        let plan = plan(&["workers=1,2,3"], 1);
        let mut left = 2;
        let result = sweep(&plan, &mut |_| {
            left -= 1;
            Ok((left >= 0).then(|| measured(1, 1.0, 1.0)))
        })
        .unwrap();
        assert!(result.stopped);
        assert_eq!(result.points.len(), 2);
    }

    #[test]
    fn the_table_for_spreadsheets_has_a_line_for_each_point() {
        let plan = plan(&["connections=1,2", "rate=10k"], 1);
        let result = sweep(&plan, &mut |_| Ok(Some(measured(5, 1.0, 1.0)))).unwrap();
        let csv = result.csv();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("connections,rate,p999_ns"));
        assert!(lines[1].starts_with("1,10000,5,10,"));
        let columns = |line: &str| line.split(',').count();
        assert!(lines.iter().all(|line| columns(line) == columns(lines[0])));
    }

    #[test]
    fn pictures_are_drawn_of_lines_and_of_grids() {
        for axes in [
            &["connections=1..64*2"][..],
            &["connections=1,2,4", "pipeline=1,8"],
        ] {
            let plan = plan(axes, 1);
            let result = sweep(&plan, &mut |order| {
                Ok(Some(measured(
                    order.number as u64 * 1000,
                    order.values[0].1,
                    1.0,
                )))
            })
            .unwrap();
            let picture = draw("a target", &result).unwrap().unwrap();
            assert!(picture.contains("connections"), "{picture}");
        }
    }
}
