//! Threads and tasks that wait for an object: a queue, served in the order of arrival.
//!
//! **No put pays for waiters that are not there.** The first to wait shuts all magazines for
//! giving, so that from then on each put takes the slow path, looks here, and hands its object to
//! the head of the queue. The last to leave opens them again.
//!
//! **Nobody allocates.** The queue is a doubly linked list through the waiters themselves, which
//! stand on their threads' stacks or in their futures; all of it is guarded by one mutex, and a
//! waiter takes itself out before it goes.
//!
//! **No wake-up is lost.** A waiter joins the queue (and shuts the magazines), then looks
//! everywhere and hands what it finds to the head of the queue, itself or another. A giver leaves
//! its object where all can find it, then looks at the queue, and does the same. Between "leave,
//! then look" and "join, then look" stands a full barrier on both sides, so that at least one sees
//! the other.
//!
//! **Fairness.** Those that wait are served first come, first served. A get that need not wait may
//! overtake them if it finds an object on its way to the queue.

use std::cell::UnsafeCell;
use std::marker::PhantomPinned;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::Waker;
use std::time::Instant;

#[cfg(all(unix, not(any(loom, shuttle))))]
use crate::fork::Kept;
use crate::sync::{self, AtomicU32, Condvar, Mutex, Ordering};

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Waiters {
    /// How many stand in the queue.
    count: AtomicU32,
    queue: Mutex<Queue>,
    /// The lock, while this thread forks.
    #[cfg(all(unix, not(any(loom, shuttle))))]
    kept: Kept<Queue>,
}

#[derive(Debug)]
struct Queue {
    head: *const Waiter,
    tail: *const Waiter,
}

// SAFETY: the pointers are followed under the mutex only, to waiters that take themselves out of
// the queue before they end.
unsafe impl Send for Queue {}

/// One that waits. It must stay where it is while it stands in the queue.
#[derive(Debug)]
pub(crate) struct Waiter {
    /// Everything here is guarded by the queue's mutex.
    inside: UnsafeCell<Inside>,
    woken: Condvar,
    _pinned: PhantomPinned,
}

#[derive(Debug)]
struct Inside {
    before: *const Waiter,
    after: *const Waiter,
    state: State,
    /// A task's; a thread waits for `woken`.
    task: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Outside,
    Queued,
    Given(NonNull<u8>),
}

/// A waiter's place in the queue is gone.
#[derive(Debug)]
pub(crate) struct Dismissed;

// SAFETY: `inside` is touched under the queue's mutex; an object's address may go to any thread
// (whose type allows that is checked where guards are made).
unsafe impl Send for Waiter {}
// SAFETY: as above.
unsafe impl Sync for Waiter {}

impl Waiter {
    pub(crate) fn new() -> Self {
        Waiter {
            inside: UnsafeCell::new(Inside {
                before: ptr::null(),
                after: ptr::null(),
                state: State::Outside,
                task: None,
            }),
            woken: Condvar::new(),
            _pinned: PhantomPinned,
        }
    }
}

/// The inside of a waiter.
///
/// # Safety
/// The caller holds the queue's mutex, has no other reference into this waiter's inside, and the
/// waiter is alive: its own, or one that stands in the queue.
unsafe fn inside<'q>(waiter: *const Waiter) -> &'q mut Inside {
    // SAFETY: the caller's promise.
    unsafe { &mut *(*waiter).inside.get() }
}

impl Queue {
    /// # Safety
    /// `self` is the locked queue; `waiter` is alive, pinned, and stands in no queue.
    unsafe fn join(&mut self, waiter: *const Waiter) {
        // SAFETY: the caller's promise; each reference ends before the next begins.
        unsafe {
            let new = inside(waiter);
            new.state = State::Queued;
            new.before = self.tail;
            new.after = ptr::null();
            if self.tail.is_null() {
                self.head = waiter;
            } else {
                inside(self.tail).after = waiter;
            }
        }
        self.tail = waiter;
    }

    /// # Safety
    /// `self` is the locked queue, in which `waiter` stands.
    unsafe fn remove(&mut self, waiter: *const Waiter) {
        // SAFETY: the caller's promise; neighbours stand in the queue, so they are alive.
        unsafe {
            let (before, after) = {
                let leaving = inside(waiter);
                (leaving.before, leaving.after)
            };
            if before.is_null() {
                self.head = after;
            } else {
                inside(before).after = after;
            }
            if after.is_null() {
                self.tail = before;
            } else {
                inside(after).before = before;
            }
        }
    }
}

/// Wakes a task. A waker that panics has been reported by the panic hook; the panic is not passed
/// on, because it would keep others from being served, and a put from being finished.
pub(crate) fn wake(task: Option<Waker>) {
    let Some(task) = task else { return };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| task.wake())) {
        std::mem::forget(panic); // its own destructor may panic, too
    }
}

impl Waiters {
    pub(crate) fn new() -> Self {
        Waiters {
            count: AtomicU32::new(0),
            queue: Mutex::new(Queue {
                head: ptr::null(),
                tail: ptr::null(),
            }),
            #[cfg(all(unix, not(any(loom, shuttle))))]
            kept: Kept::new(),
        }
    }

