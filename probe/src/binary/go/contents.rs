//! The bytes of a Go program at its virtual addresses, with pointers as the loader writes them.
//!
//! From the file, so that nothing of a running process is needed but what only it has: data that
//! the program made itself. A position-independent file gets its relocations applied.

use super::relocations::Relocations;
use crate::binary::elf::{Image, Segment};
use memchr::memmem;
use std::sync::OnceLock;

/// How much is looked through at once.
const STRETCH: u64 = 4 << 20;

/// The most of a segment that is looked through.
const LONGEST_SEARCH: u64 = 1 << 30;

/// A file, by virtual address.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) image: Image,
    relocations: OnceLock<Relocations>,
}

impl Contents {
    pub(super) fn new(image: Image) -> Self {
        Contents {
            image,
            relocations: OnceLock::new(),
        }
    }

    fn relocations(&self) -> &Relocations {
        self.relocations.get_or_init(|| {
            if self.image.is_position_independent() {
                Relocations::read(&self.image)
            } else {
                Relocations::default()
            }
        })
    }

    /// Up to `most` bytes from `address` on, fewer where the segment's part of the file ends.
    pub(super) fn up_to(&self, address: u64, most: u64) -> Option<Vec<u8>> {
        let mut bytes = self.image.bytes_at(address, most).ok()?;
        self.relocations().apply(address, &mut bytes);
        Some(bytes)
    }

    /// Exactly `length` bytes from `address` on; none where the file does not have them.
    pub(super) fn exactly(&self, address: u64, length: u64) -> Option<Vec<u8>> {
        let bytes = self.up_to(address, length)?;
        (bytes.len() as u64 == length).then_some(bytes)
    }

    /// The pointer at `address`.
    pub(super) fn pointer(&self, address: u64) -> Option<u64> {
        let bytes = self.exactly(address, 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// The text of a Go string whose head (pointer and length) is at `address`; none if longer than `most`.
    pub(super) fn string(&self, address: u64, most: u64) -> Option<Vec<u8>> {
        let length = self.pointer(address.checked_add(8)?)?;
        if length > most {
            return None;
        }
        self.exactly(self.pointer(address)?, length)
    }

    /// Whether `address` lies in a segment that may be executed.
    pub(super) fn is_code(&self, address: u64) -> bool {
        self.image.is_executable(address)
    }

    /// Where `pattern` stands at a multiple of `alignment` in segments without code, those that may be
    /// written to first, at most `most` places. `pattern` is as it stands in the file.
    pub(super) fn places_of(&self, pattern: &[u8], alignment: u64, most: usize) -> Vec<u64> {
        let mut found = Vec::new();
        let segments = self.image.segments();
        let without_code = |writable| {
            let segments = segments.iter();
            segments.filter(move |segment| !segment.executable && segment.writable == writable)
        };
        for segment in without_code(true).chain(without_code(false)) {
            self.search(segment, pattern, alignment, most, &mut found);
        }
        found
    }

    /// Where pointers to `value` are, in data.
    pub(super) fn places_of_pointer(&self, value: u64, most: usize) -> Vec<u64> {
        let mut found: Vec<u64> = self.relocations().places_of(value).take(most).collect();
        if found.is_empty() {
            found = self.places_of(&value.to_le_bytes(), 8, most);
        }
        found
    }

    fn search(
        &self,
        segment: &Segment,
        pattern: &[u8],
        alignment: u64,
        most: usize,
        found: &mut Vec<u64>,
    ) {
        let finder = memmem::Finder::new(pattern);
        let overlap = pattern.len() as u64;
        let mut from_start = 0;
        while from_start < segment.length.min(LONGEST_SEARCH) && found.len() < most {
            let start = segment.address + from_start;
            let Ok(bytes) = self.image.bytes_at(start, STRETCH + overlap) else {
                return;
            };
            for place in finder.find_iter(&bytes) {
                let address = start + place as u64;
                let new = (place as u64) < STRETCH && address.is_multiple_of(alignment);
                if new && found.len() < most {
                    found.push(address);
                }
            }
            from_start += STRETCH;
        }
    }
}
