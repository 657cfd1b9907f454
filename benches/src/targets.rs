//! The targets that tailcut-pool set itself, checked against what was measured in the same run.

use serde::Serialize;

use crate::results::WorkloadResult;
use crate::rows::{Glibc, GoBinary, Jemalloc, Mimalloc, ObjectPool, Opool, REFERENCE};
use crate::source::Source;

/// One target: our figure is at most `factor` times the peer's.
struct Target {
    workload: &'static str,
    peer: &'static str,
    factor: f64,
    /// The peer's figure where it cannot be measured.
    otherwise_ns: Option<f64>,
}

const fn target(workload: &'static str, peer: &'static str, factor: f64) -> Target {
    Target {
        workload,
        peer,
        factor,
        otherwise_ns: None,
    }
}

/// Go 1.19's `sync.Pool` on the machine where the targets were set.
const GO_NS: f64 = 13.9;

const TARGETS: [Target; 7] = [
    target("one-thread", <Jemalloc<256> as Source>::NAME, 0.65),
    Target {
        otherwise_ns: Some(GO_NS),
        ..target("one-thread", GoBinary::NAME, 0.25)
    },
    target("one-thread", <Opool<256> as Source>::NAME, 0.15),
    target("one-thread", <ObjectPool<256> as Source>::NAME, 0.15),
    target("handoff", <Jemalloc<256> as Source>::NAME, 0.4),
    target("handoff", <Mimalloc<256> as Source>::NAME, 0.25),
    target("handoff", <Glibc<256> as Source>::NAME, 0.03),
];

/// Whether a target was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was.
    Pass,
    /// It was not.
    Miss,
    /// A row that it needs was not measured.
    NotMeasured,
}

/// A target and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// In words.
    pub target: String,
    /// Our figure, in nanoseconds.
    pub ours_ns: Option<f64>,
    /// What it may be at most.
    pub limit_ns: Option<f64>,
    /// Our figure over the peer's.
    pub ratio: Option<f64>,
    /// The outcome.
    pub verdict: Verdict,
}

/// Checks every target whose workload was measured.
#[must_use]
pub fn check(results: &[WorkloadResult]) -> Vec<Checked> {
    let measured = |target: &Target| results.iter().find(|result| result.name == target.workload);
    TARGETS
        .iter()
        .filter_map(|target| Some(judge(target, measured(target)?)))
        .collect()
}

fn judge(target: &Target, measured: &WorkloadResult) -> Checked {
    let ours_ns = measured.figure_ns(REFERENCE);
    let found = measured.figure_ns(target.peer);
    let peer_ns = found.or(target.otherwise_ns);
    let peer = match (found, target.otherwise_ns) {
        (None, Some(ns)) => format!("{} ({ns} ns, not measured here)", target.peer),
        _ => target.peer.to_owned(),
    };
    // A peer that costs nothing above the control drowned in its noise: nothing can be concluded.
    let peer_ns = peer_ns.filter(|&ns| ns > 0.0);
    let limit_ns = peer_ns.map(|ns| ns * target.factor);
    Checked {
        target: format!("{}: at most {} x {peer}", target.workload, target.factor),
        ours_ns,
        limit_ns,
        ratio: ours_ns.zip(peer_ns).map(|(ours, peer)| ours / peer),
        verdict: match ours_ns.zip(limit_ns) {
            Some((ours, limit)) if ours <= limit => Verdict::Pass,
            Some(_) => Verdict::Miss,
            None => Verdict::NotMeasured,
        },
    }
}
