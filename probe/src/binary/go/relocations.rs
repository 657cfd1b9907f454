//! Pointers that the dynamic linker writes when it loads a position-independent program.
//!
//! In the file their places may hold nothing; what belongs there, counted from the load, stands in
//! the table of relocations (`DT_RELA`). Only relative relocations are taken: Go's tables refer to
//! the program itself. The packed form (`DT_RELR`) needs nothing, since with it the places in the
//! file hold the value.
//!
//! Cost: 24 bytes of the file and 16 of memory a relocation, read once when first asked for; a
//! large program has a million.

use crate::binary::elf::Image;
use crate::binary::register::Architecture;
use object::elf::{DT_RELA, DT_RELASZ, R_AARCH64_RELATIVE, R_X86_64_RELATIVE};

/// A longer table is read up to here, in bytes.
const LONGEST_TABLE: u64 = 256 << 20;

/// The relative relocations of a file.
#[derive(Debug, Default)]
pub(super) struct Relocations {
    /// Place and value, by place; both are virtual addresses.
    entries: Vec<(u64, u64)>,
}

impl Relocations {
    /// Those of `image`; none if it has none, or they cannot be read.
    pub(super) fn read(image: &Image) -> Self {
        let table = image
            .dynamic_value(u64::from(DT_RELA))
            .zip(image.dynamic_value(u64::from(DT_RELASZ)));
        let bytes = table
            .and_then(|(at, length)| image.bytes_at(at, length.min(LONGEST_TABLE)).ok())
            .unwrap_or_default();
        let relative = match image.architecture() {
            Architecture::X86_64 => u64::from(R_X86_64_RELATIVE),
            Architecture::Aarch64 => u64::from(R_AARCH64_RELATIVE),
        };
        let (words, _) = bytes.as_chunks::<8>();
        let mut entries: Vec<(u64, u64)> = words
            .chunks_exact(3)
            .filter(|entry| u64::from_le_bytes(entry[1]) == relative)
            .map(|entry| (u64::from_le_bytes(entry[0]), u64::from_le_bytes(entry[2])))
            .collect();
        if !entries.is_sorted() {
            entries.sort_unstable();
        }
        Relocations { entries }
    }

    /// Writes the pointers into `bytes`, which are those from `address` on. One that is only partly
    /// within them is left.
    pub(super) fn apply(&self, address: u64, bytes: &mut [u8]) {
        let first = self.entries.partition_point(|(place, _)| *place < address);
        for (place, value) in &self.entries[first..] {
            let Ok(from_start) = usize::try_from(place - address) else {
                break;
            };
            match bytes
                .get_mut(from_start..)
                .and_then(<[u8]>::first_chunk_mut::<8>)
            {
                Some(pointer) => *pointer = value.to_le_bytes(),
                None => break,
            }
        }
    }

    /// Where pointers to `value` are.
    pub(super) fn places_of(&self, value: u64) -> impl Iterator<Item = u64> {
        let entries = self.entries.iter();
        entries
            .filter(move |entry| entry.1 == value)
            .map(|(place, _)| *place)
    }
}

#[cfg(test)]
mod tests {
    use super::Relocations;

    #[test]
    fn pointers_within_the_bytes_are_written_and_others_left() {
        let relocations = Relocations {
            entries: vec![
                (0x0ff8, 1),
                (0x1000, 2),
                (0x1010, 3),
                (0x101c, 4),
                (0x2000, 2),
            ],
        };
        let mut bytes = [0; 32];
        relocations.apply(0x1000, &mut bytes);
        let words: Vec<u64> = bytes
            .as_chunks::<8>()
            .0
            .iter()
            .map(|word| u64::from_le_bytes(*word))
            .collect();
        assert_eq!(words, [2, 0, 3, 0]);
        let places: Vec<u64> = relocations.places_of(2).collect();
        assert_eq!(places, [0x1000, 0x2000]);
    }
}
