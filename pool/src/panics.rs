//! Going on after a panic, where many objects are dropped or given back and one fails.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `step`; of all panics the first is kept, and the others are forgotten, because what they
/// carry may panic when it is dropped.
pub(crate) fn keep_first(first: &mut Option<Box<dyn Any + Send>>, step: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(step)) {
        match first {
            None => *first = Some(panic),
            Some(_) => std::mem::forget(panic),
        }
    }
}
