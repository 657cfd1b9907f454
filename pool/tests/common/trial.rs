//! Trials: threads that take and give back objects in every way, as the dice fall, and check
//! that no object is lost and none is held twice.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tailcut_pool::{AsIs, Guard, OwnedGuard, Path, Pool, Window};

use super::bind;

/// One trial.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    pub portable: bool,
    pub capacity: usize,
    pub threads: usize,
    /// Whether the threads keep changing CPUs.
    pub migrating: bool,
    /// Whether signals keep interrupting the threads.
    pub signals: bool,
    /// How many objects are to be taken or given back, at least.
    pub operations: u64,
}

/// What a trial did.
#[derive(Debug)]
pub struct Done {
    pub operations: u64,
    pub restarts: u64,
    pub path: Path,
}

/// What each object carries: who has it, 0 for nobody. In two parts, so that it can be split.
type Marked = [AtomicU32; 2];

/// How many operations a trial does: `TAILCUT_OPERATIONS` if that is set (fewer under Valgrind,
/// more in a stress), or `usual`.
pub fn operations(usual: u64) -> u64 {
    let asked = std::env::var("TAILCUT_OPERATIONS").ok();
    asked.and_then(|n| n.parse().ok()).unwrap_or(usual)
}

impl Trial {
    /// Runs the trial.
    ///
    /// # Panics
    /// If an object was lost, doubled, or held by two at once.
    pub fn run(self) -> Done {
        let make: fn() -> Marked = Default::default;
        let builder = Pool::builder(make).keep_as_is().capacity(self.capacity);
        let pool = if self.portable {
            builder.portable()
        } else {
            builder
        }
        .build()
        .unwrap();
        let share = self.operations.div_ceil(self.threads as u64);
        let storm = Storm::default();
        let operations = std::thread::scope(|scope| {
            let workers: Vec<_> = (1..=self.threads)
                .map(|id| {
                    let (pool, storm) = (&pool, &storm);
                    scope.spawn(move || {
                        let _target = self.signals.then(|| storm.target());
                        let mut hand = Hand::new(pool, id as u32);
                        while hand.operations < share {
                            if self.migrating && hand.random(512) == 0 {
                                bind(hand.random(2));
                            }
                            hand.turn();
                        }
                        hand.let_all_go()
                    })
                })
                .collect();
            if self.signals {
                scope.spawn(|| storm.blow());
            }
            let operations = workers
                .into_iter()
                .map(|worker| worker.join().unwrap())
                .sum();
            storm.over.store(true, Ordering::Relaxed);
            operations
        });
        let all: Vec<_> = (0..self.capacity)
            .map(|_| pool.try_get().expect("nothing was lost"))
            .collect();
        assert!(pool.try_get().is_err(), "nothing was doubled");
        drop(all);
        Done {
            operations,
            restarts: pool.restarts(),
            path: pool.path(),
        }
    }
}

/// One thread of a trial, and what it holds.
struct Hand<'p> {
    pool: &'p Pool<Marked, AsIs>,
    id: u32,
    seed: u64,
    guards: Vec<Guard<'p, Marked>>,
    owned: Vec<OwnedGuard<Marked>>,
    window: Window<'p, Marked>,
    operations: u64,
}

impl<'p> Hand<'p> {
    fn new(pool: &'p Pool<Marked, AsIs>, id: u32) -> Self {
        Hand {
            pool,
            id,
            seed: u64::from(id),
            guards: Vec::with_capacity(pool.capacity()),
            owned: Vec::with_capacity(pool.capacity()),
            window: pool.window(),
            operations: 0,
        }
    }

    /// A cheap random number below `end` (xorshift64*), so that the trial's own cost stays small.
    fn random(&mut self, end: usize) -> usize {
        self.seed ^= self.seed >> 12;
        self.seed ^= self.seed << 25;
        self.seed ^= self.seed >> 27;
        (self.seed.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % end
    }

    fn take(&mut self, object: &Marked) {
        for part in object {
            assert_eq!(part.swap(self.id, Ordering::Relaxed), 0, "held twice");
        }
        self.operations += 1;
    }

    fn give(&mut self, object: &Marked) {
        for part in object {
            assert_eq!(part.swap(0, Ordering::Relaxed), self.id, "taken over");
        }
        self.operations += 1;
    }

    /// Takes or gives back an object or some, in one of the ways there are.
    fn turn(&mut self) {
        match self.random(32) {
            0..9 => {
                if let Ok(guard) = self.pool.try_get() {
                    self.take(&guard);
                    self.guards.push(guard);
                } else if self.guards.is_empty() && self.owned.is_empty() {
                    // On a machine with few cores somebody must run who has an object.
                    self.window.release();
                    std::thread::yield_now();
                }
            }
            9 => {
                if let Ok(some) = self.pool.try_get_array::<4>() {
                    some.iter().for_each(|guard| self.take(guard));
                    self.guards.extend(some);
                }
            }
            10..12 => {
                if let Ok(guard) = self.pool.try_get_owned() {
                    self.take(&guard);
                    self.owned.push(guard);
                }
            }
            12..22 => drop(self.any_guard()),
            22 => {
                let rest = self.guards.len().saturating_sub(8);
                let some = self.guards.split_off(rest);
                some.iter().for_each(|guard| self.give(guard));
                self.pool.put_all(some);
            }
            23..26 => {
                if let Some(guard) = self.owned.pop() {
                    self.give(&guard);
                }
            }
            26..28 => {
                if let Some(guard) = self.any_guard() {
                    self.window.push(guard);
                }
            }
            28 => {
                if let Some(guard) = self.any_guard() {
                    let (left, right) = Guard::split(guard, |parts| {
                        let [left, right] = parts;
                        (left, right)
                    });
                    drop(left);
                    drop(right);
                }
            }
            29 => {
                if let Some(guard) = self.any_guard() {
                    drop(Guard::map(guard, |parts| &mut parts[1]));
                }
            }
            _ => {
                if self.random(16) == 0 {
                    self.window.release();
                }
            }
        }
    }

    /// One of the guards, ready to be dropped.
    fn any_guard(&mut self) -> Option<Guard<'p, Marked>> {
        if self.guards.is_empty() {
            return None;
        }
        let index = self.random(self.guards.len());
        let guard = self.guards.swap_remove(index);
        self.give(&guard);
        Some(guard)
    }

