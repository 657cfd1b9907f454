//! From the form that was asked for to a type: every worker is compiled for its form, nothing is called
//! through a table.

use super::{ServeError, ServeOptions};
use crate::memory;
use crate::order::heap::{BoxedWindow, HeapStore};
use crate::order::pooled::{PooledStore, PooledWindow, SPARE};
use crate::order::preshaped::{FlatOrder, PreshapedStore};
use crate::order::reply::Fate;
use crate::order::service::{Desk, Intake, NotTaken};
use crate::order::store::{LiveOrders, Store};
use crate::plan::{RunPlan, Service};
use crate::workload::Back;
use tailcut_pool::Pool;

/// One worker's order service.
pub(super) trait Handler {
    /// What becomes of an order that takes up exactly `order`.
    fn handle(&mut self, order: &[u8]) -> Fate;

    /// Windows settled so far.
    fn settled_windows(&self) -> u64;
}

/// Something to be done with handlers of a type that it does not know.
pub(super) trait WithHandlers {
    type Output;

    /// `make` builds the service of worker n, on the thread that will run it.
    fn with<H: Handler>(self, make: impl Fn(u32) -> H + Sync) -> Self::Output;
}

/// Builds what the services share, and hands `job` the way to build each.
pub(super) fn with_handlers<J: WithHandlers>(
    options: &ServeOptions,
    job: J,
) -> Result<J::Output, ServeError> {
    let window = options.window;
    // It grows no more; that it fits into memory was checked.
    let room = usize::try_from(window).unwrap_or(usize::MAX);
    Ok(match options.service {
        Service::Noop => job.with(|_| NullHandler),
        Service::Heap => job.with(|worker| OrderHandler {
            intake: Intake::new(HeapStore),
            desk: Desk::new(BoxedWindow::with_capacity(room), window, worker),
        }),
        Service::HeapPreshaped => job.with(|worker| OrderHandler {
            intake: Intake::new(PreshapedStore),
            desk: Desk::new(BoxedWindow::with_capacity(room), window, worker),
        }),
        Service::Pool => {
            let each = window.saturating_add(SPARE);
            let all = each.saturating_mul(u64::from(options.services()));
            let pool = Pool::builder(FlatOrder::new)
                .capacity(usize::try_from(all).unwrap_or(usize::MAX))
                .build()
                .map_err(crate::LoadError::from)?;
            job.with(|worker| OrderHandler {
                intake: Intake::new(PooledStore::new(&pool)),
                desk: Desk::new(PooledWindow::new(&pool), window, worker),
            })
        }
    })
}

/// Refuses a window that would not fit into what is free now.
pub(super) fn check_memory(options: &ServeOptions) -> Result<(), ServeError> {
    if options.window == 0 {
        return Err(crate::LoadError::NoWindow.into());
    }
    let plan = RunPlan {
        window: options.window,
        workers: options.services(),
        ..RunPlan::new(options.service, "")
    };
    Ok(memory::check(&plan)?)
}

/// Answers everything at once: the ceiling of sockets and event loop.
struct NullHandler;

impl Handler for NullHandler {
    #[inline(always)]
    fn handle(&mut self, _: &[u8]) -> Fate {
        Fate::Accepted
    }

    fn settled_windows(&self) -> u64 {
        0
    }
}

/// The whole service. As [`crate::order::service::OrderService`], but it tells bytes that are no order from
/// an order that is refused.
struct OrderHandler<S, L> {
    intake: Intake<S>,
    desk: Desk<L>,
}

impl<S: Store, L: LiveOrders<Order = S::Order>> Handler for OrderHandler<S, L> {
    #[inline]
    fn handle(&mut self, order: &[u8]) -> Fate {
        match self.intake.take(order) {
            Ok(order) => match self.desk.accept(order) {
                Ok(()) => Fate::Accepted,
                Err(_) => Fate::Refused,
            },
            Err(NotTaken::NoRoom(_)) => Fate::Refused,
            Err(NotTaken::Wire(_)) => Fate::Malformed,
        }
    }

    fn settled_windows(&self) -> u64 {
        self.desk.settled_windows()
    }
}
