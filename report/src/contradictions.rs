//! What in a recording cannot be true, because another part of it says otherwise.
//!
//! Such a recording is shown all the same, since nobody can tell which part is wrong; but the
//! reader is told. Nothing here is a matter of taste: each finding is a number that no run has.

use crate::digest::{RunDigest, Second};
use crate::format;
use crate::statistics::total;
use crate::variant::{Variant, label};

/// How far the seconds of a run may lie over each other: starts are kept in milliseconds.
const SLACK_NS: u64 = 5_000_000;
/// How much more than the schedule may be recorded: its last second is often begun anew.
const LONGER_NS: u64 = 2_000_000_000;

/// What contradicts itself in one run; a clause each.
pub(crate) fn of_run(run: &RunDigest) -> Vec<String> {
    [
        rate(run),
        twice(&run.seconds),
        requests(run),
        duration(run),
        disordered(run),
        impossible(run),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What contradicts itself among the runs of one variant: a sentence.
pub(crate) fn of_variant(variant: &Variant, runs: &[RunDigest]) -> Option<String> {
    let rates = || {
        let runs = variant.runs.iter().map(|index| &runs[*index].meta.load);
        runs.filter(|load| !load.closed_loop)
            .map(|load| load.rate_target)
    };
    let slow = rates().fold(f64::INFINITY, f64::min);
    let fast = rates().fold(f64::NEG_INFINITY, f64::max);
    (fast - slow > fast.abs() * 1e-6).then(|| {
        format!(
            "{}: its runs were made at different rates, {} to {}, and its figures are a mix of them.",
            label(&variant.name),
            format::rate(slow),
            format::rate(fast)
        )
    })
}

fn rate(run: &RunDigest) -> Option<String> {
    let rate = run.meta.load.rate_target;
    let impossible = !(rate.is_finite() && rate > 0.0);
    let scheduled = !run.seconds.is_empty() && !run.meta.load.closed_loop;
    (scheduled && impossible).then(|| {
        format!(
            "it says that {rate} requests/s were asked for, so whether a schedule was kept cannot be told"
        )
    })
}

/// Seconds that lie over others, in whatever order they were written.
fn twice(seconds: &[Second]) -> Option<String> {
    let mut spans: Vec<(u64, u64)> = seconds
        .iter()
        .map(|second| {
            (
                second.start_ns,
                second.start_ns.saturating_add(second.length_ns),
            )
        })
        .collect();
    spans.sort_unstable();
    let mut until = 0;
    let mut over = 0;
    for (start, end) in spans {
        over += u32::from(start.saturating_add(SLACK_NS) < until);
        until = until.max(end);
    }
    (over > 0).then(|| {
        format!(
            "{over} of its {} intervals lie over others in time, so that requests may be counted twice",
            seconds.len()
        )
    })
}

fn requests(run: &RunDigest) -> Option<String> {
    let offered = run.meta.result.as_ref()?.offered;
    let recorded = run.response.len();
    (offered > 0 && !run.meta.load.closed_loop && recorded > offered).then(|| {
        format!(
            "its log holds {} requests, and its schedule only {}",
            format::count(recorded as f64),
            format::count(offered as f64)
        )
    })
}

fn duration(run: &RunDigest) -> Option<String> {
    let scheduled = run.meta.load.duration_ns;
    let recorded = total(run.seconds.iter().map(|second| second.length_ns));
    let most = scheduled
        .saturating_add(scheduled / 10)
        .saturating_add(LONGER_NS);
    (scheduled > 0 && recorded > most).then(|| {
        format!(
            "its log covers {}, and its schedule {}",
            format::nanos(recorded),
            format::nanos(scheduled)
        )
    })
}

fn disordered(run: &RunDigest) -> Option<String> {
    (run.disordered > 0).then(|| {
        format!(
            "{} of its slow requests end before they begin, and are left out",
            run.disordered
        )
    })
}

/// Figures below zero.
fn impossible(run: &RunDigest) -> Option<String> {
    let result = run.meta.result.as_ref()?;
    let stalls = &result.stalls;
    let figures = [
        ("cpu_busy", result.cpu_busy),
        ("rate_achieved", result.rate_achieved),
        ("total_ms of its stalls", stalls.total_ms),
        ("steal_ms", stalls.steal_ms),
        ("run_queue_wait_ms", stalls.run_queue_wait_ms),
    ];
    let below: Vec<String> = figures
        .iter()
        .filter(|(_, value)| *value < 0.0)
        .map(|(name, value)| format!("{name} is {value}"))
        .collect();
    (!below.is_empty()).then(|| below.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(start_ms: u64, length_ms: u64) -> Second {
        Second {
            start_ns: start_ms * 1_000_000,
            length_ns: length_ms * 1_000_000,
            requests: 1,
            p50_ns: 1,
            p99_ns: 1,
            p999_ns: 1,
            max_ns: 1,
            heat: Vec::new(),
        }
    }

    #[test]
    fn seconds_that_follow_each_other_are_no_contradiction_in_any_order() {
        assert_eq!(twice(&[]), None);
        assert_eq!(twice(&[second(0, 1_000), second(999, 1_000)]), None);
        assert_eq!(twice(&[second(1_000, 1_000), second(0, 1_000)]), None);
    }

    #[test]
    fn a_second_that_is_there_twice_is_found_wherever_it_stands() {
        let found = twice(&[second(0, 1_000), second(1_000, 1_000), second(0, 1_000)]);
        assert!(found.is_some_and(|what| what.starts_with("1 of its 3")));
        let found = twice(&[second(0, 9_000), second(1_000, 1_000), second(2_000, 1_000)]);
        assert!(found.is_some_and(|what| what.starts_with("2 of its 3")));
    }
}
