//! Looking beyond the core's own magazine, and leaving an object that it cannot take.

use std::pin::{Pin, pin};
use std::ptr::NonNull;
use std::task::Waker;
use std::time::Instant;

use super::depot::MAX_BATCH;
use super::waiting::{self, Dismissed, Waiter};
use super::{FreeSlots, Site};
use crate::percpu::FenceRefused;
use crate::slab::SlotId;
use crate::{probes, sync};

impl FreeSlots {
    /// Takes a slot past any attendant; `None` when none was free anywhere at some moment.
    pub(super) fn take_unattended(&self) -> Option<NonNull<u8>> {
        match self.magazines.pop() {
            Some(object) => Some(object),
            None => self.search(),
        }
    }

    /// The core's own magazine has nothing: look everywhere else, or refuse.
    #[cold]
    fn search(&self) -> Option<NonNull<u8>> {
        let mut attempt = 0;
        loop {
            match self.take_elsewhere() {
                Ok(Some(object)) => {
                    self.events().gets.add_one();
                    return Some(object);
                }
                Ok(None) if !self.nothing_is_free_or_served() => sync::relax(&mut attempt),
                // Nothing; or what other cores hold is out of reach for good: refuse rather than
                // hang.
                Ok(None) | Err(FenceRefused) => {
                    self.events().misses.add_one();
                    probes::exhausted(self.address(), self.slots() as u64);
                    return None;
                }
            }
        }
    }

    /// Loose slots, the depot, the other magazines.
    fn take_elsewhere(&self) -> Result<Option<NonNull<u8>>, FenceRefused> {
        if let Some(slot) = self.loose.pop() {
            self.high_water.at_least(self.at_hand());
            return Ok(Some(self.place.object(slot)));
        }
        // Only if there may be something to move: a transit spoils other threads' proof that
        // nothing is free, and of an exhausted pool many threads may want that proof at once.
        if self.depot.is_empty() && !self.magazines.census().0 {
            return Ok(None);
        }
        let mut buffer = [NonNull::dangling(); MAX_BATCH];
        let batch = &mut buffer[..self.depot.batch()];
        let transit = self.transits.begin();
        let mut slots = [SlotId(0); MAX_BATCH];
        let found = if self.depot.withdraw(&mut slots) {
            for (object, slot) in batch.iter_mut().zip(slots) {
                *object = self.place.object(slot);
            }
            self.events().refills.add_one();
            self.high_water.at_least(self.at_hand());
            probes::refill(
                self.address(),
                self.magazines.here() as u32,
                batch.len() as u32,
            );
            batch.len()
        } else if let Some((found, victim)) = self.magazines.steal(batch)? {
            self.events().steals.add_one();
            let here = self.magazines.here() as u32;
            probes::steal(self.address(), here, victim as u32, found as u32);
            found
        } else {
            return Ok(None);
        };
        let Some((&kept, rest)) = batch[..found].split_last() else {
            return Ok(None);
        };
        let accepted = rest.is_empty() || self.magazines.push_batch(rest);
        if !accepted {
            // The thread came to another core meanwhile, or the magazine was shut.
            for &object in rest {
                self.loose.push(self.place.slot(object));
            }
        }
        drop(transit);
        if !accepted {
            self.serve_waiters();
        }
        Ok(Some(kept))
    }

    /// Leaves an object past any attendant.
    pub(super) fn put_unattended(&self, object: NonNull<u8>) {
        if self.magazines.push(object) {
            return;
        }
        // Nobody need look for it if somebody waits for it.
        let object = if self.waiters.any() {
            match self.waiters.give(object, || self.nobody_waits()) {
                Ok(task) => {
                    self.events().puts.add_one();
                    waiting::wake(task);
                    return;
                }
                Err(object) => object,
            }
        } else {
            object
        };
        self.spill();
        if !self.magazines.push(object) {
            self.events().puts.add_one();
            self.loose.push(self.place.slot(object));
        }
        self.serve_waiters();
    }

    /// If the core's magazine is full, leaves one batch of it in the depot.
    fn spill(&self) {
        let _transit = self.transits.begin();
        let mut buffer = [NonNull::dangling(); MAX_BATCH];
        let batch = &mut buffer[..self.depot.batch()];
        if self.magazines.pop_batch(batch) {
            let mut slots = [SlotId(0); MAX_BATCH];
            for (slot, &mut object) in slots.iter_mut().zip(&mut *batch) {
                *slot = self.place.slot(object);
            }
            self.depot.deposit(&slots[..batch.len()]);
            self.events().spills.add_one();
            probes::spill(
                self.address(),
                self.magazines.here() as u32,
                batch.len() as u32,
            );
        }
    }

    /// Takes a free slot, waiting for one if need be; `None` when `deadline` passed first.
    #[inline(always)]
    pub(crate) fn take_or_wait(
        &self,
        deadline: Option<Instant>,
        site: Site,
    ) -> Option<NonNull<u8>> {
        match self.take(site) {
            Some(object) => Some(object),
            None => self.wait(deadline, site),
        }
    }

