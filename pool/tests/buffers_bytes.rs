//! Pooled buffers as `bytes::Bytes` and back.
#![cfg(all(not(loom), feature = "bytes"))]

use std::alloc::System;

use tailcut_pool::bytes::{Buf, BufMut, Bytes};
use tailcut_pool::meter::{self, Counts, Metered};
use tailcut_pool::{Buffer, Buffers};

#[global_allocator]
static ALLOCATOR: Metered<System> = Metered::new(System);

fn buffers() -> Buffers {
    Buffers::builder().class(256, 4).build().unwrap()
}

fn holding(buffers: &Buffers, contents: &[u8]) -> Buffer {
    let mut buffer = buffers.get(contents.len()).unwrap();
    buffer.extend_from_slice(contents).unwrap();
    buffer
}

fn in_use(buffers: &Buffers) -> usize {
    buffers.statistics().classes[0].pool.in_use
}

#[test]
fn bytes_show_the_buffers_own_memory_and_keep_it_until_the_last_is_dropped() {
    let buffers = buffers();
    let buffer = holding(&buffers, b"hello world");
    let address = buffer.as_ptr();
    let bytes = Bytes::from(buffer);
    assert_eq!(bytes.as_ptr(), address);
    let tail = bytes.slice(6..);
    drop(bytes);
    assert_eq!((&tail[..], in_use(&buffers)), (&b"world"[..], 1));
    drop(tail);
    assert_eq!(in_use(&buffers), 0);
}

#[test]
fn a_round_trip_copies_nothing_and_allocates_the_owners_32_bytes() {
    let buffers = buffers();
    let mut buffer = holding(&buffers, b"hello");
    let address = buffer.as_ptr();
    let before = meter::counts();
    let bytes = buffer.into_bytes();
    let there = meter::counts() - before;
    buffer = buffers.reclaim(bytes).unwrap();
    let round_trip = meter::counts() - before;
    assert_eq!((there.allocations, there.frees, there.bytes), (1, 0, 32));
    assert_eq!(
        round_trip,
        Counts {
            allocations: 1,
            frees: 1,
            bytes: 32
        }
    );
    assert_eq!(buffer.as_ptr(), address);
    buffer.extend_from_slice(b", again").unwrap();
    assert_eq!(&buffer[..], b"hello, again");
    assert_eq!(buffer.capacity(), 256);
}

#[test]
fn shared_bytes_are_handed_back_and_stay_readable() {
    let buffers = buffers();
    let frozen = holding(&buffers, b"hello").freeze();
    let address = frozen.as_ptr();
    // Shared among `Bytes`.
    let bytes = frozen.clone().into_bytes();
    let other = bytes.clone();
    let bytes = buffers.reclaim(bytes).unwrap_err();
    drop(other);
    // Shared with a frozen buffer.
    let bytes = buffers.reclaim(bytes).unwrap_err();
    assert_eq!((&bytes[..], bytes.as_ptr()), (&b"hello"[..], address));
    drop(frozen);
    assert!(buffers.reclaim(bytes).is_ok());
    assert_eq!(in_use(&buffers), 0);
}

#[test]
fn a_reclaimed_part_is_written_on_behind_it() {
    let buffers = buffers();
    let mut bytes = holding(&buffers, b"head:body").into_bytes();
    bytes.advance(5);
    let mut part = buffers.reclaim(bytes).unwrap();
    assert_eq!((&part[..], part.capacity()), (&b"body"[..], 251));
    part.extend_from_slice(&[b'!'; 247]).unwrap();
    assert!(part.extend_from_slice(b"!").is_err());
    part.clear();
    assert_eq!((part.len(), part.capacity()), (0, 256));
}

#[test]
fn bytes_of_other_origin_are_handed_back() {
    let (ours, others) = (buffers(), buffers());
    for bytes in [
        Bytes::new(),
        Bytes::from_static(b"static"),
        Bytes::from(vec![1, 2, 3]),
        holding(&others, b"other pool").into_bytes(),
    ] {
        let same = bytes.clone();
        assert_eq!(ours.reclaim(bytes).unwrap_err(), same);
    }
}

