//! Where the objects lie: alignment, pages, nodes, locking, and what happens when there is none.
#![cfg(not(loom))]

mod common;

use common::both_paths;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tailcut_pool::{BuildError, HugePages, Node, Pages, Pool};

#[test]
fn objects_lie_as_they_were_asked_to() {
    both_paths(|builder| {
        for bytes in [1, 2, 64, 128, 4096, 65_536, 2 << 20, 8 << 20] {
            let pool = builder.clone().capacity(3).align(bytes).build().unwrap();
            for guard in pool.try_get_array::<3>().unwrap() {
                let address = std::ptr::from_ref(&*guard).addr();
                assert_eq!(address % bytes.max(64), 0, "aligned to {bytes}");
            }
        }
    });
}

#[test]
fn a_types_own_alignment_is_kept() {
    #[repr(align(512))]
    struct Wide(u8);
    let pool = Pool::builder(|| Wide(1)).keep_as_is().capacity(5).align(64);
    for guard in pool.build().unwrap().try_get_array::<5>().unwrap() {
        assert_eq!(std::ptr::from_ref(&*guard).addr() % 512, 0);
        assert_eq!(guard.0, 1);
    }
}

#[test]
fn an_alignment_that_cannot_be_is_refused_with_the_value() {
    both_paths(|builder| {
        for bytes in [0, 3, 100, usize::MAX] {
            let error = builder
                .clone()
                .capacity(1)
                .align(bytes)
                .build()
                .unwrap_err();
            assert_eq!(error, BuildError::BadAlignment { bytes });
            assert!(error.to_string().contains(&format!("{bytes} bytes")));
        }
        let error = builder.clone().capacity(2).align(1 << 63).build();
        assert!(
            matches!(error, Err(BuildError::TooLarge { .. })),
            "{error:?}"
        );
    });
}

#[test]
fn base_pages_are_had_wherever_they_are_asked_for() {
    both_paths(|builder| {
        let builder = builder.capacity(100_000);
        let pool = builder.huge_pages(HugePages::Never).build().unwrap();
        assert_eq!(pool.pages(), Pages::Base);
        assert_eq!(*pool.try_get().unwrap(), 0);
    });
}

#[test]
fn advice_is_taken_for_large_pools_only() {
    both_paths(|builder| {
        let small = builder.clone().capacity(10).build().unwrap();
        assert_eq!(small.pages(), Pages::Base);
        let large = builder.capacity(100_000).huge_pages(HugePages::Advise);
        let pages = large.build().unwrap().pages();
        if cfg!(target_os = "linux")
            && std::fs::exists("/sys/kernel/mm/transparent_hugepage").unwrap()
        {
            assert_eq!(pages, Pages::Advised);
        }
    });
}

#[test]
fn a_preference_for_reserved_pages_is_never_an_error() {
    both_paths(|builder| {
        let builder = builder.capacity(100_000).huge_pages(HugePages::Prefer);
        let pool = builder.build().unwrap();
        assert_eq!(pool.try_get_array::<64>().unwrap().len(), 64);
    });
}

#[test]
fn reserved_pages_are_had_or_the_pool_is_refused_with_advice() {
    both_paths(|builder| {
        // More than any machine has reserved (but not more than a pool can hold).
        let builder = builder.capacity(1).room_for(1 << 31);
        let error = builder.huge_pages(HugePages::Require).build().unwrap_err();
        assert_eq!(error, BuildError::NoHugePages { bytes: 1 << 37 });
        let text = error.to_string();
        assert!(
            text.contains("vm.nr_hugepages") && text.contains("HugePages::Prefer"),
            "{text}"
        );
    });
}

#[cfg(target_os = "linux")]
#[test]
fn the_first_node_is_there_and_a_far_one_is_not() {
    both_paths(|builder| {
        let builder = builder.capacity(1_000);
        let pool = builder.clone().node(Node::Number(0)).build().unwrap();
        assert_eq!(*pool.try_get().unwrap(), 0);
        for node in [900, 1_024, u32::MAX] {
            let error = builder
                .clone()
                .node(Node::Number(node))
                .build()
                .unwrap_err();
            let BuildError::NoNode { node: named, why } = &error else {
                panic!("{error:?}");
            };
            assert_eq!(*named, node);
            assert!(!why.is_empty());
            assert!(error.to_string().contains(&format!("NUMA node {node}")));
        }
    });
}

#[test]
fn objects_can_be_spread_over_all_nodes() {
    both_paths(|builder| {
        let builder = builder.capacity(10_000).node(Node::Interleaved);
        assert_eq!(
            builder
                .build()
                .unwrap()
                .try_get_array::<100>()
                .unwrap()
                .len(),
            100
        );
    });
}

#[test]
fn a_maker_that_panics_half_way_leaks_nothing() {
    for portable in [false, true] {
        let alive = Arc::new(());
        for last in [0, 1, 40, 99] {
            let made = AtomicUsize::new(0);
            let object = Arc::clone(&alive);
            let builder = Pool::builder(move || {
                assert!(made.fetch_add(1, Ordering::Relaxed) < last, "enough");
                Arc::clone(&object)
            });
            let builder = builder.keep_as_is().capacity(100);
            let builder = if portable {
                builder.portable()
            } else {
                builder
            };
            assert!(catch_unwind(AssertUnwindSafe(|| builder.build())).is_err());
            assert_eq!(Arc::strong_count(&alive), 1, "after {last} objects");
        }
    }
}

