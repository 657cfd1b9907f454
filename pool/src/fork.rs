//! A process that forks: its child goes on with its own copies of the pools.
//!
//! `fork` copies the memory and one thread, the caller. What the other threads were about stays
//! as it was at that moment: a raised flag is never lowered, a transit never ends, a lock is never
//! given back. So the pools are told, by handlers of `pthread_atfork`:
//!
//! - **before** the fork the locks are taken, so that what they guard is whole: the registry's, each
//!   pool's queue of those that wait and list of vacant slots, and its maker's [`Turn`];
//! - **in the parent** they are given back, and nothing else happens;
//! - **in the child** what the vanished threads left is cleared away, while the caller is the only
//!   thread: flags go down, gates open, the queue is emptied, stacks are counted anew, the
//!   vanished threads' numbers are free. The locks are given back.
//!
//! Everything else is lock-free and needs no care: what a thread has not yet left in a place is in
//! its hands, and what it has taken is, too. That rests on the child's memory being the parent's of
//! one moment, which Linux sees to: a thread that would write to a page already copied waits until
//! all are.
//!
//! **What is lost to the child**: the objects that other threads held, or had on their way (a batch
//! of at most 32 each). They count as in use for ever, and are never dropped there, since they may
//! be half-changed: a pool that ends in the child drops its free objects, and the others leak. Who
//! waited is forgotten with its thread; a task that waited is not woken, since that could lock what
//! a vanished thread had locked, but if it is polled it waits anew.
//!
//! **Makers** run under a lock and may take any time, or wait for the very thread that forks. So the
//! fork waits for them a tenth of a second at most, holding nothing meanwhile. If one is at work all
//! the same, the child's copy of that pool [makes no objects](Turn): its maker stopped in the middle.
//!
//! **Cost**: none on get and put, a lock at the beginning and at the end of a pool. A fork takes
//! 2.4 us a pool longer in the parent (three locks, and a copy of each page that holds one), and
//! 3.7 us in the child, which looks at each core's magazine, at the link of each loose object and each
//! full batch (some 60 us for a million objects), and in a checked pool at each object's record.
//! `posix_spawn` and `vfork` run no handlers and need none; a bare `clone` and glibc's `_Fork` run none
//! either, and their children must leave the pools alone.
//!
//! Rejected: recognising a fork later, by a page that is wiped in the child
//! (`MADV_WIPEONFORK`). It needs no handlers, but a test on the slow paths, and finds the queue's lock
//! held and its links half-changed.

#![cfg_attr(
    any(loom, shuttle, not(unix)),
    allow(dead_code, reason = "nobody forks there")
)]

#[cfg(all(unix, not(any(loom, shuttle))))]
mod kept;
mod turn;

#[cfg(all(unix, not(any(loom, shuttle))))]
pub(crate) use self::kept::Kept;
pub(crate) use self::turn::Turn;

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::free::FreeSlots;
use crate::inventory::Shelf;

/// A living pool. Both are parts of it.
struct Member {
    free: NonNull<FreeSlots>,
    shelf: NonNull<Shelf>,
}

// SAFETY: addresses, followed under the registry's lock only, while the pool is in the registry.
unsafe impl Send for Member {}

/// Every living pool of the process.
static REGISTRY: Mutex<Vec<Member>> = Mutex::new(Vec::new());

/// How many forks lie between this process and the one that began to use pools.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// A number that differs in a child.
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// From now on a fork takes care of this pool.
///
/// # Safety
/// Both are parts of the same pool, which calls [`forget`] before it frees either.
pub(crate) unsafe fn watch(free: NonNull<FreeSlots>, shelf: NonNull<Shelf>) {
    handlers::register();
    registry().push(Member { free, shelf });
}

/// The pool of these free slots ends.
pub(crate) fn forget(free: NonNull<FreeSlots>) {
    registry().retain(|member| member.free != free);
}

fn registry() -> MutexGuard<'static, Vec<Member>> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What tells the calling thread from all others that live; not 0.
#[cfg(not(shuttle))]
fn this_thread() -> usize {
    thread_local! {
        // Without a destructor: it can be asked for at any time in a thread's life.
        static MARK: u8 = const { 0 };
    }
    MARK.with(|mark| std::ptr::from_ref(mark).addr())
}