/// An owner of the application's own, around ours.
struct Around<T>(T);

impl<T: AsRef<[u8]>> AsRef<[u8]> for Around<T> {
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref()
    }
}

#[test]
fn bytes_around_a_buffer_are_reclaimed_only_if_nothing_else_can_see_it() {
    let buffers = buffers();
    // Around a buffer that was never frozen.
    let plain = Bytes::from_owner(Around(holding(&buffers, b"plain")));
    let plain = buffers.reclaim(plain).unwrap_err();
    assert_eq!(&plain[..], b"plain");
    // Around bytes that others share.
    let inner = holding(&buffers, b"inner").into_bytes();
    let outer = Bytes::from_owner(Around(inner.clone()));
    let outer = buffers.reclaim(outer).unwrap_err();
    assert_eq!((&inner[..], &outer[..]), (&b"inner"[..], &b"inner"[..]));
    drop(inner);
    let mut buffer = buffers.reclaim(outer).unwrap();
    buffer.extend_from_slice(b"most").unwrap();
    assert_eq!(&buffer[..], b"innermost");
    drop((buffer, plain));
    assert_eq!(in_use(&buffers), 0);
}

#[test]
fn empty_bytes_hold_no_buffer() {
    let buffers = buffers();
    let empty = buffers.get(1).unwrap().into_bytes();
    assert_eq!((empty.len(), in_use(&buffers)), (0, 0));
    assert!(buffers.reclaim(empty).is_err());
    // An empty part keeps the buffer's address, but no share of it.
    let bytes = holding(&buffers, b"x").into_bytes();
    let empty = buffers.reclaim(bytes.slice(0..0)).unwrap_err();
    assert!(buffers.reclaim(bytes).is_ok());
    drop(empty);
}

#[test]
fn a_buffer_is_a_bufmut_and_a_frozen_one_a_buf() {
    let buffers = buffers();
    let mut buffer = buffers.get(256).unwrap();
    buffer.put_u16(0x0102);
    buffer.put_slice(b"hello");
    buffer.put_bytes(0, buffer.remaining_mut());
    assert!(!buffer.has_remaining_mut());
    let overflow = std::panic::AssertUnwindSafe(|| buffer.put_u8(1));
    assert!(std::panic::catch_unwind(overflow).is_err());
    assert_eq!(in_use(&buffers), 1, "captured by reference");

    let mut frozen = buffer.freeze();
    assert_eq!((frozen.get_u16(), frozen.remaining()), (0x0102, 254));
    let address = frozen.as_ptr();
    let hello = frozen.copy_to_bytes(5);
    assert_eq!((&hello[..], hello.as_ptr()), (&b"hello"[..], address));
    assert_eq!(frozen.remaining(), 249);
}

#[test]
fn bytes_dropped_on_many_threads_give_every_buffer_back() {
    let buffers = buffers();
    let reclaimed = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let (buffers, reclaimed) = (&buffers, &reclaimed);
            scope.spawn(move || {
                for round in 0..3000_u32 {
                    let Ok(mut buffer) = buffers.get(4) else {
                        std::thread::yield_now();
                        continue;
                    };
                    buffer.put_u32(round);
                    let bytes = buffer.into_bytes();
                    let shared = bytes.clone();
                    scope.spawn(move || assert_eq!(&shared[..], round.to_be_bytes()));
                    match buffers.reclaim(bytes) {
                        Ok(mut buffer) => {
                            buffer.clear();
                            buffer.put_u32(!round);
                            reclaimed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        }
                        Err(bytes) => assert_eq!(&bytes[..], round.to_be_bytes()),
                    }
                }
            });
        }
    });
    assert_eq!(in_use(&buffers), 0);
}
