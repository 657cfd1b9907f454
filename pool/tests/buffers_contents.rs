//! Pooled buffers: what is written is what is read, within the capacity, whole and in parts.
#![cfg(not(loom))]

use std::io::Write;

use proptest::prelude::*;
use tailcut_pool::Buffers;
use tailcut_pool::buffers::Full;

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let buffers = Buffers::builder().class(64, 1).build().unwrap();
    let mut buffer = buffers.get(64).unwrap();
    buffer.extend_from_slice(&[1; 60]).unwrap();
    let full = |asked| Full { asked, room: 4 };
    assert_eq!(buffer.extend_from_slice(&[2; 5]), Err(full(5)));
    assert_eq!(buffer.resize(65, 2), Err(full(5)));
    assert_eq!(buffer.resize(usize::MAX, 2), Err(full(usize::MAX - 60)));
    assert_eq!(&buffer[..], &[1; 60]);
    assert_eq!(buffer.write(&[3; 10]).unwrap(), 4);
    let error = buffer.write_all(&[4]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WriteZero);
    assert_eq!(&buffer[56..], &[1, 1, 1, 1, 3, 3, 3, 3]);
}

#[derive(Debug, Clone)]
enum Step {
    Extend(Vec<u8>),
    Write(Vec<u8>),
    Truncate(usize),
    Resize(usize, u8),
    Overwrite(usize, u8),
    Clear,
    /// Freezes, cuts a part out while other parts are held, and writes on in that.
    Cut(usize, usize),
    /// Gives the buffer back and takes one.
    Renew,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..100);
    let step = prop_oneof![
        4 => bytes().prop_map(Step::Extend),
        4 => bytes().prop_map(Step::Write),
        2 => (0_usize..300).prop_map(Step::Truncate),
        2 => (0_usize..300, any::<u8>()).prop_map(|(len, value)| Step::Resize(len, value)),
        2 => (any::<usize>(), any::<u8>()).prop_map(|(at, value)| Step::Overwrite(at, value)),
        1 => Just(Step::Clear),
        3 => (any::<usize>(), any::<usize>()).prop_map(|(from, to)| Step::Cut(from, to)),
        1 => Just(Step::Renew),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn a_buffer_behaves_as_a_vec_of_bounded_capacity(steps in steps()) {
        const WHOLE: usize = 256;
        let buffers = Buffers::builder().class(WHOLE, 2).build().unwrap();
        let mut buffer = buffers.get(WHOLE).unwrap();
        let mut model: Vec<u8> = Vec::new();
        let mut capacity = WHOLE;
        for step in steps {
            match step {
                Step::Extend(bytes) => {
                    let fits = model.len() + bytes.len() <= capacity;
                    prop_assert_eq!(buffer.extend_from_slice(&bytes).is_ok(), fits);
                    if fits {
                        model.extend_from_slice(&bytes);
                    }
                }
                Step::Write(bytes) => {
                    let fitting = bytes.len().min(capacity - model.len());
                    prop_assert_eq!(buffer.write(&bytes).unwrap(), fitting);
                    model.extend_from_slice(&bytes[..fitting]);
                }
                Step::Truncate(len) => {
                    buffer.truncate(len);
                    model.truncate(len);
                }
                Step::Resize(len, value) => {
                    prop_assert_eq!(buffer.resize(len, value).is_ok(), len <= capacity);
                    if len <= capacity {
                        model.resize(len, value);
                    }
                }
                Step::Overwrite(at, value) if !model.is_empty() => {
                    let at = at % model.len();
                    buffer[at] = value;
                    model[at] = value;
                }
                Step::Overwrite(..) => {}
                Step::Clear => {
                    buffer.clear();
                    model.clear();
                    capacity = WHOLE;
                }
                Step::Cut(from, to) => {
                    let from = from % (model.len() + 1);
                    let to = from + to % (model.len() - from + 1);
                    let whole = buffer.freeze();
                    let part = whole.slice(from..to);
                    let part = part.try_into_buffer().unwrap_err();
                    prop_assert_eq!(&whole[..], &model[..]);
                    drop(whole);
                    buffer = part.try_into_buffer().unwrap();
                    model = model[from..to].to_vec();
                    capacity -= from;
                }
                Step::Renew => {
                    drop(buffer);
                    buffer = buffers.get(1).unwrap();
                    model.clear();
                    capacity = WHOLE;
                }
            }
            prop_assert_eq!(&buffer[..], &model[..]);
            prop_assert_eq!(buffer.capacity(), capacity);
            prop_assert_eq!(buffer.room(), capacity - model.len());
            prop_assert_eq!(buffers.statistics().classes[0].pool.in_use, 1);
        }
    }
}

#[test]
fn every_form_of_a_range_slices_as_it_does_a_slice() {
    use std::ops::Bound::{Excluded, Unbounded};
    let buffers = Buffers::builder().class(64, 1).build().unwrap();
    let mut buffer = buffers.get(64).unwrap();
    buffer.extend_from_slice(b"0123456789").unwrap();
    let whole = buffer.freeze();
    assert_eq!(&whole.slice(..)[..], b"0123456789");
    assert_eq!(&whole.slice(3..5)[..], b"34");
    assert_eq!(&whole.slice(3..=5)[..], b"345");
    assert_eq!(&whole.slice(..2).slice(1..)[..], b"1");
    assert_eq!(&whole.slice((Excluded(7), Unbounded))[..], b"89");
    assert_eq!(&whole.slice(10..)[..], b"");
    for (from, to) in [(0, 11), (11, 11), (6, usize::MAX)] {
        let outside = std::panic::catch_unwind(|| whole.slice(from..to));
        assert!(outside.is_err());
    }
    drop(whole);
    assert!(buffers.get(64).is_ok(), "a panic of `slice` keeps no share");
}
