//! Who holds a frozen buffer: a count, and the guard that the last holder gets.
//!
//! A buffer that is frozen has many readers. Its guard rests here meanwhile, beside the count, so
//! that sharing a buffer allocates nothing. Whoever brings the count to zero takes the guard out:
//! to drop it, which gives the buffer back, or to write to the buffer again.
//!
//! **Cost**: an atomic addition to share, another to let go; a line of memory per buffer, which is
//! touched only if the buffer is frozen.
//!
//! **Protocol**: the count is 0 while the buffer is free or has one writer, and then nobody but
//! that writer ([`begin`](Holders::begin)) changes it. Above 0 it is the number of holders. It
//! leaves 0 by `begin` alone, never by joining, so that whoever brings it to 0 is alone with the
//! guard. Letting go releases, and becoming the only one acquires: what the readers read comes
//! before what the next writer writes. The model at the foot checks both.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use crate::sync::{AtomicU64, Ordering};

/// See the module's head. A line of its own: neighbours' counts are changed on other cores.
#[repr(align(64))]
pub(super) struct Holders<G> {
    /// 64 bits, which cannot be counted through in a lifetime, even if every holder is forgotten.
    count: AtomicU64,
    /// Holds a guard exactly while the count is not 0, or its last holder is taking it out.
    guard: UnsafeCell<MaybeUninit<G>>,
}