    #[cold]
    #[inline(never)]
    fn wait(&self, deadline: Option<Instant>, site: Site) -> Option<NonNull<u8>> {
        let waiter = pin!(Waiter::new());
        let waiter = waiter.as_ref();
        probes::wait_begin(self.address());
        let begun = probes::wait_end_is_traced().then(Instant::now);
        self.events().waits.add_one();
        self.waiters.join(waiter, None, || self.somebody_waits());
        self.serve_waiters();
        let object = self.waiters.wait(waiter, deadline, || self.nobody_waits());
        if let Some(begun) = begun {
            let waited = begun.elapsed().as_nanos() as u64;
            probes::wait_end(self.address(), waited, u32::from(object.is_some()));
        }
        self.handed(object, site)
    }

    /// A future's first step: joins the queue, and looks once more.
    pub(crate) fn join_queue(&self, waiter: Pin<&Waiter>, task: &Waker) {
        self.events().waits.add_one();
        self.waiters
            .join(waiter, Some(task.clone()), || self.somebody_waits());
        self.serve_waiters();
    }

    /// A future's next steps: the object if it has been given one.
    pub(crate) fn poll_queue(
        &self,
        waiter: Pin<&Waiter>,
        task: &Waker,
        site: Site,
    ) -> Option<NonNull<u8>> {
        let object = loop {
            match self.waiters.poll(waiter, task) {
                Ok(object) => break object,
                Err(Dismissed) => self.join_queue(waiter, task),
            }
        };
        self.handed(object, site)
    }

    /// A future's end: whatever it was given and did not take goes to the next.
    pub(crate) fn leave_queue(&self, waiter: Pin<&Waiter>) {
        if let Some(object) = self.waiters.leave(waiter, || self.nobody_waits()) {
            // The put below counts one; so there was a get.
            self.events().gets.add_one();
            self.put_unattended(object);
        }
    }

    /// An object came by way of the queue, past any attendant.
    fn handed(&self, object: Option<NonNull<u8>>, site: Site) -> Option<NonNull<u8>> {
        if object.is_some() {
            self.events().gets.add_one();
        }
        self.attend_taking(object, site);
        object
    }

    /// Hands what is free to those that wait, as long as there is both.
    ///
    /// To be called after leaving an object by way of an atomic read-modify-write, as every slow
    /// path does.
    pub(super) fn serve_waiters(&self) {
        while self.waiters.any() {
            let serving = self.servings.begin();
            let Some(object) = self.take_for_another() else {
                return;
            };
            match self.waiters.give(object, || self.nobody_waits()) {
                Ok(task) => {
                    // The task may run at once, and look for objects itself.
                    drop(serving);
                    waiting::wake(task);
                }
                // They have all gone. Look again afterwards: somebody may have come, and found
                // nothing because it was in our hands.
                Err(object) => self.loose.push(self.place.slot(object)),
            }
        }
    }

    /// Takes a slot that is not to come back.
    pub(crate) fn take_to_retire(&self) -> Option<NonNull<u8>> {
        let object = self.take_for_another()?;
        self.admitted.subtract(1);
        Some(object)
    }

    /// As `take_unattended`, but not counted as a get or a miss.
    fn take_for_another(&self) -> Option<NonNull<u8>> {
        let mut attempt = 0;
        loop {
            let mut one = [NonNull::dangling()];
            if self.magazines.pop_batch(&mut one) {
                return Some(one[0]);
            }
            match self.take_elsewhere() {
                Ok(Some(object)) => return Some(object),
                Ok(None) if !self.nothing_is_free() => sync::relax(&mut attempt),
                Ok(None) | Err(FenceRefused) => return None,
            }
        }
    }

    /// From now on every put takes the slow path, where it sees who waits.
    fn somebody_waits(&self) {
        // If the fence is refused, an object whose put was under way may be overlooked until the
        // next put: a limit that the crate's front page names.
        let _ = self.shut_for_giving(true);
    }

    fn nobody_waits(&self) {
        let _ = self.shut_for_giving(false);
    }

    /// As [`nothing_is_free`](Self::nothing_is_free), and no slot was on its way to somebody who
    /// waits, either: it may turn out that nobody does any more.
    fn nothing_is_free_or_served(&self) -> bool {
        let quiet = self.servings.none_under_way();
        quiet.is_some() && self.nothing_is_free() && quiet == Some(self.servings.begun())
    }

    /// Whether at one moment no slot lay in any place and none was in transit: two equal
    /// readings of all places, with no transit under way at the first or begun by the second.
    fn nothing_is_free(&self) -> bool {
        let Some(quiet) = self.transits.none_under_way() else {
            return false;
        };
        let Some(first) = self.empty_census() else {
            return false;
        };
        self.empty_census() == Some(first) && self.transits.begun() == quiet
    }

    /// The version of all places if each was empty when it was read.
    fn empty_census(&self) -> Option<(u64, u64)> {
        let (any, changes) = self.magazines.census();
        let changes = changes.wrapping_add(self.loose.version());
        let depot = self.depot.version();
        (!any && self.loose.is_empty() && self.depot.is_empty()).then_some((changes, depot))
    }

    /// What names this pool in a probe.
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}
