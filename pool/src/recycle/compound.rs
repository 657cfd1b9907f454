//! Objects made of other objects: each part is reset, and all must be reusable.
//!
//! A limit on bytes is shared so that the largest parts are cut first: all that is above some
//! level comes down to that level. Shares in proportion were no good: beside a part of a
//! gigabyte, a small buffer's share is nothing, though it was not to blame.

use std::io::Cursor;

use crate::recycle::Recycle;

/// The highest level for which parts cut to it keep at most `bytes` together; `kept` gives what
/// they keep when cut to a level. Binary search: a rare path, that must not allocate.
fn level_within(bytes: usize, kept: impl Fn(usize) -> usize) -> usize {
    let (mut fits, mut too_high) = (0, bytes.saturating_add(1));
    while too_high - fits > 1 {
        let level = fits + (too_high - fits) / 2;
        if kept(level) <= bytes {
            fits = level;
        } else {
            too_high = level;
        }
    }
    fits
}

impl<T: Recycle> Recycle for [T] {
    #[inline]
    fn reset(&mut self) {
        self.iter_mut().for_each(T::reset);
    }

    #[inline]
    fn is_reusable(&self) -> bool {
        self.iter().all(T::is_reusable)
    }

    #[inline]
    fn retained_bytes(&self) -> usize {
        let parts = self.iter().map(T::retained_bytes);
        parts.fold(0, usize::saturating_add)
    }

    fn shrink_to_bytes(&mut self, bytes: usize) {
        if self.retained_bytes() <= bytes {
            return;
        }
        let level = level_within(bytes, |level| {
            let parts = self.iter().map(|part| part.retained_bytes().min(level));
            parts.fold(0, usize::saturating_add)
        });
        self.iter_mut().for_each(|part| part.shrink_to_bytes(level));
    }
}

impl<T: Recycle, const N: usize> Recycle for [T; N] {
    #[inline]
    fn reset(&mut self) {
        self.as_mut_slice().reset();
    }

    #[inline]
    fn is_reusable(&self) -> bool {
        self.as_slice().is_reusable()
    }

    #[inline]
    fn retained_bytes(&self) -> usize {
        self.as_slice().retained_bytes()
    }

    #[inline]
    fn shrink_to_bytes(&mut self, bytes: usize) {
        self.as_mut_slice().shrink_to_bytes(bytes);
    }
}

macro_rules! tuple {
    ($($part:ident $index:tt),+) => {
        impl<$($part: Recycle),+> Recycle for ($($part,)+) {
            #[inline]
            fn reset(&mut self) {
                $(self.$index.reset();)+
            }

            #[inline]
            fn is_reusable(&self) -> bool {
                true $(&& self.$index.is_reusable())+
            }

            #[inline]
            fn retained_bytes(&self) -> usize {
                0_usize $(.saturating_add(self.$index.retained_bytes()))+
            }

            #[inline]
            fn shrink_to_bytes(&mut self, bytes: usize) {
                let parts: &mut [&mut dyn Recycle] = &mut [$(&mut self.$index),+];
                parts.shrink_to_bytes(bytes);
            }
        }
    };
}

tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);

macro_rules! pointer {
    ($([$($generics:tt)*] $type:ty;)+) => {
        $(impl<$($generics)* T: Recycle + ?Sized> Recycle for $type {
            #[inline]
            fn reset(&mut self) {
                (**self).reset();
            }

            #[inline]
            fn is_reusable(&self) -> bool {
                (**self).is_reusable()
            }

            #[inline]
            fn retained_bytes(&self) -> usize {
                (**self).retained_bytes()
            }

            #[inline]
            fn shrink_to_bytes(&mut self, bytes: usize) {
                (**self).shrink_to_bytes(bytes);
            }
        })+
    };
}

pointer! {
    [] Box<T>;
    ['a,] &'a mut T;
}

impl<T> Recycle for Option<T> {
    /// Drops the value: see [`Recycle`] for why.
    #[inline]
    fn reset(&mut self) {
        *self = None;
    }
}

impl<T: Recycle> Recycle for Cursor<T> {
    #[inline]
    fn reset(&mut self) {
        self.get_mut().reset();
        self.set_position(0);
    }

    #[inline]
    fn is_reusable(&self) -> bool {
        self.get_ref().is_reusable()
    }

    #[inline]
    fn retained_bytes(&self) -> usize {
        self.get_ref().retained_bytes()
    }

    #[inline]
    fn shrink_to_bytes(&mut self, bytes: usize) {
        self.get_mut().shrink_to_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::io::Write;

    #[test]
    fn every_part_is_reset() {
        let mut tuple = (1, 'x', true, String::from("text"));
        tuple.reset();
        assert_eq!(tuple, (0, '\0', false, String::new()));
        let mut twelve = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
        twelve.reset();
        assert_eq!(twelve, (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
        let mut array = [String::from("a"), String::from("b")];
        array.reset();
        assert_eq!(array, ["", ""]);
        let mut boxed: Box<[u32]> = Box::new([1, 2, 3]);
        boxed.reset();
        assert_eq!(*boxed, [0, 0, 0]);
        let mut any: Box<dyn Recycle> = Box::new(String::from("text"));
        any.reset();
        assert_eq!(any.retained_bytes(), 4);
    }

    #[test]
    fn one_part_that_is_not_reusable_spoils_the_whole() {
        let (spoilt, fine) = (RefCell::new(0), RefCell::new(0));
        std::mem::forget(spoilt.borrow_mut());
        assert!((&mut fine.clone(), &mut fine.clone()).is_reusable());
        assert!([fine.clone(), fine.clone()].is_reusable());
        assert!(![Box::new(fine), Box::new(spoilt)].is_reusable());
    }

    #[test]
    fn the_largest_parts_are_cut_and_the_small_ones_left() {
        let mut parts = (
            String::with_capacity(10_000),
            Vec::<u64>::with_capacity(8),
            String::with_capacity(400),
        );
        parts.shrink_to_bytes(1000);
        assert_eq!((parts.1.capacity(), parts.2.capacity()), (8, 400));
        assert_eq!(parts.0.capacity(), 1000 - 400 - 64);
        parts.shrink_to_bytes(0);
        assert_eq!(parts.retained_bytes(), 0);
    }

    #[test]
    fn equal_parts_are_cut_alike() {
        let mut parts: [String; 3] = std::array::from_fn(|_| String::with_capacity(1000));
        parts.shrink_to_bytes(1000);
        assert!(parts.iter().all(|part| part.capacity() == 333));
    }

    #[test]
    fn a_limit_that_cannot_be_reached_changes_nothing() {
        let mut parts = [String::with_capacity(10), String::with_capacity(1000)];
        parts.shrink_to_bytes(usize::MAX);
        assert_eq!(parts.retained_bytes(), 1010);
    }

    #[test]
    fn an_option_forgets_that_there_was_a_value() {
        let mut coupon = Some(String::from("code"));
        coupon.reset();
        assert_eq!(coupon, None);
    }

    #[test]
    fn a_cursor_starts_again_in_an_empty_buffer() {
        let mut cursor = Cursor::new(Vec::with_capacity(64));
        cursor.write_all(b"first").unwrap();
        cursor.reset();
        cursor.write_all(b"2nd").unwrap();
        assert_eq!(cursor.get_ref(), b"2nd");
        assert_eq!(cursor.retained_bytes(), 64);
        cursor.shrink_to_bytes(10);
        assert_eq!(cursor.retained_bytes(), 10);
    }
}
