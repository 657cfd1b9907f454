//! Whether the live orders fit into memory, asked before anything starts.
//!
//! A window that does not fit is not slow, it is killed, and takes the recording with it.

use crate::error::LoadError;
use crate::order::pooled::SPARE;
use crate::order::preshaped::FlatOrder;
use crate::plan::{RunPlan, Service};
use crate::quantity::Bytes;

/// What a live order of the heap form takes, with its allocations' overhead: resident memory with a
/// window of 2,000,000 orders grew by 417 bytes an order on glibc 2.36; allocators with size
/// classes round up more.
const HEAP_ORDER: u64 = 480;

/// A flat order in a box, with the allocator's header and rounding.
const BOXED_FLAT_ORDER: u64 = size_of::<FlatOrder>() as u64 + 32;

/// A slot of the pool: whole cache lines, and its entry in the free lists.
const POOL_SLOT: u64 = (size_of::<FlatOrder>() as u64).next_multiple_of(64) + 64;

/// Histograms, corpus and stacks of one worker.
const WORKER: u64 = 8 << 20;

/// What the run will take at its fullest, about.
#[must_use]
pub fn estimate(plan: &RunPlan) -> Bytes {
    let (orders, size) = match plan.service {
        Service::Noop => (0, 0),
        // The window's vector holds a pointer each.
        Service::Heap => (plan.window, HEAP_ORDER + 8),
        Service::HeapPreshaped => (plan.window, BOXED_FLAT_ORDER + 8),
        Service::Pool => (plan.window.saturating_add(SPARE), POOL_SLOT),
    };
    let workers = u64::from(plan.workers);
    Bytes(
        orders
            .saturating_mul(size)
            .saturating_add(WORKER)
            .saturating_mul(workers),
    )
}

/// Refuses a plan that would not fit into what is free now.
pub(crate) fn check(plan: &RunPlan) -> Result<(), LoadError> {
    match available() {
        Some(available) => check_against(plan, available),
        None => Ok(()), // a kernel that does not say: the run will show
    }
}

fn check_against(plan: &RunPlan, available: Bytes) -> Result<(), LoadError> {
    let needed = estimate(plan);
    if needed > available {
        let &RunPlan {
            window, workers, ..
        } = plan;
        return Err(LoadError::WindowTooLarge {
            window,
            workers,
            needed,
            available,
        });
    }
    Ok(())
}

/// Memory that can be had without swapping.
fn available() -> Option<Bytes> {
    crate::host::meminfo("MemAvailable")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_order_is_as_large_as_its_module_says() {
        assert_eq!(size_of::<FlatOrder>(), 320);
    }

    #[test]
    fn a_window_that_exceeds_memory_is_refused_with_both_numbers() {
        let mut plan = RunPlan::example(Service::Heap);
        plan.window = 10_000_000_000;
        let refused = check_against(&plan, Bytes(16 << 30))
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("10000000000") && refused.contains("16.0 GiB"),
            "{refused}"
        );
        plan.window = u64::MAX;
        assert!(check_against(&plan, Bytes(u64::MAX - 1)).is_err());
        plan.window = 120_000;
        assert!(check_against(&plan, Bytes(1 << 30)).is_ok());
    }
}
