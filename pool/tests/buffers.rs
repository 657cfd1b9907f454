//! Pooled buffers: sizes, alignment, lifetimes, sharing, and what all of that allocates.
#![cfg(not(loom))]

use std::alloc::System;
use std::collections::BTreeSet;
use std::sync::mpsc;

use tailcut_pool::buffers::{BufferError, BuffersBuilder};
use tailcut_pool::meter::{self, Metered};
use tailcut_pool::{Buffer, Buffers, BuildError, Checks, FrozenBuffer, HugePages};

#[global_allocator]
static ALLOCATOR: Metered<System> = Metered::new(System);

/// Runs `test` with the path that this machine offers, and with the portable one.
fn both_paths(test: impl Fn(BuffersBuilder)) {
    test(Buffers::builder());
    test(Buffers::builder().portable());
}

#[test]
fn every_buffer_is_aligned_and_overlaps_no_other() {
    for align in [1, 64, 512, 4096, 2 << 20] {
        let buffers = Buffers::builder()
            .class(1000, 5)
            .class(100, 7)
            .align(align)
            .build()
            .unwrap();
        let mut held: Vec<Buffer> = std::iter::from_fn(|| buffers.get(1).ok()).collect();
        assert_eq!(held.len(), 5 + 7);
        let mut end = 0;
        held.sort_by_key(|buffer| buffer.as_ptr().addr());
        for buffer in &mut held {
            assert_eq!(buffer.as_ptr().addr() % align.max(64), 0);
            assert_eq!(buffer.capacity() % align.max(64), 0);
            assert!(buffer.as_ptr().addr() >= end);
            end = buffer.as_ptr().addr() + buffer.capacity();
            buffer.resize(buffer.capacity(), 0xA5).unwrap();
        }
    }
}

#[test]
fn every_buffer_lies_in_the_region_of_its_index() {
    let buffers = Buffers::builder()
        .class(4096, 20)
        .class(512, 30)
        .build()
        .unwrap();
    let regions: Vec<_> = buffers.regions().collect();
    assert_eq!(
        regions.iter().map(|(_, bytes)| *bytes).collect::<Vec<_>>(),
        [30 * 512, 20 * 4096]
    );
    assert_eq!(buffers.bytes(), 30 * 512 + 20 * 4096);
    let mut seen = BTreeSet::new();
    let held: Vec<Buffer> = std::iter::from_fn(|| buffers.get(1).ok()).collect();
    for buffer in &held {
        let (start, bytes) = regions[usize::from(buffer.region_index())];
        let offset = buffer.as_ptr().addr() - start.as_ptr().addr();
        assert!(offset + buffer.capacity() <= bytes);
        seen.insert((buffer.region_index(), offset));
    }
    assert_eq!(seen.len(), 50);
}

#[test]
fn a_get_takes_the_smallest_class_that_fits_and_has_one_free() {
    both_paths(|builder| {
        let buffers = builder
            .class(64, 1)
            .class(256, 2)
            .class(1024, 1)
            .build()
            .unwrap();
        let sizes = |wanted: &[usize]| {
            let held: Vec<_> = wanted.iter().map(|bytes| buffers.get(*bytes)).collect();
            held.iter()
                .map(|got| got.as_ref().map(Buffer::capacity).map_err(|error| *error))
                .collect::<Vec<_>>()
        };
        assert_eq!(sizes(&[0]), [Ok(64)]);
        assert_eq!(sizes(&[64, 65, 1024]), [Ok(64), Ok(256), Ok(1024)]);
        assert_eq!(
            sizes(&[1, 1, 1, 1, 1]),
            [
                Ok(64),
                Ok(256),
                Ok(256),
                Ok(1024),
                Err(BufferError::Exhausted { asked: 1 })
            ]
        );
        let largest = 1024;
        assert_eq!(
            sizes(&[1025]),
            [Err(BufferError::TooLarge {
                asked: 1025,
                largest
            })]
        );
        assert!(buffers.get(usize::MAX).is_err());

        let statistics = buffers.statistics();
        let overflowed: Vec<u64> = statistics.classes.iter().map(|it| it.overflowed).collect();
        assert_eq!(overflowed, [4, 2, 1]);
        assert_eq!((statistics.refused, statistics.too_large), (1, 2));
        let taken: Vec<u64> = statistics
            .classes
            .iter()
            .map(|it| it.pool.total().gets)
            .collect();
        assert_eq!(taken, [3, 3, 2]);
        assert_eq!(statistics.bytes_in_use(), 0);
    });
}

