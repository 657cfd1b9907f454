//! The whole answer of `tailcut doctor`.

use std::time::Duration;

use serde::Serialize;

use super::checks::{Area, Check, Facts, Outcome, all, checks_of_process};
use super::hit_cost::{HitCosts, measure};
use super::series::{Series, series_of};

/// Time for hits when their cost is measured, enough for a median within a few percent.
const BUDGET: Duration = Duration::from_millis(50);

/// What the host allows, measured and judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Doctor {
    /// What the host has and lacks, by area.
    pub checks: Vec<Check>,
    /// Which series are possible.
    pub series: Vec<Series>,
    /// What one hit of a user probe costs here, or why that could not be measured.
    pub hit_costs: Measured,
    /// What all of it comes to.
    pub verdict: Verdict,
}

/// The costs of hits, or the reason why there are none.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// In nanoseconds.
    Costs(HitCosts),
    /// In words.
    NotMeasured(String),
}

/// What all checks come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether everything required is there.
    pub can_trace: bool,
    /// The same in one sentence, with what is missing.
    pub sentence: String,
}

impl Doctor {
    /// Examines the host, and a process on it. Takes about a quarter of a second where probes can
    /// be attached, most of it for detaching; leaves nothing behind.
    pub fn examine(process: Option<u32>) -> Self {
        let facts = Facts::gather();
        let mut checks = all(&facts);
        let series = series_of(&checks);
        if let Some(process) = process {
            checks.extend(checks_of_process(process));
        }
        let hit_costs = match measure(BUDGET) {
            Ok(costs) => Measured::Costs(costs),
            Err(reason) => Measured::NotMeasured(reason.to_string()),
        };
        let verdict = Verdict::of(&checks);
        Self {
            checks,
            series,
            hit_costs,
            verdict,
        }
    }
}

impl Verdict {
    fn of(checks: &[Check]) -> Self {
        let of_process = |check: &&Check| check.area == Area::Process;
        let (process, host): (Vec<&Check>, Vec<&Check>) = checks
            .iter()
            .filter(|check| check.is_missing())
            .partition(of_process);
        let sentence = match (host.is_empty(), process.is_empty()) {
            (true, true) => "tailcut can trace here".into(),
            (true, false) => format!(
                "tailcut can trace here, but not this process: {}",
                names_of(&process)
            ),
            (false, _) => format!("tailcut cannot trace here; missing: {}", names_of(&host)),
        };
        Self {
            can_trace: host.is_empty() && process.is_empty(),
            sentence,
        }
    }
}

/// What is missing for sure, or else what could not be found out, which mostly follows from it.
fn names_of(missing: &[&Check]) -> String {
    let known = missing.iter().filter(|check| check.outcome == Outcome::No);
    let mut names: Vec<&str> = known.map(|check| check.name).collect();
    if names.is_empty() {
        names = missing.iter().map(|check| check.name).collect();
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::checks::Need;
    use super::super::privileges::{NOTHING, keep_only};
    use super::super::testing::skip;
    use super::*;

    fn check(name: &'static str, area: Area, outcome: Outcome, need: Need) -> Check {
        Check {
            name,
            area,
            outcome,
            found: "found".into(),
            consequence: "consequence".into(),
            cure: Some("cure".into()),
            need,
        }
    }

    fn of(checks: Vec<Check>) -> Doctor {
        Doctor {
            series: series_of(&checks),
            verdict: Verdict::of(&checks),
            hit_costs: Measured::NotMeasured("no reason".into()),
            checks,
        }
    }

    #[test]
    fn only_what_is_required_decides() {
        use {Area::Kernel, Need::*, Outcome::*};
        let optional = check("optional", Kernel, No, Optional);
        let unused = check("unused", Kernel, No, Unused);
        assert!(of(vec![optional.clone(), unused]).verdict.can_trace);
        let unknown = check("unknown", Kernel, Unknown, Required);
        let verdict = of(vec![optional, unknown.clone()]).verdict;
        assert!(!verdict.can_trace && verdict.sentence.ends_with("missing: unknown"));
        let verdict = of(vec![unknown, check("gone", Kernel, No, Required)]).verdict;
        assert!(verdict.sentence.ends_with("missing: gone"), "{verdict:?}");
    }

    #[test]
    fn a_process_that_cannot_be_traced_is_not_the_hosts_fault() {
        let its_map = check("its map", Area::Process, Outcome::No, Need::Required);
        let verdict = of(vec![its_map]).verdict;
        assert!(!verdict.can_trace);
        assert!(verdict.sentence.contains("but not this process: its map"));
    }

    #[test]
    fn the_text_shows_each_cure_once_and_colours_only_if_told() {
        let doctor = of(vec![
            check("one", Area::Kernel, Outcome::No, Need::Required),
            check("two", Area::Kernel, Outcome::No, Need::Optional),
            check("three", Area::Machine, Outcome::Yes, Need::Optional),
        ]);
        let plain = doctor.text(false);
        assert_eq!(plain.matches("fix: cure").count(), 1, "{plain}");
        assert_eq!(plain.matches("consequence").count(), 2, "{plain}");
        assert!(plain.contains("  no    one"), "{plain}");
        assert!(plain.contains("  warn  two"), "{plain}");
        assert!(!plain.contains('\x1b'), "{plain}");
        assert!(doctor.text(true).contains("\x1b["));
    }

    #[test]
    fn the_host_is_examined_whole_and_names_are_unique() {
        let doctor = Doctor::examine(Some(std::process::id()));
        let mut names: Vec<&str> = doctor.checks.iter().map(|check| check.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        let json = serde_json::to_value(&doctor).unwrap();
        assert_eq!(json["checks"].as_array().unwrap().len(), all);
        assert_eq!(json["verdict"]["can_trace"], doctor.verdict.can_trace);
        if !doctor.verdict.can_trace {
            skip(&doctor.verdict.sentence);
        }
    }

    #[test]
    fn without_privileges_the_answer_is_no_and_says_how_to_get_them() {
        let doctor = std::thread::spawn(|| {
            keep_only(NOTHING).unwrap();
            Doctor::examine(None)
        })
        .join()
        .unwrap();
        assert!(!doctor.verdict.can_trace);
        assert!(matches!(doctor.hit_costs, Measured::NotMeasured(_)));
        for name in ["CAP_BPF", "CAP_PERFMON"] {
            let check = doctor.checks.iter().find(|check| check.name == name);
            let check = check.unwrap();
            assert!(check.is_missing() && check.cure.is_some(), "{check:?}");
            assert!(doctor.verdict.sentence.contains(name));
        }
        for series in doctor.series {
            assert_eq!(series.possible, super::super::Possible::No, "{series:?}");
        }
    }
}
