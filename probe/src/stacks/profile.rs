//! Every stack once, with what it weighs.
//!
//! Slow events repeat their stacks, so a stack is stored once, under a number, and each event only
//! adds to its weights. The number of stacks is bounded; what comes after the last one is counted.
//!
//! Costs 0.2 us for an event whose stack of 10 frames is known; a stack of 30 frames takes 0.8 KiB,
//! the whole table thus some 8 MiB at its usual bound.

use super::location::Location;
use super::symbols::{Stack, StackTable, Symbolizer};
use super::unwind::{End, Walk};
use indexmap::{Equivalent, IndexSet};
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

/// Stacks that a profile holds, unless told otherwise.
const DEFAULT_CAPACITY: usize = 10_000;

/// What some events weigh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Events.
    pub count: u64,
    /// Bytes that they asked for or gave back.
    pub bytes: u64,
    /// Time that they took, in nanoseconds.
    pub nanos: u64,
}

/// By what a profile is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightKind {
    /// Number of events.
    Count,
    /// Bytes.
    Bytes,
    /// Time, in nanoseconds.
    Time,
}

/// Stacks and their weights, by kind of event.
#[derive(Clone, Debug)]
pub struct Profile {
    capacity: usize,
    stacks: IndexSet<Key>,
    kinds: IndexSet<String>,
    weights: BTreeMap<(u32, u32), Weight>,
    overflow: Weight,
}

/// The content of a stack.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    end: End,
    locations: Box<[Location]>,
}

/// The same, not yet stored.
struct Sought<'a>(&'a Walk);

impl Hash for Sought<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As derived for `Key`: fields in their order.
        self.0.end.hash(state);
        self.0.locations.as_slice().hash(state);
    }
}

impl Equivalent<Key> for Sought<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.0.end == key.end && self.0.locations[..] == key.locations[..]
    }
}

impl Weight {
    /// One of its figures.
    pub fn by(&self, kind: WeightKind) -> u64 {
        match kind {
            WeightKind::Count => self.count,
            WeightKind::Bytes => self.bytes,
            WeightKind::Time => self.nanos,
        }
    }

    fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.nanos = self.nanos.saturating_add(other.nanos);
    }
}

impl WeightKind {
    /// `events`, `bytes` or `ns`.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Count => "events",
            Self::Bytes => "bytes",
            Self::Time => "ns",
        }
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::new()
    }
}

impl Profile {
    /// An empty profile of up to 10,000 stacks.
    pub fn new() -> Self {
        Self::with_capacity(DEFAULT_CAPACITY)
    }

