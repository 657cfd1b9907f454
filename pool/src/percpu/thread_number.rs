//! A small number for each living thread, unlike any other's.
//!
//! The smallest that is free, dealt when a thread first asks, and free again when the thread has
//! ended: so the first few threads of a program keep the first few numbers, and a number names a
//! magazine that one thread alone uses. Nothing is allocated: the numbers dealt are bits, and the
//! end of a thread is learnt by a key of the C library, not by a Rust destructor.
//!
//! **Cost**: one read of a thread-local word.

/// Numbers from here on are shared: more threads live than there are numbers, or the thread is
/// ending, or this system does not tell when a thread ends.
#[cfg(not(any(loom, shuttle)))]
pub(crate) const SHARED: u32 = 1 << 16;

#[cfg(all(unix, not(any(loom, shuttle))))]
pub(crate) use dealt::{known_thread_number, only_this_thread_is_left, thread_number};

#[cfg(all(unix, not(any(loom, shuttle))))]
mod dealt {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

    use super::SHARED;

    const NOT_DEALT: u32 = u32::MAX;
    const WORDS: usize = 16;
    /// One bit per number that some living thread has.
    static TAKEN: [AtomicU64; WORDS] = [const { AtomicU64::new(0) }; WORDS];
    /// Spreads those that share.
    static NEXT_SHARED: AtomicU32 = AtomicU32::new(0);

    thread_local! {
        // Const-initialised and without a destructor: it can be read and written at any time in a
        // thread's life, also while it ends.
        static NUMBER: Cell<u32> = const { Cell::new(NOT_DEALT) };
    }

    /// The number, or one above all others if none was dealt yet.
    #[inline(always)]
    pub(crate) fn known_thread_number() -> u32 {
        NUMBER.get()
    }

    /// See the module's head.
    #[inline(always)]
    pub(crate) fn thread_number() -> u32 {
        match NUMBER.get() {
            NOT_DEALT => deal(),
            number => number,
        }
    }

    #[cold]
    #[inline(never)]
    fn deal() -> u32 {
        let number = match key() {
            Some(key) => take_free()
                .filter(|&number| {
                    // SAFETY: a key that was made; the value is a number, never followed. Not 0,
                    // for which no destructor would run.
                    let kept = unsafe {
                        libc::pthread_setspecific(key, (number as usize + 1) as *const libc::c_void)
                    };
                    if kept != 0 {
                        give_back(number);
                    }
                    kept == 0
                })
                .unwrap_or_else(shared),
            None => shared(),
        };
        NUMBER.set(number);
        number
    }

    fn take_free() -> Option<u32> {
        for (index, word) in TAKEN.iter().enumerate() {
            let mut taken = word.load(Ordering::Relaxed);
            while taken != u64::MAX {
                let bit = taken.trailing_ones();
                // Acquire: whatever the last thread of this number did is done.
                match word.compare_exchange_weak(
                    taken,
                    taken | 1 << bit,
                    Ordering::Acquire,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => return Some(index as u32 * 64 + bit),
                    Err(now) => taken = now,
                }
            }
        }
        None
    }

    fn give_back(number: u32) {
        TAKEN[number as usize / 64].fetch_and(!(1 << (number % 64)), Ordering::Release);
    }

    fn shared() -> u32 {
        SHARED + NEXT_SHARED.fetch_add(1, Ordering::Relaxed) % SHARED
    }

    /// Runs when a thread that was dealt a number ends.
    extern "C" fn ended(value: *mut libc::c_void) {
        // Other destructors may run after this one, and use a pool: no longer by that number.
        NUMBER.set(shared());
        give_back((value.addr() - 1) as u32);
    }

    /// After a fork, in the child: all numbers but this thread's are free.
    pub(crate) fn only_this_thread_is_left() {
        let own = NUMBER.get();
        for (index, word) in TAKEN.iter().enumerate() {
            let is_here = own / 64 == index as u32;
            word.store(u64::from(is_here) << (own % 64), Ordering::Relaxed);
        }
    }

    fn key() -> Option<libc::pthread_key_t> {
        // No `OnceLock`: a fork while another thread is in it would have the child wait for ever.
        const NONE: u64 = 0;
        /// The key plus one.
        static KEY: AtomicU64 = AtomicU64::new(NONE);
        if let Some(known) = KEY.load(Ordering::Acquire).checked_sub(1) {
            return Some(known as libc::pthread_key_t);
        }
        let mut key = 0;
        // SAFETY: writes one key; the destructor is a function of this crate.
        let made = unsafe { libc::pthread_key_create(&raw mut key, Some(ended)) };
        if made != 0 {
            return None;
        }
        let plus_one = u64::from(key) + 1;
        match KEY.compare_exchange(NONE, plus_one, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Some(key),
            Err(others) => {
                // SAFETY: made above, and nobody else knows it.
                unsafe { libc::pthread_key_delete(key) };
                Some((others - 1) as libc::pthread_key_t)
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::collections::HashSet;
        use std::sync::{Barrier, Mutex};

        #[test]
        fn living_threads_have_different_numbers_and_ended_ones_give_theirs_back() {
            let mut highest = 0;
            for _ in 0..200 {
                let (numbers, all_here) = (Mutex::new(HashSet::new()), Barrier::new(8));
                std::thread::scope(|scope| {
                    for _ in 0..8 {
                        scope.spawn(|| {
                            let number = thread_number();
                            assert!(numbers.lock().unwrap().insert(number), "{number} twice");
                            all_here.wait();
                            assert_eq!(thread_number(), number);
                        });
                    }
                });
                highest = highest.max(*numbers.lock().unwrap().iter().max().unwrap());
            }
            // Other tests' threads have numbers, too; 1600 that were never given back would not do.
            assert!(highest < 1000, "{highest}");
        }
    }
}

/// Where nobody tells when a thread ends, all share.
#[cfg(all(not(unix), not(any(loom, shuttle))))]
pub(crate) fn thread_number() -> u32 {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    thread_local! {
        static NUMBER: Cell<u32> = const { Cell::new(0) };
    }
    if NUMBER.get() == 0 {
        NUMBER.set(SHARED + NEXT.fetch_add(1, Ordering::Relaxed) % SHARED);
    }
    NUMBER.get()
}

/// See above: this one calls.
#[cfg(any(not(unix), loom, shuttle))]
pub(crate) fn known_thread_number() -> u32 {
    thread_number()
}

/// Under shuttle the threads of one run are numbered from 0, so that a run can be repeated.
#[cfg(shuttle)]
pub(crate) fn thread_number() -> u32 {
    usize::from(shuttle::current::me()) as u32
}

/// Under loom the two threads of a model are told apart by their identity: 0 and 1.
#[cfg(loom)]
pub(crate) fn thread_number() -> u32 {
    loom::thread_local! {
        static NUMBER: u32 = {
            let shown = format!("{:?}", loom::thread::current().id());
            let digits = shown.bytes().filter(u8::is_ascii_digit);
            digits.fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
        };
    }
    NUMBER.with(|number| *number)
}
