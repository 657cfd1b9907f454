//! What a second must keep: limits on its percentiles, and how long a pause may be.
//!
//! The run's own objectives decide where they limit a figure that is known of each second (P50,
//! P99, P99.9, the maximum). Where they limit none, the targets are those of a low-latency service:
//! P99 of at most 5 ms. They are never chosen by what was measured.
//!
//! The limit on pauses follows from the strictest target: two fifths of it, and 50 ms at most. That
//! gives the limits that the two common classes of services have, 2 ms for a target of 5 ms and
//! 50 ms for one of 200 ms, and something between for what lies between.

use schemars::JsonSchema;
use serde::Serialize;

use crate::digest::Second;
use crate::format;
use crate::recording::Meta;
use crate::text;

/// P99 of a low-latency service, in nanoseconds: the target where a run has none.
const LOW_LATENCY_NS: u64 = 5_000_000;
/// The longest pause that any class puts up with, in nanoseconds.
const LONGEST_PAUSE_NS: u64 = 50_000_000;
/// Objectives that are read of a run; nobody writes as many.
const MOST_OBJECTIVES: usize = 64;
/// The share of failed requests that is put up with where a run has no objective for it: 0.05%.
const ERROR_SHARE: f64 = 0.0005;

/// Where targets come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// From the objectives of the run.
    Objectives,
    /// The run has none on latency that can be judged by the second.
    Default,
}

/// A class of services, by its strictest target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceClass {
    /// 5 ms or less.
    LowLatency,
    /// More than that.
    Batch,
}

impl ServiceClass {
    /// `low latency`, `batch`.
    pub fn label(self) -> &'static str {
        match self {
            ServiceClass::LowLatency => "low latency",
            ServiceClass::Batch => "batch",
        }
    }
}

/// A figure that is known of each second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    P50,
    P99,
    P999,
    Maximum,
}

impl Level {
    pub(crate) fn of(self, second: &Second) -> u64 {
        match self {
            Level::P50 => second.p50_ns,
            Level::P99 => second.p99_ns,
            Level::P999 => second.p999_ns,
            Level::Maximum => second.max_ns,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Level::P50 => "P50",
            Level::P99 => "P99",
            Level::P999 => "P99.9",
            Level::Maximum => "Maximum",
        }
    }
}

/// A limit on one figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) level: Level,
    /// In nanoseconds; never 0.
    pub(crate) limit_ns: u64,
    /// Whether the limit itself still keeps it.
    inclusive: bool,
}

impl Target {
    /// Whether a figure of so many nanoseconds keeps it.
    pub(crate) fn holds(self, ns: u64) -> bool {
        ns < self.limit_ns || (self.inclusive && ns == self.limit_ns)
    }

    /// `P99 ≤ 5 ms`, `P99.9 < 1 ms`.
    pub(crate) fn text(self) -> String {
        let sign = if self.inclusive { '≤' } else { '<' };
        format!(
            "{} {sign} {}",
            self.level.name(),
            format::nanos(self.limit_ns)
        )
    }
}

/// All that a second must keep.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Targets {
    pub(crate) origin: Origin,
    /// At least one.
    pub(crate) latency: Vec<Target>,
    /// The share of failed requests that a run must stay below.
    pub(crate) error_share: f64,
    /// Objectives that say nothing of a single second, as they were written.
    pub(crate) not_by_second: Vec<String>,
}

impl Targets {
    /// Those of the first run that has objectives; runs of a variant have the same.
    pub(crate) fn of<'a>(runs: impl Iterator<Item = &'a Meta>) -> Targets {
        let objectives = runs
            .filter_map(|meta| meta.load.slo.as_deref())
            .find(|slo| !slo.trim().is_empty());
        Targets::read(objectives.unwrap_or(""))
    }

    /// Reads objectives as a load generator writes them: `p99.9<1ms,errors<0.05%`. What cannot be
    /// read is named in [`Targets::not_by_second`]; a report does not fail for it.
    fn read(objectives: &str) -> Targets {
        let mut targets = Targets {
            origin: Origin::Objectives,
            latency: Vec::new(),
            error_share: ERROR_SHARE,
            not_by_second: Vec::new(),
        };
        let parts = objectives.split(',').map(str::trim);
        for part in parts.filter(|part| !part.is_empty()).take(MOST_OBJECTIVES) {
            match objective(part) {
                Some(Objective::Latency(target)) => targets.latency.push(target),
                Some(Objective::Errors(share)) => targets.error_share = share,
                None => targets.not_by_second.push(text::name(part)),
            }
        }
        if targets.latency.is_empty() {
            targets.origin = Origin::Default;
            targets.latency.push(Target {
                level: Level::P99,
                limit_ns: LOW_LATENCY_NS,
                inclusive: true,
            });
        }
        targets
    }

    /// The strictest limit, in nanoseconds.
    pub(crate) fn strictest_ns(&self) -> u64 {
        let limits = self.latency.iter().map(|target| target.limit_ns);
        limits.min().unwrap_or(LOW_LATENCY_NS)
    }

    /// From this length on, in nanoseconds, a pause is held against a second over its target.
    pub(crate) fn pause_limit_ns(&self) -> u64 {
        (self.strictest_ns() / 5 * 2).clamp(1, LONGEST_PAUSE_NS)
    }

    pub(crate) fn class(&self) -> ServiceClass {
        if self.strictest_ns() <= LOW_LATENCY_NS {
            ServiceClass::LowLatency
        } else {
            ServiceClass::Batch
        }
    }

    /// `P99 < 5 ms, P99.9 < 20 ms`.
    pub(crate) fn text(&self) -> String {
        let each: Vec<String> = self.latency.iter().map(|target| target.text()).collect();
        each.join(", ")
    }

    /// How many times its limit the worst of a second's figures is: over 1 where it breaks one.
    pub(crate) fn excess(&self, second: &Second) -> f64 {
        let each = self
            .latency
            .iter()
            .map(|target| target.level.of(second) as f64 / target.limit_ns as f64);
        each.fold(0.0, f64::max)
    }

    /// Whether a second keeps all of them.
    pub(crate) fn hold(&self, second: &Second) -> bool {
        self.latency
            .iter()
            .all(|target| target.holds(target.level.of(second)))
    }
}