    /// How many wait now.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed) as usize
    }

    /// Whether anybody waits. To be called after leaving an object by way of an atomic
    /// read-modify-write.
    #[inline(always)]
    pub(crate) fn any(&self) -> bool {
        sync::full_barrier_after_rmw();
        self.count.load(Ordering::Relaxed) != 0
    }

    /// Puts `waiter` at the end of the queue. `first` runs if nobody waited, under the lock. The
    /// caller must look everywhere then, and must call [`leave`](Self::leave) before the waiter
    /// ends.
    pub(crate) fn join(&self, waiter: Pin<&Waiter>, task: Option<Waker>, first: impl FnOnce()) {
        let mut queue = sync::lock(&self.queue);
        // SAFETY: the queue is locked; the waiter is pinned, stands in no queue (its one user joins
        // once) and takes itself out before it ends.
        unsafe {
            inside(&raw const *waiter).task = task;
            queue.join(&raw const *waiter);
        }
        if self.count.fetch_add(1, Ordering::SeqCst) == 0 {
            first();
        }
        drop(queue);
        sync::full_barrier();
    }

    /// Hands an object to whoever waits longest; gives it back if nobody waits. `last` runs if
    /// nobody waits any more, under the lock. A task that was served is the caller's to
    /// [`wake`].
    pub(crate) fn give(
        &self,
        object: NonNull<u8>,
        last: impl FnOnce(),
    ) -> Result<Option<Waker>, NonNull<u8>> {
        let mut queue = sync::lock(&self.queue);
        let head = queue.head;
        if head.is_null() {
            return Err(object);
        }
        // SAFETY: the queue is locked, so the head is alive and cannot leave.
        let task = unsafe {
            queue.remove(head);
            let served = inside(head);
            served.state = State::Given(object);
            let task = served.task.take();
            if task.is_none() {
                (*head).woken.notify_one();
            }
            task
        };
        self.one_less(last);
        drop(queue);
        Ok(task)
    }

    /// Waits until the waiter was given an object, or until `deadline`, and leaves.
    pub(crate) fn wait(
        &self,
        waiter: Pin<&Waiter>,
        deadline: Option<Instant>,
        last: impl FnOnce(),
    ) -> Option<NonNull<u8>> {
        let mut queue = sync::lock(&self.queue);
        loop {
            // SAFETY: the queue is locked, the waiter is ours.
            if let State::Given(object) = unsafe { inside(&raw const *waiter).state } {
                return Some(object);
            }
            if sync::passed(deadline) {
                break;
            }
            (queue, _) = sync::wait(&waiter.get_ref().woken, queue, deadline);
        }
        // SAFETY: the queue is locked, and the waiter still stands in it.
        unsafe { queue.remove(&raw const *waiter) };
        self.one_less(last);
        None
    }

    /// The object that the waiter was given, if it was; otherwise `task` is woken when it is.
    ///
    /// # Errors
    /// The waiter stands in no queue: it was dismissed after a fork, and must join again.
    pub(crate) fn poll(
        &self,
        waiter: Pin<&Waiter>,
        task: &Waker,
    ) -> Result<Option<NonNull<u8>>, Dismissed> {
        // Cloning and dropping a waker run foreign code, which may use this pool: not under the lock.
        let mut task = Some(task.clone());
        let queue = sync::lock(&self.queue);
        // SAFETY: the queue is locked, the waiter is ours.
        let ours = unsafe { inside(&raw const *waiter) };
        let found = match ours.state {
            State::Given(object) => {
                ours.state = State::Outside;
                Ok(Some(object))
            }
            State::Queued => {
                std::mem::swap(&mut ours.task, &mut task);
                Ok(None)
            }
            State::Outside => Err(Dismissed),
        };
        drop(queue);
        drop(task);
        found
    }

    /// Leaves the queue early; an object that was given meanwhile goes back to the caller.
    pub(crate) fn leave(&self, waiter: Pin<&Waiter>, last: impl FnOnce()) -> Option<NonNull<u8>> {
        let mut queue = sync::lock(&self.queue);
        // SAFETY: the queue is locked, the waiter is ours.
        match unsafe { inside(&raw const *waiter).state } {
            State::Outside => None,
            State::Given(object) => Some(object),
            State::Queued => {
                // SAFETY: the queue is locked, and the waiter stands in it.
                unsafe { queue.remove(&raw const *waiter) };
                self.one_less(last);
                None
            }
        }
    }

    /// Somebody left the queue, which is locked.
    fn one_less(&self, last: impl FnOnce()) {
        if self.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            last();
        }
    }
}

/// What a fork does: see [`crate::fork`].
#[cfg(all(unix, not(any(loom, shuttle))))]
impl Waiters {
    /// Keeps the queue as it is.
    ///
    /// # Safety
    /// The caller forks, no other thread does, and the waiters do not end before it has called
    /// [`release`](Self::release) or [`dismiss_all`](Self::dismiss_all).
    pub(super) unsafe fn hold(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.kept.keep(sync::lock(&self.queue)) }
    }

    /// Lets it change again.
    ///
    /// # Safety
    /// As for [`hold`](Self::hold).
    pub(super) unsafe fn release(&self) {
        // SAFETY: the caller's promise.
        drop(unsafe { self.kept.take() });
    }

    /// As `release`, in the child: nobody waits any more.
    ///
    /// # Safety
    /// As for [`hold`](Self::hold), and the caller is the process's only thread.
    pub(super) unsafe fn dismiss_all(&self) {
        // SAFETY: the caller's promise.
        let Some(mut queue) = (unsafe { self.kept.take() }) else {
            return;
        };
        let mut next = queue.head;
        while !next.is_null() {
            // SAFETY: the queue is locked, and has been since before the fork: the waiter stands in
            // it, and in the child nobody has ended it. (It may lie on the stack of a vanished
            // thread; the memory is there until new threads begin.)
            let dismissed = unsafe { inside(next) };
            next = dismissed.after;
            dismissed.state = State::Outside;
            // Neither woken nor dropped: either could lock what a vanished thread had locked.
            std::mem::forget(dismissed.task.take());
        }
        queue.head = ptr::null();
        queue.tail = ptr::null();
        self.count.store(0, Ordering::SeqCst);
    }
}