    /// An empty profile of up to `capacity` stacks.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            capacity,
            stacks: IndexSet::new(),
            kinds: IndexSet::new(),
            weights: BTreeMap::new(),
            overflow: Weight::default(),
        }
    }

    /// Adds an event; returns the number of its stack, or `None` if the profile is full and the
    /// stack is a new one. `kind` names the series (`malloc`, `page_fault`); keep them few.
    pub fn add(&mut self, walk: &Walk, kind: &str, weight: Weight) -> Option<u32> {
        let Some(id) = self.intern(walk) else {
            self.overflow.add(weight);
            return None;
        };
        let kind = match self.kinds.get_index_of(kind) {
            Some(index) => index,
            None => self.kinds.insert_full(kind.to_string()).0,
        };
        self.weights
            .entry((id, kind as u32))
            .or_default()
            .add(weight);
        Some(id)
    }

    /// Number of different stacks.
    pub fn len(&self) -> usize {
        self.stacks.len()
    }

    /// Whether no stack was added.
    pub fn is_empty(&self) -> bool {
        self.stacks.is_empty()
    }

    /// What the events weighed whose stack found no room.
    pub fn overflow(&self) -> Weight {
        self.overflow
    }

    /// The kinds of events seen, in the order of their first one.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.kinds.iter().map(String::as_str)
    }

    /// The weight of each stack, by rising number: of one kind of events, or of all.
    pub fn weights(&self, kind: Option<&str>) -> Vec<(u32, Weight)> {
        let wanted = kind.map(|kind| self.kinds.get_index_of(kind).map(|index| index as u32));
        let mut sums = BTreeMap::<u32, Weight>::new();
        for ((stack, of), weight) in &self.weights {
            if wanted.is_none_or(|wanted| wanted == Some(*of)) {
                sums.entry(*stack).or_default().add(*weight);
            }
        }
        sums.into_iter().collect()
    }

    /// All stacks with names.
    pub fn symbolized(&self, symbolizer: &mut Symbolizer) -> StackTable {
        let mut locations: Vec<Location> = self
            .stacks
            .iter()
            .flat_map(|stack| stack.locations.iter().copied())
            .collect();
        locations.sort_unstable();
        locations.dedup();
        symbolizer.resolve(&locations);
        let stack = |(id, key): (usize, &Key)| Stack {
            id: id as u32,
            frames: key
                .locations
                .iter()
                .flat_map(|location| symbolizer.frames(*location).to_vec())
                .collect(),
            end: key.end,
        };
        StackTable {
            stacks: self.stacks.iter().enumerate().map(stack).collect(),
        }
    }

    fn intern(&mut self, walk: &Walk) -> Option<u32> {
        if let Some(index) = self.stacks.get_index_of(&Sought(walk)) {
            return Some(index as u32);
        }
        if self.stacks.len() >= self.capacity {
            return None;
        }
        let key = Key {
            end: walk.end,
            locations: walk.locations.as_slice().into(),
        };
        Some(self.stacks.insert_full(key).0 as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(addresses: &[u64]) -> Walk {
        let locations = addresses
            .iter()
            .map(|address| Location::Kernel { address: *address });
        Walk {
            addresses: addresses.to_vec(),
            locations: locations.collect(),
            end: End::Root,
            assumed: 0,
        }
    }

    const ONE: Weight = Weight {
        count: 1,
        bytes: 100,
        nanos: 5,
    };

    #[test]
    fn equal_stacks_share_a_number_and_their_weights_add_up_by_kind() {
        let mut profile = Profile::new();
        assert_eq!(profile.add(&walk(&[1, 2]), "malloc", ONE), Some(0));
        assert_eq!(profile.add(&walk(&[1, 3]), "malloc", ONE), Some(1));
        assert_eq!(profile.add(&walk(&[1, 2]), "free", ONE), Some(0));
        assert_eq!(profile.add(&walk(&[1, 2]), "malloc", ONE), Some(0));
        let two = Weight {
            count: 2,
            bytes: 200,
            nanos: 10,
        };
        assert_eq!(profile.weights(Some("malloc")), [(0, two), (1, ONE)]);
        assert_eq!(profile.weights(Some("free")), [(0, ONE)]);
        assert_eq!(profile.weights(Some("futex")), []);
        assert_eq!(profile.weights(None)[0].1.count, 3);
        assert_eq!(profile.kinds().collect::<Vec<_>>(), ["malloc", "free"]);
    }

    #[test]
    fn a_cut_stack_is_not_the_complete_one_of_the_same_frames() {
        let mut profile = Profile::new();
        let cut = Walk {
            end: End::StackCut,
            ..walk(&[1, 2])
        };
        assert_ne!(
            profile.add(&walk(&[1, 2]), "malloc", ONE),
            profile.add(&cut, "malloc", ONE)
        );
    }

    #[test]
    fn a_full_profile_counts_what_it_leaves_out_and_goes_on_with_the_rest() {
        let mut profile = Profile::with_capacity(1);
        assert_eq!(profile.add(&walk(&[1]), "malloc", ONE), Some(0));
        assert_eq!(profile.add(&walk(&[2]), "malloc", ONE), None);
        assert_eq!(profile.add(&walk(&[1]), "malloc", ONE), Some(0));
        assert_eq!((profile.len(), profile.overflow()), (1, ONE));
    }

    #[test]
    fn weights_do_not_wrap() {
        let mut profile = Profile::new();
        let huge = Weight {
            count: 1,
            bytes: u64::MAX,
            nanos: 1,
        };
        profile.add(&walk(&[1]), "malloc", huge);
        profile.add(&walk(&[1]), "malloc", huge);
        assert_eq!(profile.weights(None)[0].1.bytes, u64::MAX);
    }
}