enum Objective {
    Latency(Target),
    Errors(f64),
}

/// `None` for what limits no figure of a second.
fn objective(text: &str) -> Option<Objective> {
    let (measure, limit) = text.split_once('<')?;
    let level = match measure.trim().to_ascii_lowercase().as_str() {
        "errors" => return share(limit.trim()).map(Objective::Errors),
        "p50" => Level::P50,
        "p99" => Level::P99,
        "p99.9" => Level::P999,
        "max" => Level::Maximum,
        _ => return None,
    };
    Some(Objective::Latency(Target {
        level,
        limit_ns: nanoseconds(limit.trim())?,
        inclusive: false,
    }))
}

fn share(text: &str) -> Option<f64> {
    let (number, scale) = match text.strip_suffix('%') {
        Some(number) => (number, 100.0),
        None => (text, 1.0),
    };
    let share = number.trim().parse::<f64>().ok()? / scale;
    (share > 0.0 && share <= 1.0).then_some(share)
}

/// A number and a unit: `250us`, `1.5ms`. A load generator accepted it before, so this need not
/// say what is wrong with it.
fn nanoseconds(text: &str) -> Option<u64> {
    // Longer names first: "ms" ends in "s".
    const UNITS: [(&str, f64); 7] = [
        ("ns", 1.0),
        ("us", 1e3),
        ("µs", 1e3),
        ("ms", 1e6),
        ("s", 1e9),
        ("m", 60e9),
        ("h", 3600e9),
    ];
    let (number, scale) = UNITS
        .iter()
        .find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)))?;
    let ns = number.trim().parse::<f64>().ok()? * scale;
    (1.0..=1e18).contains(&ns).then_some(ns.round() as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn without_objectives_a_second_is_held_to_those_of_a_low_latency_service() {
        for objectives in ["", " , ", "errors<0.1%", "rate>2M", "p99.99<1ms"] {
            let targets = Targets::read(objectives);
            assert_eq!(targets.origin, Origin::Default, "{objectives}");
            assert_eq!(targets.text(), "P99 ≤ 5 ms");
            assert_eq!(targets.pause_limit_ns(), 2 * MS);
            assert_eq!(targets.class(), ServiceClass::LowLatency);
        }
    }

    #[test]
    fn objectives_that_a_second_can_keep_are_its_targets_and_the_others_are_named() {
        let targets = Targets::read("p99<2.5ms, P99.9 < 20ms,max<1s,p99.99<1s,mean<1ms,errors<1%");
        assert_eq!(targets.origin, Origin::Objectives);
        assert_eq!(targets.text(), "P99 < 2.5 ms, P99.9 < 20 ms, Maximum < 1 s");
        assert_eq!(targets.not_by_second, ["p99.99<1s", "mean<1ms"]);
        assert_eq!(targets.error_share, 0.01);
    }

    #[test]
    fn the_limit_on_pauses_is_that_of_the_class_of_services() {
        for (objectives, limit_ns, class) in [
            ("p99<5ms", 2 * MS, ServiceClass::LowLatency),
            ("p99<200ms", 50 * MS, ServiceClass::Batch),
            ("p99<1ms", 400_000, ServiceClass::LowLatency),
            ("p99<800ms", 50 * MS, ServiceClass::Batch),
            ("p99<1ns", 1, ServiceClass::LowLatency),
        ] {
            let targets = Targets::read(objectives);
            assert_eq!(targets.pause_limit_ns(), limit_ns, "{objectives}");
            assert_eq!(targets.class(), class, "{objectives}");
        }
    }

    #[test]
    fn a_figure_at_its_limit_breaks_an_objective_and_keeps_the_default() {
        let (objective, default) = (Targets::read("p99<5ms"), Targets::read(""));
        assert!(!objective.latency[0].holds(5 * MS));
        assert!(objective.latency[0].holds(5 * MS - 1));
        assert!(default.latency[0].holds(5 * MS));
        assert!(!default.latency[0].holds(5 * MS + 1));
    }

    proptest! {
        #[test]
        fn whatever_stands_there_gives_targets_that_can_be_kept(objectives in "\\PC{0,60}") {
            let targets = Targets::read(&objectives);
            prop_assert!(!targets.latency.is_empty());
            prop_assert!(targets.latency.iter().all(|target| target.limit_ns > 0));
            prop_assert!(targets.error_share > 0.0 && targets.error_share <= 1.0);
            prop_assert!(targets.pause_limit_ns() > 0);
        }

        #[test]
        fn a_limit_is_read_as_it_was_written(
            level in prop::sample::select(vec!["p50", "p99", "p99.9", "max"]),
            number in 1u64..100_000,
            unit in prop::sample::select(vec![("us", 1_000u64), ("ms", MS), ("s", 1_000 * MS)]),
        ) {
            let targets = Targets::read(&format!("{level}<{number}{}", unit.0));
            prop_assert_eq!(targets.latency[0].limit_ns, number * unit.1);
        }
    }
}
