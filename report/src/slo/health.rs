//! The health score: one figure from 0 to 100 for what the other figures say.
//!
//! | part | weight | 1 is | falls |
//! |---|---|---|---|
//! | latency | 35% | every second within its targets | with the share of seconds within |
//! | success | 30% | failed requests at most at the error target (0.05% unless an objective says otherwise) | to half at twice the target, to a tenth at ten times |
//! | lag | 25% | at the schedule's end, no more work left than fits into the strictest latency target, and sends (P99.9) no later than that | to half at twice that, to a tenth at ten times |
//! | configuration | 10% | every check passes | with the share of the checks that pass |
//!
//! The checks: every run complete; every schedule kept; the machine's longest stall within the limit
//! on pauses; the generator not at its own limit; runs that should compute the same do. Success and
//! lag are those of the worst run.
//!
//! A part of which nothing is known, and a check that cannot be made, is left out, and the others'
//! weights are scaled up to make 100%; what was left out is said. The score is cut, not rounded, so
//! that 100 means that nothing is missing from it. It is a summary for a board of many services and
//! no evidence: the verdict does not depend on it.

use schemars::JsonSchema;
use serde::Serialize;

use super::targets::Targets;
use crate::digest::RunDigest;
use crate::format;
use crate::recording::{RunResult, Stalls};

const LATENCY: f64 = 0.35;
const SUCCESS: f64 = 0.30;
const LAG: f64 = 0.25;
const CONFIGURATION: f64 = 0.10;

/// A figure from 0 to 100, and what it is made of.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Health {
    /// 0 to 100, whole; 100 only when every known part is at its best.
    pub score: u32,
    /// The weight of the parts that are known, 0 to 1.
    pub known: f64,
    /// Latency, success, lag, configuration.
    pub parts: Vec<HealthPart>,
}

/// One part of the score.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct HealthPart {
    /// What it is about.
    pub name: &'static str,
    /// Its weight among all four, 0 to 1.
    pub weight: f64,
    /// 0 to 1; null when nothing is known of it.
    pub score: Option<f64>,
    /// Why so, in figures.
    pub why: String,
}

impl Health {
    /// `share_within` is the share of seconds that kept their targets.
    pub(super) fn of(runs: &[&RunDigest], targets: &Targets, share_within: f64) -> Health {
        let (success, success_why) = success(runs, targets);
        let (lag, lag_why) = lag(runs, targets);
        let (configuration, configuration_why) = configuration(runs, targets);
        Health::of_parts(vec![
            HealthPart {
                name: "latency",
                weight: LATENCY,
                score: Some(share_within),
                why: format!(
                    "{} of the seconds within {}",
                    format::share(share_within),
                    targets.text()
                ),
            },
            HealthPart {
                name: "success",
                weight: SUCCESS,
                score: success,
                why: success_why,
            },
            HealthPart {
                name: "lag",
                weight: LAG,
                score: lag,
                why: lag_why,
            },
            HealthPart {
                name: "configuration",
                weight: CONFIGURATION,
                score: configuration,
                why: configuration_why,
            },
        ])
    }

    fn of_parts(parts: Vec<HealthPart>) -> Health {
        let known = |part: &HealthPart| part.score.map(|score| (part.weight, score));
        let weight: f64 = parts
            .iter()
            .filter_map(known)
            .map(|(weight, _)| weight)
            .sum();
        let sum: f64 = parts
            .iter()
            .filter_map(known)
            .map(|(weight, score)| weight * score.clamp(0.0, 1.0))
            .sum();
        let score = if weight > 0.0 {
            100.0 * sum / weight
        } else {
            0.0
        };
        Health {
            // What sums of weights round off must not cost a point.
            score: (score + 1e-9).floor() as u32,
            known: weight,
            parts,
        }
    }

    /// The parts of which nothing is known.
    pub fn unknown(&self) -> impl Iterator<Item = &HealthPart> {
        self.parts.iter().filter(|part| part.score.is_none())
    }
}

