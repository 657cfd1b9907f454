//! Loom models of the free slots as a whole, on the portable path: every interleaving of two
//! threads, up to a bounded number of preemptions.

use std::panic::Location;
use std::pin::pin;
use std::sync::atomic::AtomicUsize as Plain;
use std::sync::atomic::Ordering::SeqCst;

use super::depot::Chain;
use super::waiting::Waiter;
use super::*;
use loom::sync::Arc;

fn free_slots(capacity: usize, end: unsafe fn(NonNull<FreeSlots>)) -> FreeSlots {
    let free = FreeSlots::new(
        Arrangement {
            slots: capacity,
            expected: capacity,
            portable: true,
            attendant: None,
        },
        Place::nowhere(),
        end,
    )
    .unwrap();
    free.admit(0..capacity as u32);
    free
}

fn free(capacity: usize) -> FreeSlots {
    unsafe fn never(_: NonNull<FreeSlots>) {
        unreachable!("these free slots are not closed");
    }
    free_slots(capacity, never)
}

fn take(free: &FreeSlots) -> Option<NonNull<u8>> {
    free.take(Location::caller())
}

fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000; // filling the pool alone takes some hundreds
    builder.check(model);
}

/// Objects may be sent in a model: nothing lies at their addresses.
struct Sent(NonNull<u8>);
// SAFETY: an address that nobody follows.
unsafe impl Send for Sent {}

/// Two slots, two threads that each want one: neither may be refused, wherever the slots lie
/// and whatever is in transit.
#[test]
fn nobody_is_refused_while_a_slot_is_free() {
    bounded(3, || {
        let free = Arc::new(free(2));
        let other = Arc::clone(&free);
        let thread = loom::thread::spawn(move || {
            let slot = take(&other).expect("one slot each");
            other.put(slot);
        });
        let slot = take(&free).expect("one slot each");
        free.put(slot);
        thread.join().unwrap();
        let (a, b) = (take(&free).unwrap(), take(&free).unwrap());
        assert_ne!(a, b);
        assert_eq!(take(&free), None);
    });
}

/// As above with a batch of two: one thread has both slots in transit while the other looks.
#[test]
fn nobody_is_refused_while_a_batch_is_in_transit() {
    bounded(2, || {
        let free = Arc::new(free(16));
        assert_eq!(free.batch(), 2);
        let held: Vec<_> = (0..14).map(|_| take(&free).unwrap()).collect();
        let other = Arc::clone(&free);
        let thread = loom::thread::spawn(move || take(&other).expect("one slot each").addr());
        let mine = take(&free).expect("one slot each").addr();
        assert_ne!(thread.join().unwrap(), mine);
        assert_eq!(take(&free), None);
        drop(held);
    });
}

/// A bulk return races with a get: the get is served or refused, and afterwards all is there.
#[test]
fn a_bulk_return_loses_nothing() {
    bounded(3, || {
        let free = Arc::new(free(2));
        let slots = [take(&free).unwrap(), take(&free).unwrap()].map(Sent);
        let other = Arc::clone(&free);
        let thread = loom::thread::spawn(move || {
            let mut chain = Chain::default();
            for Sent(slot) in slots {
                other.append(&mut chain, &[other.place.slot(slot)]);
            }
            other.splice(&mut chain);
        });
        if let Some(slot) = take(&free) {
            free.put(slot);
        }
        thread.join().unwrap();
        let (a, b) = (take(&free).unwrap(), take(&free).unwrap());
        assert_ne!(a, b);
        assert_eq!(take(&free), None);
    });
}

/// One slot, two threads that each wait for it: both are served, nobody sleeps for ever (loom
/// reports that as a deadlock).
#[test]
fn no_wake_up_is_lost() {
    bounded(2, || {
        let free = Arc::new(free(1));
        let other = Arc::clone(&free);
        let thread = loom::thread::spawn(move || {
            let slot = other.take_or_wait(None, Location::caller()).unwrap();
            other.put(slot);
        });
        let slot = free.take_or_wait(None, Location::caller()).unwrap();
        free.put(slot);
        thread.join().unwrap();
    });
}

/// A waiter that gives up passes on what it was given: the slot is not lost, and the other one
/// that waits gets it.
#[test]
fn a_waiter_that_leaves_keeps_nothing() {
    bounded(2, || {
        let free = Arc::new(free(1));
        let held = take(&free).unwrap();
        let other = Arc::clone(&free);
        let thread = loom::thread::spawn(move || {
            let waiter = pin!(Waiter::new());
            other.join_queue(waiter.as_ref(), std::task::Waker::noop());
            other.leave_queue(waiter.as_ref());
        });
        free.put(held);
        thread.join().unwrap();
        assert_eq!(take(&free), Some(held));
    });
}

/// The pool is closed while another thread gives an object back, and one more comes later: the
/// end comes once, and not before both are back.
#[test]
fn a_closed_pool_ends_once_with_its_last_object() {
    static ENDED: Plain = Plain::new(0);
    static HOME: Plain = Plain::new(0);
    unsafe fn end(_: NonNull<FreeSlots>) {
        assert_eq!(HOME.load(SeqCst), 2, "somebody still has an object");
        ENDED.fetch_add(1, SeqCst);
    }
    /// Kept until the end of the model: what an ended pool's threads touch last is still there.
    struct Address(NonNull<FreeSlots>);
    // SAFETY: free slots are `Sync`.
    unsafe impl Send for Address {}

    bounded(3, || {
        ENDED.store(0, SeqCst);
        HOME.store(0, SeqCst);
        let free = Box::new(free_slots(2, end));
        let (first, second) = (take(&free).unwrap(), take(&free).unwrap());
        let address = NonNull::from(Box::leak(free));
        let sent = (Address(address), Sent(first));
        let thread = loom::thread::spawn(move || {
            let (Address(address), Sent(first)) = sent;
            HOME.fetch_add(1, SeqCst);
            // SAFETY: the object is ours, of these free slots.
            unsafe { FreeSlots::put_owned(address, first) };
        });
        // SAFETY: only owned objects are about, and the memory stays till the end of the model.
        unsafe { FreeSlots::close(address, 2) };
        HOME.fetch_add(1, SeqCst);
        // SAFETY: as above.
        unsafe { FreeSlots::put_owned(address, second) };
        thread.join().unwrap();
        assert_eq!(ENDED.load(SeqCst), 1);
        // SAFETY: leaked above; all threads are done with it.
        drop(unsafe { Box::from_raw(address.as_ptr()) });
    });
}
