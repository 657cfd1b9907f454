//! Values without heap: reset to zero, as [`Default`] has it.
//!
//! An array of numbers is therefore written over as a whole. A large one (a page, a tensor) that
//! its next user fills anyway belongs in a pool that leaves objects as they are.

use std::cell::Cell;
use std::marker::PhantomData;
use std::num::{Saturating, Wrapping};
use std::sync::atomic;

use crate::recycle::Recycle;

macro_rules! to_default {
    ($($type:ty),+ $(,)?) => {
        $(impl Recycle for $type {
            #[inline]
            fn reset(&mut self) {
                *self = <$type>::default();
            }
        })+
    };
}

to_default! {
    u8, u16, u32, u64, u128, usize,
    i8, i16, i32, i64, i128, isize,
    f32, f64, bool, char, (),
}

macro_rules! atomic_to_default {
    ($($width:literal: $($type:ident),+;)+) => {
        $($(#[cfg(target_has_atomic = $width)]
        impl Recycle for atomic::$type {
            #[inline]
            fn reset(&mut self) {
                self.get_mut().reset();
            }
        })+)+
    };
}

atomic_to_default! {
    "8": AtomicBool, AtomicU8, AtomicI8;
    "16": AtomicU16, AtomicI16;
    "32": AtomicU32, AtomicI32;
    "64": AtomicU64, AtomicI64;
    "ptr": AtomicUsize, AtomicIsize;
}

impl<T: Recycle> Recycle for Wrapping<T> {
    #[inline]
    fn reset(&mut self) {
        self.0.reset();
    }
}

impl<T: Recycle> Recycle for Saturating<T> {
    #[inline]
    fn reset(&mut self) {
        self.0.reset();
    }
}

impl<T: ?Sized> Recycle for PhantomData<T> {
    #[inline]
    fn reset(&mut self) {}
}

// `Copy` values only: nothing else can be looked at through a shared `Cell`, to ask whether it is
// reusable.
impl<T: Recycle + Copy> Recycle for Cell<T> {
    #[inline]
    fn reset(&mut self) {
        self.get_mut().reset();
    }

    #[inline]
    fn is_reusable(&self) -> bool {
        self.get().is_reusable()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Debug;

    fn becomes<T: Recycle + Debug>(mut used: T, reset: &T) {
        used.reset();
        assert_eq!(format!("{used:?}"), format!("{reset:?}"));
    }

    #[test]
    fn numbers_become_zero() {
        becomes(
            (1_u8, 2_u16, 3_u32, 4_u64, 5_u128, 6_usize),
            &(0, 0, 0, 0, 0, 0),
        );
        becomes(
            (1_i8, 2_i16, 3_i32, 4_i64, 5_i128, 6_isize),
            &(0, 0, 0, 0, 0, 0),
        );
        becomes((1.5_f32, f64::NAN), &(0.0, 0.0));
        becomes((true, 'x', ()), &(false, '\0', ()));
        becomes(
            (Wrapping(7), Saturating(7), Cell::new(7)),
            &(Wrapping(0), Saturating(0), Cell::new(0)),
        );
        becomes([7_u8; 100], &[0; 100]);
    }

    #[test]
    fn atomics_become_zero() {
        use atomic::*;
        becomes(
            (AtomicBool::new(true), AtomicU8::new(1), AtomicI8::new(1)),
            &Default::default(),
        );
        becomes(
            (AtomicU16::new(1), AtomicI16::new(1), AtomicU32::new(1)),
            &Default::default(),
        );
        becomes(
            (AtomicI32::new(1), AtomicU64::new(1), AtomicI64::new(1)),
            &Default::default(),
        );
        becomes(
            (AtomicUsize::new(1), AtomicIsize::new(1)),
            &Default::default(),
        );
    }
}
