//! How much a request allocates, counted in a run of its own: the timed run carries no counter.

use crate::engine::pool_watch::Watched;
use crate::engine::rehearsal;
use crate::error::LoadError;
use crate::order::generate::Corpus;
use crate::plan::RunPlan;
use crate::services::{self, WithWorkload};
use crate::workload::Workload;
use std::sync::atomic::AtomicBool;
use tailcut_pool::meter;
use tailcut_report::recording::Allocations;

/// What the calling thread has allocated and freed so far, as the program's own counter has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AllocationCounts {
    /// Calls that gave memory out, reallocations included.
    pub allocations: u64,
    /// Calls that took memory back.
    pub frees: u64,
    /// Bytes asked for.
    pub bytes: u64,
}

impl From<meter::Counts> for AllocationCounts {
    /// What the pool crate's meter has counted.
    fn from(counts: meter::Counts) -> AllocationCounts {
        let meter::Counts {
            allocations,
            frees,
            bytes,
        } = counts;
        AllocationCounts {
            allocations,
            frees,
            bytes,
        }
    }
}

/// Serves at least `requests` requests unpaced on the calling thread and counts what they allocate.
///
/// Two windows go before, uncounted, and at least two are counted, so that settlements are in it
/// and what is allocated once is not. `probe` reads the calling thread's counter. Only the plan's
/// service, window and seed matter; the handoff form allocates what the inline form does, on two
/// threads, and is counted as inline.
///
/// # Errors
/// What [`RunPlan::check`] refuses; a pool that cannot be built.
pub fn count_requests(
    plan: &RunPlan,
    requests: u64,
    probe: &dyn Fn() -> AllocationCounts,
) -> Result<Allocations, LoadError> {
    plan.check()?;
    services::inline(
        plan,
        Count {
            plan,
            requests,
            probe,
        },
    )
}

/// The checksum that every run of `plan` in the inline form records, without a run: by serving its rehearsal on the calling
/// thread. Programs that are forms of the same service in other languages are held against it.
///
/// Costs what serving two windows of each worker costs: 0.1 s for 120,000 orders.
///
/// # Errors
/// As [`count_requests`].
pub fn expected_checksum(plan: &RunPlan) -> Result<String, LoadError> {
    plan.check()?;
    services::inline(plan, Expect { plan })
}

struct Expect<'a> {
    plan: &'a RunPlan,
}

impl WithWorkload for Expect<'_> {
    type Output = String;

    fn with<W: Workload>(self, make: impl Fn(u32) -> W + Sync, _: Option<&dyn Watched>) -> String {
        let corpus = Corpus::generate(self.plan.seed);
        let never = AtomicBool::new(false);
        let services = self.plan.services();
        let requests = rehearsal::requests(self.plan.window);
        let sum = (0..services).fold(0u64, |sum, service| {
            let mut workload = make(service);
            rehearsal::rehearse(&corpus, requests, (service, services), &never, |request| {
                workload.handle(request);
            });
            sum.wrapping_add(workload.checksum())
        });
        format!("{sum:016x}")
    }
}

struct Count<'a> {
    plan: &'a RunPlan,
    requests: u64,
    probe: &'a dyn Fn() -> AllocationCounts,
}

impl WithWorkload for Count<'_> {
    type Output = Allocations;

    fn with<W: Workload>(
        self,
        make: impl Fn(u32) -> W + Sync,
        _: Option<&dyn Watched>,
    ) -> Allocations {
        let corpus = Corpus::generate(self.plan.seed);
        let mut workload = make(0);
        let warm_up = rehearsal::requests(self.plan.window);
        let counted = self.requests.max(warm_up);
        let never = AtomicBool::new(false);
        let mut serve = |requests| {
            rehearsal::rehearse(&corpus, requests, (0, 1), &never, |request| {
                workload.handle(request);
            })
        };
        serve(warm_up);
        let before = (self.probe)();
        serve(counted);
        let after = (self.probe)();
        #[allow(clippy::cast_precision_loss)] // figures for people
        let per_request =
            |after: u64, before: u64| after.saturating_sub(before) as f64 / counted as f64;
        Allocations {
            requests: counted,
            allocations_per_request: per_request(after.allocations, before.allocations),
            frees_per_request: per_request(after.frees, before.frees),
            bytes_per_request: per_request(after.bytes, before.bytes),
        }
    }
}