impl<G> Holders<G> {
    /// Nobody.
    pub(super) fn none() -> Self {
        Holders {
            count: AtomicU64::new(0),
            guard: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// Makes the caller the first holder; its guard rests here from now on.
    ///
    /// # Safety
    /// The buffer of these holders is the caller's alone, by `guard`.
    pub(super) unsafe fn begin(&self, guard: G) {
        debug_assert_eq!(self.count.load(Ordering::Relaxed), 0);
        // SAFETY: the count is 0, and only the caller, who owns the buffer, can change that: nobody
        // else looks at the guard.
        unsafe { (*self.guard.get()).write(guard) };
        // Release: for whoever joins without holding.
        self.count.store(1, Ordering::Release);
    }

    /// One more holder, made by one that holds.
    #[inline]
    pub(super) fn join(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// A second holder, made by somebody who holds nothing; `false` if there is not exactly one.
    #[cfg_attr(not(feature = "bytes"), allow(dead_code, reason = "for bytes only"))]
    pub(super) fn join_the_only_one(&self) -> bool {
        // Acquire: what was written before `begin` is seen.
        self.count
            .compare_exchange(1, 2, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// One holder less, who was the caller. The last one gets the guard.
    ///
    /// The guard keeps these very holders alive: as soon as the count is lowered, the one who gets
    /// the guard may free them. So this takes an address, and not a reference.
    ///
    /// # Safety
    /// The caller holds, and does so no longer.
    #[inline]
    pub(super) unsafe fn leave(this: NonNull<Self>) -> Option<G> {
        // SAFETY: the caller holds, so the holders are there.
        let before = unsafe { (*this.as_ptr()).count.fetch_sub(1, Ordering::AcqRel) };
        if before != 1 {
            return None;
        }
        // SAFETY: this call brought the count to 0, and the guard keeps the holders alive.
        Some(unsafe { this.as_ref().take() })
    }

    /// The guard, if the caller is the only holder; it then holds no longer.
    ///
    /// # Safety
    /// The caller holds, and no longer does so if it gets the guard.
    pub(super) unsafe fn take_if_alone(&self) -> Option<G> {
        self.count
            .compare_exchange(1, 0, Ordering::Acquire, Ordering::Relaxed)
            .ok()?;
        // SAFETY: this call brought the count to 0.
        Some(unsafe { self.take() })
    }

    /// # Safety
    /// The caller has brought the count from 1 to 0.
    unsafe fn take(&self) -> G {
        // SAFETY: the count was not 0, so a guard is here; it is 0 now, so nobody else takes it out
        // or joins, and nobody begins anew, because that takes this very guard.
        unsafe { (*self.guard.get()).assume_init_read() }
    }
}

// SAFETY: holders on several threads share only the count, and one of them gets the guard.
unsafe impl<G: Send> Sync for Holders<G> {}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_last_holder_gets_the_guard_and_nobody_joins_after_it() {
        let holders = Holders::none();
        assert!(!holders.join_the_only_one());
        // SAFETY: one thread; each call is by one that holds.
        unsafe {
            holders.begin("guard");
            assert!(holders.join_the_only_one());
            assert!(!holders.join_the_only_one());
            holders.join();
            assert_eq!(holders.take_if_alone(), None);
            assert_eq!(Holders::leave((&holders).into()), None);
            assert_eq!(Holders::leave((&holders).into()), None);
            assert_eq!(Holders::leave((&holders).into()), Some("guard"));
            assert!(!holders.join_the_only_one());
            holders.begin("again");
            assert_eq!(holders.take_if_alone(), Some("again"));
        }
    }
}

/// Every interleaving of two holders, one of whom may have joined from outside: one of them gets
/// the guard, and what it writes comes after all that the other read (loom's cell tells otherwise).
#[cfg(all(test, loom))]
mod model {
    use super::*;
    use loom::cell::UnsafeCell as Contents;
    use loom::sync::Arc;

    struct Shared {
        holders: Holders<()>,
        contents: Contents<u32>,
    }
    // SAFETY: the contents are reached by holders and by the one with the guard, as modelled.
    unsafe impl Sync for Shared {}
    // SAFETY: as above.
    unsafe impl Send for Shared {}

    impl Shared {
        fn frozen(contents: u32) -> Arc<Self> {
            let shared = Arc::new(Shared {
                holders: Holders::none(),
                contents: Contents::new(0),
            });
            // SAFETY: the model's own cell, nobody else has it yet.
            shared
                .contents
                .with_mut(|value| unsafe { *value = contents });
            // SAFETY: the buffer is this thread's.
            unsafe { shared.holders.begin(()) };
            shared
        }

        fn read(&self) {
            // SAFETY: the model checks it.
            assert_eq!(self.contents.with(|value| unsafe { *value }), 7);
        }

        /// Writes as the only one; whether that was so.
        fn write_if(&self, guard: Option<()>) -> bool {
            if guard.is_some() {
                // SAFETY: the model checks it.
                self.contents.with_mut(|value| unsafe { *value += 1 });
            }
            guard.is_some()
        }
    }

    #[test]
    fn one_of_all_that_leave_writes_next() {
        loom::model(|| {
            let shared = Shared::frozen(7);
            shared.holders.join();
            let other = Arc::clone(&shared);
            let thread = loom::thread::spawn(move || {
                other.read();
                // SAFETY: this thread holds.
                other.write_if(unsafe { Holders::leave((&other.holders).into()) })
            });
            shared.read();
            // SAFETY: this thread holds.
            let alone = unsafe { shared.holders.take_if_alone() };
            let mine = match alone {
                Some(()) => shared.write_if(alone),
                // SAFETY: this thread still holds.
                None => shared.write_if(unsafe { Holders::leave((&shared.holders).into()) }),
            };
            let its = thread.join().unwrap();
            assert!(mine != its, "the guard goes to exactly one");
        });
    }

    #[test]
    fn who_joins_from_outside_holds_or_is_told_that_nobody_does() {
        loom::model(|| {
            let shared = Shared::frozen(7);
            let other = Arc::clone(&shared);
            let thread = loom::thread::spawn(move || {
                if !other.holders.join_the_only_one() {
                    return false;
                }
                other.read();
                // SAFETY: this thread has joined.
                other.write_if(unsafe { Holders::leave((&other.holders).into()) })
            });
            shared.read();
            // SAFETY: this thread holds.
            let mine = shared.write_if(unsafe { Holders::leave((&shared.holders).into()) });
            let its = thread.join().unwrap();
            assert!(mine != its, "the guard goes to exactly one");
        });
    }
}
