//! Whoever looks at each object as it is taken and given back: checks, a sample of lifetimes, and
//! cleaning on return.
//!
//! A pool with an attendant has no fast path at all: every get and put goes out of line and past
//! it. So a pool without one pays nothing, not even a test.

use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::checks::{Checks, Ledger};
use crate::counter::Counter;
use crate::free::Site;
use crate::lifetimes::Sampler;
use crate::slab::Place;

/// What is done to an object when it is given back, its type forgotten.
pub(crate) type OnReturn = Arc<dyn Fn(NonNull<u8>) + Send + Sync>;

/// See the module's head.
pub(crate) struct Attendant {
    on_return: Option<OnReturn>,
    ledger: Option<Ledger>,
    sampler: Option<Sampler>,
}

/// What there is to be done, as the builder was told.
#[derive(Clone, Default)]
pub(crate) struct Duties {
    pub(crate) on_return: Option<OnReturn>,
    pub(crate) checks: Option<Checks>,
    /// Sample one get in so many.
    pub(crate) sample: Option<u32>,
}

impl fmt::Debug for Attendant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attendant").finish_non_exhaustive()
    }
}

impl Attendant {
    /// An attendant, if there is anything to do. `slots` and `object_bytes` describe the slab.
    pub(crate) fn new(
        duties: Duties,
        place: Place,
        slots: usize,
        object_bytes: usize,
    ) -> Option<Box<Self>> {
        let Duties {
            on_return,
            checks,
            sample,
        } = duties;
        if on_return.is_none() && checks.is_none() && sample.is_none() {
            return None;
        }
        Some(Box::new(Attendant {
            on_return,
            ledger: checks.map(|checks| Ledger::new(checks, place, slots, object_bytes)),
            sampler: sample.map(|one_in| Sampler::new(one_in, place, slots)),
        }))
    }

    /// An object was made in its slot.
    pub(crate) fn made(&self, object: NonNull<u8>) {
        if let Some(ledger) = &self.ledger {
            ledger.made(object);
        }
    }

    /// An object in use has been dropped, and its slot is vacant.
    pub(crate) fn vacated(&self, object: NonNull<u8>) {
        if let Some(ledger) = &self.ledger {
            ledger.vacated(object);
        }
    }

    /// An object of `pool` was taken, by a get at `site`. If it must not be used, that is a panic,
    /// and `lost` counts it.
    pub(crate) fn taken(&self, pool: usize, object: NonNull<u8>, site: Site, lost: &Counter) {
        if let Some(ledger) = &self.ledger {
            ledger.taken(object, site, lost);
        }
        if let Some(sampler) = &self.sampler {
            sampler.taken(pool, object);
        }
    }

    /// An object is about to be given back to `pool`.
    pub(crate) fn given_back(&self, pool: usize, object: NonNull<u8>) {
        if let Some(ledger) = &self.ledger {
            ledger.given_back(object);
        }
        if let Some(sampler) = &self.sampler {
            sampler.given_back(pool, object);
        }
        if let Some(on_return) = &self.on_return {
            on_return(object);
        }
    }

    pub(crate) fn ledger(&self) -> Option<&Ledger> {
        self.ledger.as_ref()
    }

    pub(crate) fn sampler(&self) -> Option<&Sampler> {
        self.sampler.as_ref()
    }
}
