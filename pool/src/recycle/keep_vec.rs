//! A vector that keeps its elements when it is emptied, and hands them out again.
//!
//! `Vec<String>::clear` frees every string, so that a pooled object with such a vector allocates
//! again at each use. Here emptying only forgets how many elements are live; the elements stay
//! behind the live ones, each to be reset when its turn comes: recycling in small, and as lazy.
//!
//! **Costs**: emptying is O(1) and touches no element; a push onto a kept element costs its reset
//! and no allocation. The elements stay in memory: bound them with [`Within`](crate::Within).

use std::fmt;
use std::ops::{Deref, DerefMut};

use crate::recycle::Recycle;

/// A vector that keeps its elements when it is emptied, and hands them out again, reset.
///
/// It dereferences to a slice of the **live** elements. The kept ones behind them cannot be seen;
/// [`push`](KeepVec::push) and [`push_with`](KeepVec::push_with) make them live again, one by one.
///
/// ```
/// use tailcut_pool::{KeepVec, Pool};
///
/// let pool = Pool::builder(KeepVec::<String>::new).capacity(1).build()?;
/// let mut words = pool.try_get()?;
/// for word in "two words".split(' ') {
///     words.push().push_str(word);
/// }
/// assert_eq!(words[..], ["two", "words"]);
/// drop(words);
///
/// let mut words = pool.try_get()?;
/// assert!(words.is_empty());
/// assert!(words.push().capacity() >= 3); // the string that held "two"
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct KeepVec<T> {
    /// The live elements, then the kept ones.
    elements: Vec<T>,
    /// How many are live: at most `elements.len()`.
    live: usize,
}

impl<T> KeepVec<T> {
    /// An empty vector that has kept nothing yet.
    ///
    /// ```
    /// # use tailcut_pool::KeepVec;
    /// let words = KeepVec::<String>::new();
    /// assert_eq!((words.len(), words.kept()), (0, 0));
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        KeepVec {
            elements: Vec::new(),
            live: 0,
        }
    }

    /// An empty vector that keeps `elements` elements made by `make`: the first so many pushes
    /// will make none. This is how a pool's maker preshapes it.
    ///
    /// ```
    /// # use tailcut_pool::KeepVec;
    /// let mut words = KeepVec::preshaped(8, || String::with_capacity(32));
    /// assert_eq!((words.len(), words.kept()), (0, 8));
    /// assert!(words.push().capacity() >= 32);
    /// ```
    #[must_use]
    pub fn preshaped(elements: usize, make: impl FnMut() -> T) -> Self {
        let mut kept = Vec::with_capacity(elements);
        kept.resize_with(elements, make);
        KeepVec {
            elements: kept,
            live: 0,
        }
    }

    /// How many elements wait behind the live ones.
    ///
    /// ```
    /// # use tailcut_pool::KeepVec;
    /// let mut words = KeepVec::preshaped(8, String::new);
    /// words.push();
    /// assert_eq!((words.len(), words.kept()), (1, 7));
    /// ```
    #[must_use]
    pub fn kept(&self) -> usize {
        self.elements.len() - self.live
    }

    /// Ends the life of every element from `live` on, and keeps them. O(1); does nothing if there
    /// are no more than `live` anyway.
    ///
    /// ```
    /// # use tailcut_pool::KeepVec;
    /// let mut words = KeepVec::preshaped(3, String::new);
    /// ["one", "two", "three"].map(|word| words.push().push_str(word));
    /// words.truncate(1);
    /// assert_eq!(words[..], ["one"]);
    /// assert_eq!(words.kept(), 2);
    /// ```
    pub fn truncate(&mut self, live: usize) {
        self.live = self.live.min(live);
    }

    /// Ends the life of all elements, and keeps them. O(1).
    ///
    /// ```
    /// # use tailcut_pool::KeepVec;
    /// let mut words = KeepVec::<String>::new();
    /// words.push().push_str("word");
    /// words.clear();
    /// assert!(words.is_empty());
    /// assert_eq!(words.kept(), 1);
    /// ```
    pub fn clear(&mut self) {
        self.live = 0;
    }
}

