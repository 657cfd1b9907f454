//! Which series of measurements are possible here at all, as follows from the checks.

use serde::Serialize;

use super::checks::{Check, Outcome};

/// A series, by the name under which it is asked for, and whether it is possible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Series {
    /// As `--series` takes it.
    pub name: &'static str,
    /// Whether it is possible.
    pub possible: Possible,
    /// Why not, or what is left out; empty if nothing is.
    pub reason: String,
}

/// Whether a series is possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Possible {
    /// Wholly.
    Yes,
    /// Without a part of it.
    Partly,
    /// Not at all.
    No,
}

/// What a series is made of, by the names of the checks.
struct Recipe {
    name: &'static str,
    needs: &'static [&'static [&'static str]],
    /// What it does without, and what is then left out.
    better_with: &'static [(&'static str, &'static str)],
}

const PROGRAMS: &[&str] = &[
    "bpf system call",
    "CAP_BPF",
    "CAP_PERFMON",
    "user namespace",
    "lockdown",
    "ring buffers",
    "per-CPU arrays",
    "hash maps",
];
const USER_PROBES: &[&str] = &["user probes", "programs on user probes"];
const TRACEPOINTS: &[&str] = &["programs on raw tracepoints", "BTF"];

const RECIPES: &[Recipe] = &[
    Recipe {
        name: "malloc",
        needs: &[PROGRAMS, USER_PROBES],
        better_with: &[],
    },
    Recipe {
        name: "free",
        needs: &[PROGRAMS, USER_PROBES],
        better_with: &[("LRU hash maps", "no lifetimes")],
    },
    Recipe {
        name: "faults",
        needs: &[PROGRAMS, TRACEPOINTS],
        better_with: &[
            ("tracepoints of page faults", "counted, without latency"),
            ("programs on perf events", "counted, without latency"),
            ("page fault events", "counted, without latency"),
        ],
    },
    Recipe {
        name: "syscalls",
        needs: &[PROGRAMS, TRACEPOINTS, &["tracepoints of system calls"]],
        better_with: &[],
    },
    Recipe {
        name: "sched",
        needs: &[
            PROGRAMS,
            TRACEPOINTS,
            &["tracepoints of the scheduler", "tracepoints of processes"],
        ],
        better_with: &[],
    },
    Recipe {
        name: "futex",
        needs: &[PROGRAMS, TRACEPOINTS, &["tracepoints of system calls"]],
        better_with: &[],
    },
    Recipe {
        name: "pool",
        needs: &[PROGRAMS, USER_PROBES],
        better_with: &[(
            "semaphores of static probes",
            "probes that are switched by a semaphore stay silent",
        )],
    },
    Recipe {
        name: "gc",
        needs: &[PROGRAMS, USER_PROBES, &["LRU hash maps"]],
        better_with: &[],
    },
    Recipe {
        name: "gc-detail",
        needs: &[PROGRAMS, USER_PROBES, &["LRU hash maps"]],
        better_with: &[],
    },
    Recipe {
        name: "go-alloc",
        needs: &[PROGRAMS, USER_PROBES, &["LRU hash maps"]],
        better_with: &[],
    },
    Recipe {
        name: "stacks",
        needs: &[PROGRAMS, &["stack trace maps"]],
        better_with: &[("kptr_restrict", "kernel frames have no names")],
    },
];

/// All series, in the order of `--series`.
pub fn series_of(checks: &[Check]) -> Vec<Series> {
    RECIPES.iter().map(|recipe| recipe.judge(checks)).collect()
}

impl Recipe {
    fn judge(&self, checks: &[Check]) -> Series {
        let missing = |name: &str| {
            let check = checks.iter().find(|check| check.name == name);
            check.filter(|check| check.outcome != Outcome::Yes)
        };
        let lacking: Vec<&Check> = self
            .needs
            .iter()
            .copied()
            .flatten()
            .filter_map(|name| missing(name))
            .collect();
        // What is missing for sure says more than what could not be found out because of it.
        let told = lacking.iter().find(|check| check.outcome == Outcome::No);
        if let Some(check) = told.or(lacking.first()) {
            return self.verdict(Possible::No, format!("{}: {}", check.name, check.found));
        }
        let left_out = self
            .better_with
            .iter()
            .find(|(name, _)| missing(name).is_some());
        match left_out {
            Some((name, without)) => self.verdict(Possible::Partly, format!("{without} ({name})")),
            None => self.verdict(Possible::Yes, String::new()),
        }
    }

    fn verdict(&self, possible: Possible, reason: String) -> Series {
        Series {
            name: self.name,
            possible,
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::checks::{Area, Facts, Need, all};
    use super::*;

    fn check(name: &'static str, outcome: Outcome) -> Check {
        Check {
            name,
            area: Area::Kernel,
            outcome,
            found: "found".into(),
            consequence: String::new(),
            cure: None,
            need: Need::Required,
        }
    }

    fn possible(checks: &[Check], name: &str) -> (Possible, String) {
        let series = series_of(checks);
        let one = series.into_iter().find(|one| one.name == name).unwrap();
        (one.possible, one.reason)
    }

    #[test]
    fn every_check_that_a_series_asks_for_exists() {
        let checks = all(&Facts::gather());
        for recipe in RECIPES {
            let optional = recipe.better_with.iter().map(|(name, _)| name);
            for name in recipe.needs.iter().copied().flatten().chain(optional) {
                let found = checks.iter().filter(|check| check.name == *name).count();
                assert_eq!(found, 1, "{name}, for {}", recipe.name);
            }
        }
    }

    #[test]
    fn a_missing_need_makes_a_series_impossible_and_says_which() {
        let checks = [
            check("hash maps", Outcome::Unknown),
            check("user probes", Outcome::No),
        ];
        let reason = String::from("user probes: found");
        assert_eq!(possible(&checks, "malloc"), (Possible::No, reason));
        assert_eq!(possible(&checks, "sched").0, Possible::No);
        assert_eq!(possible(&checks[1..], "sched").0, Possible::Yes);
    }

    #[test]
    fn without_an_end_marker_faults_are_counted_only() {
        let checks = [check("page fault events", Outcome::Unknown)];
        let (outcome, reason) = possible(&checks, "faults");
        assert_eq!(outcome, Possible::Partly);
        assert!(reason.contains("without latency"), "{reason}");
    }
}