#[test]
fn an_element_that_panics_in_place_drops_those_before_it() {
    let alive = Arc::new(());
    let object = Arc::clone(&alive);
    let builder = Pool::builder_in_place(move |slot| {
        slot.fill_with(|index| {
            assert_ne!(index, 5, "the sixth fails");
            Arc::clone(&object)
        })
    });
    let builder = builder.keep_as_is().capacity(3);
    assert!(catch_unwind(AssertUnwindSafe(|| builder.build::<[Arc<()>; 9]>())).is_err());
    assert_eq!(Arc::strong_count(&alive), 1);
}

/// What can only be tried in a process of its own, whose limits are its own.
#[cfg(target_os = "linux")]
mod limits {
    use super::*;
    use std::process::Command;

    const CHILD: &str = "TAILCUT_TEST_CHILD";

    /// Runs the test `name` of this module again in a process of its own, and there `work`.
    fn in_a_child(name: &str, work: impl FnOnce()) {
        if std::env::var(CHILD).as_deref() == Ok(name) {
            return work();
        }
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("limits::{name}"), "--test-threads=1"])
            .env(CHILD, name)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}\n{output:?}");
        assert!(text.contains("1 passed"), "the child ran the test: {text}");
    }

    fn limit(what: libc::__rlimit_resource_t, bytes: u64) {
        let limit = libc::rlimit {
            rlim_cur: bytes,
            rlim_max: bytes,
        };
        // SAFETY: the kernel reads two numbers.
        assert_eq!(unsafe { libc::setrlimit(what, &raw const limit) }, 0);
    }

    /// Gives up the right to exceed limits, if this process has it.
    fn without_privileges() {
        const VERSION_3: u32 = 0x2008_0522;
        let header = [VERSION_3, 0];
        let none = [0_u32; 6];
        // SAFETY: the kernel reads a header and two empty sets (capset(2), version 3).
        let dropped = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) };
        assert_eq!(dropped, 0);
    }

    /// How many bytes of addresses this process has.
    fn addresses() -> usize {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: usize = text.split(' ').next().unwrap().parse().unwrap();
        pages * 4096
    }

    #[test]
    fn memory_is_locked_or_the_pool_is_refused_with_the_reason() {
        in_a_child(
            "memory_is_locked_or_the_pool_is_refused_with_the_reason",
            || {
                let builder = Pool::builder(|| [1_u8; 4096])
                    .keep_as_is()
                    .capacity(4)
                    .lock_memory();
                without_privileges();
                limit(libc::RLIMIT_MEMLOCK, 64 << 10);
                let pool = builder.clone().build().unwrap();
                let status = std::fs::read_to_string("/proc/self/status").unwrap();
                let locked = status
                    .lines()
                    .find(|line| line.starts_with("VmLck"))
                    .unwrap();
                assert!(locked.contains("16 kB"), "{locked}");
                drop(pool);
                limit(libc::RLIMIT_MEMLOCK, 0);
                let before = addresses();
                for _ in 0..100 {
                    let error = builder.clone().build().unwrap_err();
                    assert!(
                        matches!(error, BuildError::NotLocked { bytes: 16_384, .. }),
                        "{error:?}"
                    );
                    assert!(error.to_string().contains("RLIMIT_MEMLOCK"), "{error}");
                }
                assert!(addresses() < before + (1 << 20), "nothing is left behind");
            },
        );
    }

    #[test]
    fn a_pool_beyond_the_memory_is_refused_and_leaks_nothing() {
        in_a_child(
            "a_pool_beyond_the_memory_is_refused_and_leaks_nothing",
            || {
                let made = Arc::new(AtomicUsize::new(0));
                let count = Arc::clone(&made);
                let builder = Pool::<[u8; 1 << 20]>::builder_in_place(move |slot| {
                    count.fetch_add(1, Ordering::Relaxed);
                    slot.fill_with(|_| 0)
                });
                let builder = builder.keep_as_is();
                limit(libc::RLIMIT_AS, (addresses() + (256 << 20)) as u64);
                let before = addresses();
                for turn in 0..50 {
                    let builder = builder.clone().capacity(1_000).align(64 << (turn % 12));
                    let error = builder.build().unwrap_err();
                    assert!(matches!(error, BuildError::OutOfMemory { .. }), "{error:?}");
                    assert!(
                        error.to_string().contains(&(1_000 << 20).to_string()),
                        "{error}"
                    );
                }
                assert_eq!(made.load(Ordering::Relaxed), 0, "nothing is made in vain");
                assert!(addresses() < before + (1 << 20), "nothing is left behind");
                for _ in 0..10 {
                    let pool = builder.clone().capacity(20).build().unwrap();
                    assert_eq!(pool.try_get().unwrap()[0], 0);
                }
            },
        );
    }

    #[test]
    fn a_pool_that_cannot_grow_for_want_of_memory_refuses() {
        in_a_child("a_pool_that_cannot_grow_for_want_of_memory_refuses", || {
            let builder = Pool::builder_in_place(|slot| slot.fill_with(|_| 1_u8));
            let builder = builder.keep_as_is().capacity(2).grow_to(1_000);
            let pool = builder.build::<[u8; 1 << 20]>().unwrap();
            limit(libc::RLIMIT_DATA, 64 << 20);
            let held: Vec<_> = std::iter::from_fn(|| pool.get().ok()).collect();
            assert!((2..100).contains(&held.len()), "{}", held.len());
            assert_eq!(pool.capacity(), held.len());
            assert_eq!(pool.resize(1_000), held.len());
            assert!(held.iter().all(|object| object[(1 << 20) - 1] == 1));
            drop(held);
        });
    }
}