#[test]
fn what_cannot_be_built_is_refused_by_name() {
    let error = |builder: BuffersBuilder| builder.build().unwrap_err();
    assert_eq!(error(Buffers::builder()), BuildError::NoCapacity);
    assert_eq!(
        error(Buffers::builder().class(10, 0)),
        BuildError::NoCapacity
    );
    assert_eq!(
        error(Buffers::builder().class(10, 1).align(96)),
        BuildError::BadAlignment { bytes: 96 }
    );
    for (bytes, buffers) in [
        (usize::MAX, 1),
        (1 << 40, 1),
        (4096, usize::MAX),
        (64, 1 << 50),
    ] {
        assert_eq!(
            error(Buffers::builder().class(bytes, buffers)),
            BuildError::TooLarge {
                capacity: buffers,
                object_bytes: bytes
            }
        );
    }
}

#[test]
fn classes_of_equal_size_are_one() {
    let buffers = Buffers::builder()
        .class(4096, 2)
        .class(100, 1)
        .class(4000, 3)
        .align(4096)
        .build()
        .unwrap();
    let statistics = buffers.statistics();
    assert_eq!(statistics.classes.len(), 1);
    assert_eq!(statistics.classes[0].pool.capacity, 6);
}

#[test]
fn powers_of_two_begin_at_the_alignment_and_repeat_no_size() {
    let sizes = |smallest, largest, align| {
        let builder = Buffers::builder().powers_of_two(smallest, largest, 3);
        let classes = builder.align(align).build().unwrap().statistics().classes;
        let sizes = classes.iter().map(|it| (it.bytes, it.pool.capacity));
        sizes.collect::<Vec<_>>()
    };
    assert_eq!(sizes(0, 200, 1), [(64, 3), (128, 3), (256, 3)]);
    assert_eq!(sizes(100, 5000, 4096), [(4096, 3), (8192, 3)]);
    assert_eq!(sizes(1, 10, 4096), [(4096, 3)]);
}

#[test]
fn taking_sharing_and_giving_back_allocate_nothing() {
    both_paths(|builder| {
        let buffers = builder.class(1024, 100).class(4096, 10).build().unwrap();
        let mut held = Vec::with_capacity(200);
        let use_all = |held: &mut Vec<FrozenBuffer>| {
            let before = meter::counts();
            for _ in 0..5 {
                while let Ok(mut buffer) = buffers.get(1000) {
                    buffer.extend_from_slice(b"head: body").unwrap();
                    let frozen = buffer.freeze().slice(6..);
                    let shared = frozen.clone();
                    let frozen = frozen.try_into_buffer().unwrap_err();
                    drop(shared);
                    held.push(frozen.try_into_buffer().unwrap().freeze());
                }
                assert_eq!(held.len(), 110);
                held.clear();
            }
            meter::counts() - before
        };
        assert_eq!(use_all(&mut held), meter::Counts::default());
        let elsewhere = std::thread::scope(|scope| {
            let thread = scope.spawn(|| use_all(&mut Vec::with_capacity(200)));
            thread.join().unwrap()
        });
        assert_eq!(elsewhere, meter::Counts::default());
    });
}