/// See above.
#[cfg(shuttle)]
fn this_thread() -> usize {
    usize::from(shuttle::current::me()) + 1
}

#[cfg(all(unix, not(any(loom, shuttle))))]
mod handlers {
    use std::sync::atomic::{AtomicBool, AtomicUsize};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::percpu;

    /// How long a fork waits for makers that are at work.
    const PATIENCE: Duration = Duration::from_millis(100);

    /// The thread that forks, from `prepare` on.
    static FORKING: AtomicUsize = AtomicUsize::new(0);
    /// Its hold on the registry.
    static HELD: Kept<Vec<Member>> = Kept::new();

    /// Makes the handlers known, if they are not yet.
    pub(super) fn register() {
        // No `Once`: a fork in the middle of it would have the child wait for ever. If two threads
        // come at once, the handlers are registered twice, and see to that.
        static REGISTERED: AtomicBool = AtomicBool::new(false);
        if cfg!(miri) || REGISTERED.load(Ordering::Acquire) {
            return;
        }
        // SAFETY: functions of this crate that keep to what handlers may do. If there is no
        // memory for them, a child must leave the pools alone.
        unsafe { libc::pthread_atfork(Some(prepare), Some(in_parent), Some(in_child)) };
        REGISTERED.store(true, Ordering::Release);
    }

    impl Member {
        fn free(&self) -> &FreeSlots {
            // SAFETY: the pool lives while it is in the registry, whose lock is held.
            unsafe { self.free.as_ref() }
        }

        fn shelf(&self) -> &Shelf {
            // SAFETY: as above.
            unsafe { self.shelf.as_ref() }
        }

        fn turn(&self) -> &Turn {
            self.shelf().turn()
        }
    }

    /// Whether the caller is in the middle of a fork, as it is at the second of two handlers.
    fn is_forking() -> bool {
        FORKING.load(Ordering::Relaxed) == this_thread()
    }

    extern "C" fn prepare() {
        if is_forking() {
            return;
        }
        let begun = Instant::now();
        loop {
            let members = registry();
            let patient = begun.elapsed() < PATIENCE;
            // SAFETY: this is the thread that forks, and its hold on the registry keeps the pools
            // alive and other forks out, until `release`.
            unsafe {
                if hold_turns(&members, patient) {
                    for member in members.iter() {
                        member.shelf().hold();
                        member.free().hold();
                    }
                    HELD.keep(members);
                    FORKING.store(this_thread(), Ordering::Relaxed);
                    return;
                }
            }
            drop(members);
            std::thread::yield_now();
        }
    }

    /// Holds every turn that can be had: all or none, as long as there is patience.
    ///
    /// # Safety
    /// As [`Turn::hold`].
    unsafe fn hold_turns(members: &[Member], patient: bool) -> bool {
        for (index, member) in members.iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe {
                if !member.turn().hold() && patient {
                    members[..index]
                        .iter()
                        .for_each(|member| member.turn().release());
                    return false;
                }
            }
        }
        true
    }

    extern "C" fn in_parent() {
        release(|member| {
            // SAFETY: this is the thread that has forked.
            unsafe {
                member.free().release();
                member.shelf().release();
                member.turn().release();
            }
        });
    }

    extern "C" fn in_child() {
        if !is_forking() {
            return;
        }
        GENERATION.fetch_add(1, Ordering::Relaxed);
        // SAFETY: this is the only thread of the process, and it has forked.
        unsafe {
            percpu::only_this_thread_is_left();
            release(|member| {
                member.free().clear_away();
                member.shelf().clear_away();
                member.turn().clear_away();
            });
        }
    }

    /// Gives every pool's locks back by `each`, and then the registry's.
    fn release(each: impl Fn(&Member)) {
        if !is_forking() {
            return;
        }
        // SAFETY: the thread that forks, and so the one that kept it.
        if let Some(members) = unsafe { HELD.take() } {
            members.iter().for_each(each);
            FORKING.store(0, Ordering::Relaxed);
        }
    }
}

/// Elsewhere nobody forks.
#[cfg(not(all(unix, not(any(loom, shuttle)))))]
mod handlers {
    pub(super) fn register() {}
}
