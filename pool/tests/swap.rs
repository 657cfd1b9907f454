//! A pool is exchanged for another while it is in use.
#![cfg(all(feature = "swap", not(loom)))]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tailcut_pool::export::Snapshot;
use tailcut_pool::{AsIs, Exhausted, OwnedGuard, Pool, Swap};

/// What became of all tokens.
#[derive(Default)]
struct Ledger {
    made: AtomicUsize,
    dropped: AtomicUsize,
}

/// An object that notices when it has two users, is dropped twice, or is dropped while in use.
struct Token {
    ledger: Arc<Ledger>,
    in_use: AtomicBool,
    dropped: bool,
}

impl Token {
    fn new(ledger: &Arc<Ledger>) -> Self {
        ledger.made.fetch_add(1, Ordering::Relaxed);
        Token {
            ledger: Arc::clone(ledger),
            in_use: AtomicBool::new(false),
            dropped: false,
        }
    }

    fn begin(&self) {
        assert!(!self.in_use.swap(true, Ordering::AcqRel), "two users");
    }

    fn end(&self) {
        assert!(self.in_use.swap(false, Ordering::AcqRel), "not in use");
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        assert!(!self.dropped, "dropped twice");
        assert!(!*self.in_use.get_mut(), "dropped while in use");
        self.dropped = true;
        self.ledger.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

fn tokens(ledger: &Arc<Ledger>, capacity: usize, portable: bool) -> Pool<Token, AsIs> {
    let ledger = Arc::clone(ledger);
    let builder = Pool::builder(move || Token::new(&ledger))
        .keep_as_is()
        .capacity(capacity);
    if portable {
        builder.portable().build().unwrap()
    } else {
        builder.build().unwrap()
    }
}

/// Threads that take, keep for a while and give back, some of it on another thread, while the pool
/// is replaced a thousand times by larger and smaller ones, on one path and on the other.
#[test]
fn every_object_is_dropped_once_when_pools_are_replaced_under_load() {
    const REPLACEMENTS: usize = 1000;
    let ledger = Arc::new(Ledger::default());
    let swap = Swap::new(tokens(&ledger, 32, false));
    let done = AtomicBool::new(false);
    let gets = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (elsewhere, arriving) = mpsc::sync_channel::<OwnedGuard<Token>>(64);
        scope.spawn(move || arriving.iter().for_each(|token| token.end()));
        for thread in 0..3 {
            let (swap, done, gets, elsewhere) = (&swap, &done, &gets, elsewhere.clone());
            scope.spawn(move || {
                let mut reader = swap.reader();
                let mut held: [Option<OwnedGuard<Token>>; 8] = Default::default();
                for turn in 0_usize.. {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    let got = if thread == 0 {
                        reader.try_get()
                    } else {
                        swap.try_get()
                    };
                    let Ok(token) = got else {
                        // The threads keep up to 24 objects, and some pools have 16.
                        held.iter_mut()
                            .filter_map(Option::take)
                            .for_each(|token| token.end());
                        continue;
                    };
                    token.begin();
                    gets.fetch_add(1, Ordering::Relaxed);
                    if turn % 5 == 0 {
                        elsewhere.send(token).unwrap();
                    } else if let Some(kept) = held[turn % 8].replace(token) {
                        kept.end();
                    }
                }
                held.iter().flatten().for_each(|token| token.end());
            });
        }
        drop(elsewhere);
        for replacement in 1..=REPLACEMENTS {
            let before = gets.load(Ordering::Relaxed);
            let new = tokens(&ledger, 16 + replacement % 50, replacement % 3 == 0);
            drop(swap.replace(new));
            // Some gets for each pool, so that none is replaced before it was used.
            let end = Instant::now() + Duration::from_secs(60);
            while gets.load(Ordering::Relaxed) < before + 20 {
                if Instant::now() > end {
                    done.store(true, Ordering::Relaxed);
                    panic!("no gets for a minute after replacement {replacement}");
                }
                std::thread::yield_now();
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(gets.into_inner() >= 20 * REPLACEMENTS);
    drop(swap);
    let made = ledger.made.load(Ordering::Relaxed);
    assert!(made > 16 * REPLACEMENTS);
    assert_eq!(ledger.dropped.load(Ordering::Relaxed), made);
    // Makers hold it, too: pools that were kept would show here.
    assert_eq!(Arc::strong_count(&ledger), 1);
}

#[test]
fn an_object_in_use_outlives_the_replacement_of_its_pool() {
    for portable in [false, true] {
        let ledger = Arc::new(Ledger::default());
        let dropped = || ledger.dropped.load(Ordering::Relaxed);
        let swap = Swap::new(tokens(&ledger, 2, portable));
        let held = swap.try_get().unwrap();
        let old = swap.replace(tokens(&ledger, 3, portable));
        assert_eq!((old.capacity(), swap.current().capacity()), (2, 3));
        assert_eq!(old.statistics().in_use, 1);
        drop(old);
        held.begin();
        held.end();
        assert_eq!(dropped(), 0, "the old pool's memory stays");
        drop(held);
        assert_eq!(dropped(), 2, "the old pool ends with its last object");
        drop(swap);
        assert_eq!(dropped(), 5);
    }
}

#[test]
fn the_new_pool_serves_while_every_object_of_the_old_one_is_in_use() {
    let ledger = Arc::new(Ledger::default());
    let swap = Swap::new(tokens(&ledger, 1, false));
    let mut reader = swap.reader();
    let first = swap.try_get().unwrap();
    let refused = swap.try_get().map(drop);
    assert_eq!(refused, Err(Exhausted { capacity: 1 }));
    assert!(reader.try_get().is_err());
    let old = swap.replace(tokens(&ledger, 2, false));
    let (second, third) = (swap.try_get().unwrap(), reader.try_get().unwrap());
    assert_eq!(reader.try_get().map(drop), Err(Exhausted { capacity: 2 }));
    drop(first);
    assert_eq!(
        old.statistics().in_use,
        0,
        "it went back where it came from"
    );
    assert!(swap.try_get().is_err());
    drop((second, third));
}

#[test]
fn an_idle_reader_keeps_the_pool_it_saw_until_it_is_refreshed() {
    let ledger = Arc::new(Ledger::default());
    let swap = Swap::new(tokens(&ledger, 1, false));
    let mut reader = swap.reader();
    let old = swap.replace(tokens(&ledger, 2, false));
    assert_eq!(Arc::strong_count(&old), 2);
    reader.refresh();
    assert_eq!(Arc::strong_count(&old), 1);
    assert_eq!(reader.pool().capacity(), 2);
}

#[test]
fn who_waits_for_an_object_of_the_old_pool_gets_one_of_its() {
    let pool = |value: u64| {
        let builder = Pool::builder(move || value).keep_as_is().capacity(1);
        builder.wait().build().unwrap()
    };
    let swap = Swap::new(pool(1));
    let held = swap.try_get().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| swap.with(|pool| pool.own(pool.get())));
        while Snapshot::of("", &swap).statistics.waiting == 0 {
            std::thread::yield_now();
        }
        drop(swap.replace(pool(2)));
        assert_eq!(*swap.try_get().unwrap(), 2);
        drop(held);
        assert_eq!(*waiting.join().unwrap(), 1);
    });
}