impl<T: Recycle> KeepVec<T> {
    /// Makes the next kept element live and returns it, reset; makes a new one by `make` if none
    /// is kept, or if the kept one is not [reusable](Recycle::is_reusable).
    ///
    /// ```
    /// # use tailcut_pool::KeepVec;
    /// let mut lines = KeepVec::<Vec<u8>>::new();
    /// lines.push_with(|| Vec::with_capacity(80)).extend(b"first");
    /// lines.clear();
    /// let line = lines.push_with(|| unreachable!("one is kept"));
    /// assert!(line.is_empty() && line.capacity() >= 80);
    /// ```
    ///
    /// # Panics
    /// If the element's reset or `make` does: the vector's live elements are then as before.
    #[inline]
    pub fn push_with(&mut self, make: impl FnOnce() -> T) -> &mut T {
        let next = self.live;
        match self.elements.get_mut(next) {
            Some(kept) if kept.is_reusable() => kept.reset(),
            Some(kept) => *kept = make(),
            None => self.elements.push(make()),
        }
        self.live = next + 1;
        &mut self.elements[next]
    }

    /// [`push_with`](KeepVec::push_with) where the default value is what a new element should be.
    ///
    /// ```
    /// # use tailcut_pool::KeepVec;
    /// let mut rows = KeepVec::<Vec<u32>>::new();
    /// rows.push().extend([1, 2]);
    /// rows.push().extend([3]);
    /// assert_eq!(rows.iter().flatten().sum::<u32>(), 6);
    /// ```
    ///
    /// # Panics
    /// As `push_with`.
    #[inline]
    pub fn push(&mut self) -> &mut T
    where
        T: Default,
    {
        self.push_with(T::default)
    }
}

impl<T: Recycle> Recycle for KeepVec<T> {
    /// Keeps all elements. O(1): each is reset, and asked whether it is reusable, when it is
    /// pushed again.
    #[inline]
    fn reset(&mut self) {
        self.clear();
    }

    /// What the vector and all its elements retain. O(n) in the elements.
    ///
    /// Kept elements are counted as they are, before their reset: what that would free (the
    /// strings in a kept `Vec<String>`) is left out, and stays until then.
    fn retained_bytes(&self) -> usize {
        let own = self.elements.retained_bytes();
        own.saturating_add(self.elements.as_slice().retained_bytes())
    }

    /// Resets the kept elements, then keeps them from the front, where they are used most, as
    /// long as they fit; the first that does not fit is shrunk to what is left, and the ones
    /// behind it are dropped. Live elements are shrunk but never dropped.
    fn shrink_to_bytes(&mut self, bytes: usize) {
        if self.retained_bytes() <= bytes {
            return;
        }
        // What a kept element still holds from its last use would not let it shrink.
        let mut index = 0;
        let live = self.live;
        self.elements.retain_mut(|element| {
            index += 1;
            let keep = index <= live || element.is_reusable();
            if keep && index > live {
                element.reset();
            }
            keep
        });
        let mut fitting = 0;
        let mut left = bytes;
        for element in &mut self.elements {
            let Some(for_contents) = left.checked_sub(size_of::<T>()) else {
                break;
            };
            element.shrink_to_bytes(for_contents);
            left = for_contents.saturating_sub(element.retained_bytes());
            fitting += 1;
        }
        for element in &mut self.elements[fitting..] {
            element.shrink_to_bytes(0);
        }
        self.elements.truncate(fitting.max(self.live));
        self.elements.shrink_to_fit();
    }
}

impl<T> Deref for KeepVec<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        &self.elements[..self.live]
    }
}

impl<T> DerefMut for KeepVec<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.elements[..self.live]
    }
}

impl<'a, T> IntoIterator for &'a KeepVec<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut KeepVec<T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<T> Default for KeepVec<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows the live elements, as a slice does.
impl<T: fmt::Debug> fmt::Debug for KeepVec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Compares the live elements.
impl<T: PartialEq> PartialEq for KeepVec<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for KeepVec<T> {}