    /// Ends; returns how many objects were taken and given back.
    fn let_all_go(mut self) -> u64 {
        while self.any_guard().is_some() {}
        while let Some(guard) = self.owned.pop() {
            self.give(&guard);
        }
        self.operations
    }
}

/// Signals that interrupt threads wherever they are, some hundred thousand a second.
#[derive(Debug, Default)]
pub struct Storm {
    pub over: AtomicBool,
    targets: Mutex<Vec<libc::pthread_t>>,
}

/// A thread in a storm, until dropped.
pub struct Target<'s>(&'s Storm);

impl Storm {
    /// Makes the calling thread a target.
    pub fn target(&self) -> Target<'_> {
        extern "C" fn nothing(_: libc::c_int) {}
        // SAFETY: the handler does nothing, and takes part in no other test's signals. The rest is
        // no more than a look at who we are.
        let this = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = nothing as *const () as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut());
            libc::pthread_self()
        };
        self.targets.lock().unwrap().push(this);
        Target(self)
    }

    /// Sends signals to all targets in turn until the storm is over.
    pub fn blow(&self) {
        while !self.over.load(Ordering::Relaxed) {
            for &target in &*self.targets.lock().unwrap() {
                // SAFETY: a thread takes itself off the list, which is locked, before it ends.
                unsafe { libc::pthread_kill(target, libc::SIGUSR1) };
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for Target<'_> {
    fn drop(&mut self) {
        // SAFETY: no more than a look at who we are.
        let this = unsafe { libc::pthread_self() };
        let mut targets = self.0.targets.lock().unwrap();
        targets.retain(|&target| target != this);
    }
}

/// Pools that end while owned guards are dropped elsewhere: each object is dropped exactly once.
///
/// # Panics
/// If an object was dropped twice, too early, or not at all.
pub fn endings(portable: bool, threads: usize, operations: u64) -> Done {
    const HELD: usize = 8;
    struct Alive(std::sync::Arc<AtomicU32>);
    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let capacity = threads * HELD;
    let rounds = operations.div_ceil(2 * capacity as u64);
    let alive = std::sync::Arc::new(AtomicU32::new(0));
    let barrier = std::sync::Barrier::new(threads + 1);
    let hands: Vec<Mutex<Vec<OwnedGuard<Alive>>>> =
        (0..threads).map(|_| Mutex::default()).collect();
    let (mut path, mut restarts) = (Path::Rseq, 0);
    std::thread::scope(|scope| {
        for hand in &hands {
            scope.spawn(|| {
                for _ in 0..rounds {
                    barrier.wait();
                    let held = std::mem::take(&mut *hand.lock().unwrap());
                    for guard in held {
                        assert_ne!(guard.0.load(Ordering::Relaxed), 0, "dropped under a guard");
                    }
                    barrier.wait();
                }
            });
        }
        for round in 0..rounds {
            let counted = alive.clone();
            let builder = Pool::builder(move || {
                counted.fetch_add(1, Ordering::Relaxed);
                Alive(counted.clone())
            });
            let builder = builder.keep_as_is().capacity(capacity);
            let pool = if portable {
                builder.portable()
            } else {
                builder
            }
            .build()
            .unwrap();
            for hand in &hands {
                let held = (0..HELD).map(|_| pool.try_get_owned().unwrap());
                *hand.lock().unwrap() = held.collect();
            }
            barrier.wait();
            path = pool.path();
            restarts += pool.restarts();
            // Sooner or later than the guards.
            (0..round % 64 * 8).for_each(|_| std::hint::spin_loop());
            drop(pool);
            barrier.wait();
            assert_eq!(
                alive.load(Ordering::Relaxed),
                0,
                "an object was not dropped"
            );
        }
    });
    Done {
        operations: rounds * 2 * capacity as u64,
        restarts,
        path,
    }
}