/// 1 up to the limit; beyond it as many times less as it is over.
fn within(value: f64, limit: f64) -> f64 {
    if value <= limit { 1.0 } else { limit / value }
}

fn results<'a>(runs: &'a [&RunDigest]) -> impl Iterator<Item = (&'a RunDigest, &'a RunResult)> {
    runs.iter()
        .filter_map(|run| Some((*run, run.meta.result.as_ref()?)))
}

fn success(runs: &[&RunDigest], targets: &Targets) -> (Option<f64>, String) {
    let shares = results(runs)
        .filter(|(_, result)| result.offered > 0)
        .map(|(_, result)| {
            // Within a process only what was refused or left over is counted.
            let failed = result
                .failed
                .max(result.unserved.saturating_add(result.rejected));
            failed as f64 / result.offered as f64
        });
    match shares.reduce(f64::max) {
        None => (
            None,
            "not known: no run says what became of its requests".to_owned(),
        ),
        Some(share) => (
            Some(within(share, targets.error_share)),
            format!(
                "{} of the requests failed (target: {})",
                format::share(share),
                format::share(targets.error_share)
            ),
        ),
    }
}

fn lag(runs: &[&RunDigest], targets: &Targets) -> (Option<f64>, String) {
    let limit_ns = targets.strictest_ns();
    let backlog_ns = results(runs)
        .filter(|(run, result)| {
            result.offered > 0 && run.meta.load.rate_target > 0.0 && !run.meta.load.closed_loop
        })
        .map(|(run, result)| {
            // What failed is the other part's.
            let left = result
                .offered
                .saturating_sub(result.completed_on_schedule)
                .saturating_sub(result.failed);
            left as f64 / run.meta.load.rate_target * 1e9
        })
        .reduce(f64::max);
    let Some(backlog_ns) = backlog_ns else {
        return (
            None,
            "not known: no run followed a schedule to its end".to_owned(),
        );
    };
    let lateness_ns = results(runs)
        .filter_map(|(_, result)| result.generator.as_ref())
        .map(|generator| generator.lateness_p999_ns)
        .max();
    let mut why = format!(
        "{} of work left at the schedule's end",
        format::duration(backlog_ns)
    );
    if let Some(lateness_ns) = lateness_ns {
        why += &format!(", sends late by {} (P99.9)", format::nanos(lateness_ns));
    }
    why += &format!(" (target: {})", format::nanos(limit_ns));
    let lag_ns = backlog_ns.max(lateness_ns.unwrap_or(0) as f64);
    (Some(within(lag_ns, limit_ns as f64)), why)
}