/// Wipes the live elements and the kept ones, and leaves all of them kept.
#[cfg(feature = "zeroize")]
impl<T: zeroize::Zeroize> zeroize::Zeroize for KeepVec<T> {
    fn zeroize(&mut self) {
        self.elements.iter_mut().zeroize();
        self.elements.spare_capacity_mut().zeroize();
        self.live = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn words(texts: &[&str]) -> KeepVec<String> {
        let mut words = KeepVec::<String>::new();
        for text in texts {
            words.push().push_str(text);
        }
        words
    }

    #[test]
    fn a_kept_element_comes_back_reset_with_its_memory() {
        let mut words = words(&["long enough", "short"]);
        let place = words[0].as_ptr();
        words.reset();
        assert_eq!((words.len(), words.kept()), (0, 2));
        let again = words.push();
        assert_eq!((again.as_str(), again.as_ptr()), ("", place));
        assert_eq!((words.len(), words.kept()), (1, 1));
    }

    #[test]
    fn a_new_element_is_made_only_when_none_is_kept() {
        let made = Cell::new(0);
        let make = || {
            made.set(made.get() + 1);
            String::new()
        };
        let mut words = KeepVec::preshaped(2, make);
        for expected in [2, 2, 3, 4] {
            words.push_with(make);
            assert_eq!(made.get(), expected);
        }
        words.truncate(1);
        words.truncate(3);
        assert_eq!((words.len(), words.kept()), (1, 3));
        words.push_with(make);
        assert_eq!(made.get(), 4);
    }

    #[test]
    fn only_live_elements_are_seen() {
        let mut all = words(&["a", "b", "c"]);
        all.truncate(1);
        assert_eq!(all, words(&["a"]));
        assert_eq!(format!("{all:?}"), "[\"a\"]");
        assert_eq!((&all).into_iter().count(), 1);
        for word in &mut all {
            word.push('!');
        }
        assert_eq!(all[..], ["a!"]);
    }

    #[test]
    fn a_kept_element_that_is_not_reusable_is_replaced() {
        let mut cells = KeepVec::new();
        std::mem::forget(cells.push_with(|| RefCell::new(0)).borrow_mut());
        cells.clear();
        assert!(cells.push_with(|| RefCell::new(1)).try_borrow_mut().is_ok());
        assert_eq!(cells[..], [RefCell::new(1)]);
    }

    #[test]
    fn a_panic_of_a_reset_leaves_the_live_elements_as_they_were() {
        struct Fails;
        impl Recycle for Fails {
            fn reset(&mut self) {
                panic!("as planned");
            }
        }
        let mut all = KeepVec::preshaped(1, || Fails);
        let push = AssertUnwindSafe(|| {
            all.push_with(|| Fails);
        });
        assert!(catch_unwind(push).is_err());
        assert_eq!((all.len(), all.kept()), (0, 1));
    }

    #[test]
    fn shrinking_keeps_the_front_and_never_drops_a_live_element() {
        let mut kept = KeepVec::preshaped(100, || String::with_capacity(100));
        let one = size_of::<String>() + 100;
        kept.shrink_to_bytes(10 * one);
        assert_eq!((kept.kept(), kept.retained_bytes()), (10, 10 * one));
        kept.shrink_to_bytes(2 * one + size_of::<String>() + 7);
        assert_eq!(kept.kept(), 3);
        let capacities: Vec<_> = (0..3).map(|_| kept.push().capacity()).collect();
        assert_eq!(capacities, [100, 100, 7]);
        kept[2].push('x');
        kept.shrink_to_bytes(0);
        assert_eq!(kept[..], ["", "", "x"]);
    }

    #[test]
    fn one_huge_element_does_not_pin_its_memory() {
        let mut words = words(&["short", &"x".repeat(100_000), "short"]);
        words.reset();
        words.shrink_to_bytes(1000);
        assert!(words.retained_bytes() <= 1000);
        assert!(words.kept() >= 1);
    }

    #[test]
    fn shrinking_drops_a_kept_element_that_is_not_reusable() {
        let mut cells = KeepVec::preshaped(2, || RefCell::new(String::with_capacity(100)));
        std::mem::forget(cells.push_with(RefCell::default).borrow_mut());
        cells.clear();
        cells.shrink_to_bytes(size_of::<RefCell<String>>() + 50);
        assert_eq!(cells.kept(), 1);
        let cell = cells.push_with(|| unreachable!());
        assert_eq!(cell.borrow_mut().capacity(), 50);
    }
}
