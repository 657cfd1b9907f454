//! How the standard library's collections are used again: emptied, with their capacity.
//!
//! What a collection retains is counted from its capacity. For a buffer that is exact; for a hash
//! table it is an estimate by the layout that the standard library uses today (`hashbrown`: a
//! power of two of buckets, seven eighths of them usable, a control byte for each), which a test
//! compares with what the allocator was asked for.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, VecDeque};
use std::ffi::OsString;
use std::hash::{BuildHasher, Hash};
use std::path::PathBuf;

use crate::recycle::Recycle;

macro_rules! keep_capacity {
    ($([$($generics:tt)*] $type:ty: $layout:ident of $element:ty;)+) => {
        $(impl<$($generics)*> Recycle for $type {
            #[inline]
            fn reset(&mut self) {
                self.clear();
            }

            #[inline]
            fn retained_bytes(&self) -> usize {
                $layout::bytes(self.capacity(), size_of::<$element>())
            }

            #[inline]
            fn shrink_to_bytes(&mut self, bytes: usize) {
                if self.retained_bytes() > bytes {
                    self.shrink_to($layout::capacity(bytes, size_of::<$element>()));
                }
                // A table is never smaller than some least size, except when it has none.
                if self.retained_bytes() > bytes {
                    self.shrink_to(0);
                }
            }
        })+
    };
}

keep_capacity! {
    [T] Vec<T>: buffer of T;
    [T] VecDeque<T>: buffer of T;
    [T] BinaryHeap<T>: buffer of T;
    [] String: buffer of u8;
    [] OsString: buffer of u8;
    [] PathBuf: buffer of u8;
    [K: Eq + Hash, V, S: BuildHasher] HashMap<K, V, S>: table of (K, V);
    [T: Eq + Hash, S: BuildHasher] HashSet<T, S>: table of T;
}

/// Elements side by side.
mod buffer {
    /// What a buffer for `capacity` elements takes.
    #[inline]
    pub(super) fn bytes(capacity: usize, element: usize) -> usize {
        capacity.saturating_mul(element) // a vector of nothings has any capacity
    }

    /// How many elements fit into `bytes`.
    pub(super) fn capacity(bytes: usize, element: usize) -> usize {
        bytes.checked_div(element).unwrap_or(usize::MAX)
    }
}

/// A hash table's buckets, each with a control byte.
mod table {
    /// What a table for `capacity` entries takes, to within the 31 bytes of its last group and
    /// alignment.
    #[inline]
    pub(super) fn bytes(capacity: usize, entry: usize) -> usize {
        if capacity == 0 {
            return 0;
        }
        let buckets = (capacity.saturating_mul(8) / 7).next_power_of_two();
        buckets.saturating_mul(entry + 1)
    }

    /// The capacity of the largest table that takes no more than `bytes`.
    pub(super) fn capacity(bytes: usize, entry: usize) -> usize {
        match (bytes / (entry + 1)).checked_ilog2() {
            None | Some(0 | 1) => 0,
            Some(2) => 3,
            Some(power) => (1 << power) / 8 * 7,
        }
    }
}

macro_rules! keep_nothing {
    ($([$($generics:tt)*] $type:ty;)+) => {
        $(impl<$($generics)*> Recycle for $type {
            #[inline]
            fn reset(&mut self) {
                self.clear();
            }
        })+
    };
}

// A tree frees its nodes when it is emptied, and offers no way to keep them.
keep_nothing! {
    [K, V] BTreeMap<K, V>;
    [T] BTreeSet<T>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_table_is_never_larger_than_it_was_told() {
        for entries in [0, 1, 3, 4, 7, 8, 100, 1000] {
            for bytes in 0..2000 {
                let mut small: HashSet<u8> = HashSet::with_capacity(entries);
                small.shrink_to_bytes(bytes);
                assert!(small.retained_bytes() <= bytes);
                let mut large: HashMap<u64, [u64; 3]> = HashMap::with_capacity(entries);
                large.shrink_to_bytes(bytes);
                assert!(large.retained_bytes() <= bytes);
            }
        }
    }

    #[test]
    fn a_hash_table_is_not_cut_more_than_to_the_next_power_of_two() {
        let mut table: HashMap<u64, u64> = HashMap::with_capacity(10_000);
        table.shrink_to_bytes(8192);
        assert!(table.retained_bytes() > 4096 && table.capacity() > 0);
    }

    #[test]
    fn shrinking_loses_no_contents() {
        let mut items: Vec<u64> = Vec::with_capacity(1000);
        items.extend([1, 2, 3]);
        items.shrink_to_bytes(0);
        assert_eq!(items, [1, 2, 3]);
        let mut table: HashSet<u64> = HashSet::with_capacity(1000);
        table.extend([1, 2, 3]);
        table.shrink_to_bytes(0);
        assert_eq!(table, HashSet::from([1, 2, 3]));
    }

    #[test]
    fn elements_without_size_retain_nothing() {
        let mut nothings = vec![(); 1000];
        nothings.reset();
        assert_eq!(nothings.retained_bytes(), 0);
        nothings.shrink_to_bytes(0);
    }

    #[test]
    fn trees_are_emptied() {
        let mut map = BTreeMap::from([(1, 2)]);
        map.reset();
        let mut set = BTreeSet::from([1]);
        set.reset();
        assert!(map.is_empty() && set.is_empty());
        assert_eq!(map.retained_bytes() + set.retained_bytes(), 0);
    }

    #[test]
    fn texts_of_the_operating_system_keep_their_capacity() {
        let mut path = PathBuf::from("/a/long/path");
        let mut text = OsString::from("a long text");
        let before = (path.capacity(), text.capacity());
        path.reset();
        text.reset();
        assert!(path.as_os_str().is_empty() && text.is_empty());
        assert_eq!((path.retained_bytes(), text.retained_bytes()), before);
        path.shrink_to_bytes(4);
        text.shrink_to_bytes(4);
        assert!(path.capacity() <= 4 && text.capacity() <= 4);
    }
}