#[test]
fn buffers_live_on_when_their_pool_is_gone() {
    both_paths(|builder| {
        let buffers = builder.class(4096, 8).build().unwrap();
        let mut written = buffers.get(4096).unwrap();
        let mut shared = buffers.get(4096).unwrap();
        shared.resize(4096, 9).unwrap();
        let shared = shared.freeze();
        drop(buffers);
        written.resize(4096, 8).unwrap();
        let part = shared.slice(4000..);
        drop(shared);
        let thread = std::thread::spawn(move || (written.freeze(), part));
        let (written, part) = thread.join().unwrap();
        assert!(written.iter().all(|byte| *byte == 8));
        let mut part = part.try_into_buffer().unwrap();
        assert_eq!(&part[..], [9; 96]);
        part.clear();
        assert_eq!(part.capacity(), 4096);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn memory_goes_back_to_the_system_with_the_last_of_pool_and_buffers() {
    let resident = || -> usize {
        let status = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: usize = status.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4096
    };
    const BYTES: usize = 16 << 20;
    let before = resident();
    for round in 0..30 {
        let buffers = Buffers::builder().class(BYTES / 16, 16).build().unwrap();
        let (plain, frozen) = (buffers.get(1).unwrap(), buffers.get(1).unwrap().freeze());
        match round % 3 {
            0 => drop((plain, frozen, buffers)),
            1 => drop((buffers, plain, frozen)),
            _ => drop((buffers, frozen.clone(), plain, frozen)),
        }
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 15 * BYTES, "{grown} bytes are still there");
}

#[test]
#[cfg(target_os = "linux")]
fn every_page_is_touched_before_the_first_get() {
    let faults = || {
        // SAFETY: a zeroed struct is valid.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the call only fills the struct.
        let told = unsafe { libc::getrusage(libc::RUSAGE_THREAD, &mut usage) };
        assert_eq!(told, 0);
        usage.ru_minflt
    };
    let buffers = Buffers::builder()
        .class(1 << 20, 8)
        .huge_pages(HugePages::Never)
        .build()
        .unwrap();
    let mut held = Vec::with_capacity(8);
    let before = faults();
    while let Ok(mut buffer) = buffers.get(1 << 20) {
        buffer.resize(1 << 20, 1).unwrap();
        held.push(buffer);
    }
    let faulted = faults() - before;
    assert_eq!(held.len(), 8);
    assert!(faulted < 64, "{faulted} of 2048 pages were not there");
}

/// Buffers go from thread to thread, written by one and read by two; each reader checks what it
/// sees, and whoever is last writes again.
#[test]
fn shared_buffers_are_never_written_while_somebody_reads() {
    both_paths(|builder| {
        let buffers = builder.class(256, 16).build().unwrap();
        let uniform = |bytes: &[u8]| bytes.iter().all(|byte| *byte == bytes[0]);
        std::thread::scope(|scope| {
            let (send, receive) = mpsc::sync_channel::<FrozenBuffer>(8);
            let receive = std::sync::Mutex::new(receive);
            let receive = std::sync::Arc::new(receive);
            for _ in 0..2 {
                let receive = receive.clone();
                scope.spawn(move || {
                    loop {
                        let received = receive.lock().unwrap().recv();
                        let Ok(frozen) = received else { return };
                        assert!(uniform(&frozen));
                        if let Ok(mut buffer) = frozen.try_into_buffer() {
                            let len = buffer.len();
                            buffer.clear();
                            buffer.resize(len, 0xEE).unwrap();
                        }
                    }
                });
            }
            drop(receive);
            for round in 0..20_000_u32 {
                let Ok(mut buffer) = buffers.get(256) else {
                    std::thread::yield_now();
                    continue;
                };
                buffer.resize(256, round as u8).unwrap();
                let frozen = buffer.freeze();
                if send.send(frozen.clone()).is_err() {
                    break; // a reader has failed, and tells so
                }
                assert!(frozen.iter().all(|byte| *byte == round as u8));
            }
            drop(send);
        });
        assert_eq!(buffers.statistics().bytes_in_use(), 0);
    });
}

#[test]
fn a_checked_set_tells_who_holds_which_buffer() {
    let buffers = Buffers::builder()
        .class(64, 2)
        .class(128, 2)
        .checked(Checks::new())
        .build()
        .unwrap();
    let held = buffers.get(100).unwrap();
    let in_use = buffers.in_use().unwrap();
    assert_eq!(in_use.len(), 1);
    assert_eq!(in_use[0].0, 128);
    assert_eq!(in_use[0].1.site.file(), file!());
    drop(held);
    assert_eq!(buffers.in_use().unwrap().len(), 0);
}

#[test]
fn buffers_can_be_used_by_any_thread() {
    fn anywhere<T: Send + Sync + 'static>() {}
    anywhere::<Buffers>();
    anywhere::<Buffer>();
    anywhere::<FrozenBuffer>();
}