fn configuration(runs: &[&RunDigest], targets: &Targets) -> (Option<f64>, String) {
    let pause_limit_ns = targets.pause_limit_ns();
    let kept: Vec<bool> = runs
        .iter()
        .filter(|run| !run.meta.load.closed_loop)
        .filter_map(|run| run.schedule_kept())
        .collect();
    let longest_ns = results(runs)
        .filter(|(_, result)| result.stalls != Stalls::default())
        .map(|(_, result)| result.stalls.idle_gap_max_ns)
        .max();
    let generators: Vec<bool> = results(runs)
        .filter_map(|(_, result)| result.generator.as_ref())
        .map(|generator| generator.bottleneck != "generator")
        .collect();
    let mut checksums: Vec<&str> = runs.iter().filter_map(|run| run.checksum()).collect();
    let compared = checksums.len() > 1;
    checksums.dedup();

    let all = |values: &[bool]| (!values.is_empty()).then(|| values.iter().all(|value| *value));
    let checks = [
        (
            Some(runs.iter().all(|run| !run.partial())),
            "complete".to_owned(),
            "a run was cut short".to_owned(),
        ),
        (
            all(&kept),
            "schedule kept".to_owned(),
            "a schedule was missed".to_owned(),
        ),
        (
            longest_ns.map(|longest| longest <= pause_limit_ns),
            format!(
                "the machine's longest stall within {}",
                format::nanos(pause_limit_ns)
            ),
            format!(
                "the machine stood still for {}",
                format::nanos(longest_ns.unwrap_or(0))
            ),
        ),
        (
            all(&generators),
            "the generator not at its limit".to_owned(),
            "the generator was at its limit".to_owned(),
        ),
        (
            compared.then_some(checksums.len() == 1),
            "the runs computed the same".to_owned(),
            "the runs computed different things".to_owned(),
        ),
    ];
    let made: Vec<(bool, &str)> = checks
        .iter()
        .filter_map(|(passed, good, bad)| {
            let passed = (*passed)?;
            Some((passed, if passed { good.as_str() } else { bad.as_str() }))
        })
        .collect();
    let passed = made.iter().filter(|(passed, _)| *passed).count();
    let why: Vec<&str> = made.iter().map(|(_, why)| *why).collect();
    (
        (!made.is_empty()).then(|| passed as f64 / made.len() as f64),
        format!("{passed} of {} checks: {}", made.len(), why.join(", ")),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(name: &'static str, weight: f64, score: Option<f64>) -> HealthPart {
        HealthPart {
            name,
            weight,
            score,
            why: String::new(),
        }
    }

    fn of(scores: [Option<f64>; 4]) -> Health {
        let weights = [LATENCY, SUCCESS, LAG, CONFIGURATION];
        let parts = scores.iter().zip(weights);
        Health::of_parts(
            parts
                .map(|(score, weight)| part("part", weight, *score))
                .collect(),
        )
    }

    #[test]
    fn the_weights_make_a_hundred() {
        assert_eq!(of([Some(1.0); 4]).score, 100);
        assert_eq!(of([Some(0.0); 4]).score, 0);
        assert_eq!(of([Some(1.0), Some(0.0), Some(0.0), Some(0.0)]).score, 35);
        assert_eq!(of([Some(0.0), Some(1.0), Some(0.0), Some(0.0)]).score, 30);
        assert_eq!(of([Some(0.0), Some(0.0), Some(1.0), Some(0.0)]).score, 25);
        assert_eq!(of([Some(0.0), Some(0.0), Some(0.0), Some(1.0)]).score, 10);
    }

    #[test]
    fn what_is_not_known_neither_costs_nor_gives_a_point() {
        let health = of([Some(0.5), None, None, Some(1.0)]);
        assert_eq!(health.score, 61, "(0.35 / 2 + 0.10) / 0.45");
        assert!((health.known - 0.45).abs() < 1e-9);
        assert_eq!(health.unknown().count(), 2);
        assert_eq!(of([Some(1.0), None, None, None]).score, 100);
    }

    #[test]
    fn a_hundred_is_never_rounded_up_to() {
        assert_eq!(of([Some(0.999), Some(1.0), Some(1.0), Some(1.0)]).score, 99);
    }

    #[test]
    fn twice_over_a_target_is_half() {
        assert_eq!(within(0.0, 5.0), 1.0);
        assert_eq!(within(5.0, 5.0), 1.0);
        assert_eq!(within(10.0, 5.0), 0.5);
        assert_eq!(within(50.0, 5.0), 0.1);
    }

    proptest! {
        #[test]
        fn a_score_lies_between_its_worst_and_its_best_part(
            scores in prop::array::uniform4(prop::option::of(0.0f64..=1.0)),
        ) {
            let known: Vec<f64> = scores.iter().flatten().copied().collect();
            let health = of(scores);
            prop_assert!(health.score <= 100);
            if let Some(lowest) = known.iter().copied().reduce(f64::min) {
                let highest = known.iter().copied().fold(0.0, f64::max);
                prop_assert!(f64::from(health.score) > lowest * 100.0 - 1.0 - 1e-6);
                prop_assert!(f64::from(health.score) <= highest * 100.0 + 1e-6);
            }
        }
    }
}
