//! From the plan's choice to a type: the one place where services are named and built.

use crate::engine::handoff::RING;
use crate::engine::pool_watch::Watched;
use crate::error::LoadError;
use crate::order::heap::{BoxedWindow, HeapStore};
use crate::order::pooled::{PooledStore, PooledWindow, SPARE};
use crate::order::preshaped::{FlatOrder, PreshapedStore};
use crate::order::service::{Desk, Intake, OrderService};
use crate::plan::{RunPlan, Service};
use crate::scenario::ScenarioError;
use crate::workload::{Back, Front, Noop, Workload};
use tailcut_pool::Pool;

/// Something to be done with services of a type that it does not know: compiled for each.
pub(crate) trait WithWorkload {
    type Output;

    /// `make` builds the service of worker n, on the thread that will run it.
    fn with<W: Workload>(
        self,
        make: impl Fn(u32) -> W + Sync,
        pool: Option<&dyn Watched>,
    ) -> Self::Output;
}

/// The same for services in two halves.
pub(crate) trait WithHalves {
    type Output;

    /// `front` and `back` build the halves of pair n, each on its own thread.
    fn with<F: Front, B: Back<Parcel = F::Parcel>>(
        self,
        front: impl Fn(u32) -> F + Sync,
        back: impl Fn(u32) -> B + Sync,
        pool: Option<&dyn Watched>,
    ) -> Self::Output;
}

/// Which services a run loads.
pub(crate) trait Served {
    /// Hands `job` the way to build services that one thread each runs.
    fn inline<J: WithWorkload>(self, plan: &RunPlan, job: J) -> Result<J::Output, LoadError>;

    /// The same for services in two halves.
    fn halves<J: WithHalves>(self, plan: &RunPlan, job: J) -> Result<J::Output, LoadError>;
}

/// Those that the plan names.
pub(crate) struct Named;

impl Served for Named {
    fn inline<J: WithWorkload>(self, plan: &RunPlan, job: J) -> Result<J::Output, LoadError> {
        inline(plan, job)
    }

    fn halves<J: WithHalves>(self, plan: &RunPlan, job: J) -> Result<J::Output, LoadError> {
        halves(plan, job)
    }
}

/// Anybody's, which this makes.
pub(crate) struct Own<M>(pub(crate) M);

impl<W: Workload, M: Fn(u32) -> W + Sync> Served for Own<M> {
    fn inline<J: WithWorkload>(self, _: &RunPlan, job: J) -> Result<J::Output, LoadError> {
        Ok(job.with(self.0, None))
    }

    fn halves<J: WithHalves>(self, _: &RunPlan, _: J) -> Result<J::Output, LoadError> {
        Err(ScenarioError::Refused(
            "a workload of one's own runs on one thread; choose the form inline".to_owned(),
        )
        .into())
    }
}

/// Builds what the plan's services share, and hands `job` the way to build each.
pub(crate) fn inline<J: WithWorkload>(plan: &RunPlan, job: J) -> Result<J::Output, LoadError> {
    let window = plan.window;
    Ok(match plan.service {
        Service::Noop => job.with(|_| Noop::default(), None),
        Service::Heap => {
            let make = |worker| {
                OrderService::new(
                    Intake::new(HeapStore),
                    Desk::new(boxed_window(window), window, worker),
                )
            };
            job.with(make, None)
        }
        Service::HeapPreshaped => {
            let make = |worker| {
                OrderService::new(
                    Intake::new(PreshapedStore),
                    Desk::new(boxed_window(window), window, worker),
                )
            };
            job.with(make, None)
        }
        Service::Pool => {
            let pool = pool(plan)?;
            let make = |worker| {
                let desk = Desk::new(PooledWindow::new(&pool), window, worker);
                OrderService::new(Intake::new(PooledStore::new(&pool)), desk)
            };
            job.with(make, Some(&pool))
        }
    })
}

/// As [`inline`], for the two-thread form.
fn halves<J: WithHalves>(plan: &RunPlan, job: J) -> Result<J::Output, LoadError> {
    let window = plan.window;
    Ok(match plan.service {
        Service::Noop => job.with(|_| Noop::default(), |_| Noop::default(), None),
        Service::Heap => {
            let back = |worker| Desk::new(boxed_window(window), window, worker);
            job.with(|_| Intake::new(HeapStore), back, None)
        }
        Service::HeapPreshaped => {
            let back = |worker| Desk::new(boxed_window(window), window, worker);
            job.with(|_| Intake::new(PreshapedStore), back, None)
        }
        Service::Pool => {
            let pool = pool(plan)?;
            let back = |worker| Desk::new(PooledWindow::new(&pool), window, worker);
            job.with(|_| Intake::new(PooledStore::new(&pool)), back, Some(&pool))
        }
    })
}

/// A window that never grows: what it holds was checked against memory.
fn boxed_window<T>(window: u64) -> BoxedWindow<T> {
    BoxedWindow::with_capacity(usize::try_from(window).unwrap_or(usize::MAX))
}

/// One pool for all services of the run, with room for every window and all that is on its way.
fn pool(plan: &RunPlan) -> Result<Pool<FlatOrder>, LoadError> {
    let each = plan
        .window
        .saturating_add(SPARE)
        .saturating_add(RING as u64);
    let capacity =
        usize::try_from(each.saturating_mul(u64::from(plan.services()))).unwrap_or(usize::MAX);
    Ok(Pool::builder(FlatOrder::new).capacity(capacity).build()?)
}
