//! Where functions begin and end, in files that have no symbols: from the unwind tables.
//!
//! On x86-64 and aarch64 every compiled function has an entry in `.eh_frame`, stripped or not;
//! `.eh_frame_hdr` is a sorted index of them. Read by crate `gimli`. A part of a function that the
//! compiler moved away (`.cold`) has an entry of its own.
//!
//! The index is searched here, not by `gimli`, whose search overflows on damaged files. Every linker
//! for Linux writes it in one form: addresses of 32 bits, counted from the index.
//!
//! Cost: both sections are read once (3 to 8% of a program); a look-up is a binary search.

use super::{ElfError, Image};
use gimli::{BaseAddresses, EhFrame, EhFrameOffset, LittleEndian, UnwindSection};
use std::ops::Range;

/// The index's version, and how it encodes where `.eh_frame` is, the number of entries, and the
/// entries: relative to the place with 32 bits, 32 bits, relative to the index with 32 bits.
const FORM: [u8; 4] = [1, 0x1b, 0x03, 0x3b];

/// The unwind tables of a file.
#[derive(Debug)]
pub struct Frames {
    /// `.eh_frame_hdr` behind its head: pairs of a function's start and its entry's place.
    index: Vec<u8>,
    index_address: u64,
    /// `.eh_frame`.
    entries: Vec<u8>,
    entries_address: u64,
    text_address: u64,
}

impl Frames {
    /// Reads the tables of `image`. None if it has none that we know the form of.
    ///
    /// # Errors
    ///
    /// The file is damaged.
    pub fn read(image: &Image) -> Result<Option<Self>, ElfError> {
        let (Some(index), Some(entries)) =
            (image.section(".eh_frame_hdr"), image.section(".eh_frame"))
        else {
            return Ok(None);
        };
        let bytes = image.contents(index)?;
        let Some((head, pairs)) = bytes.split_first_chunk::<12>() else {
            return Ok(None);
        };
        if !head.starts_with(&FORM) {
            return Ok(None);
        }
        let count = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
        Ok(Some(Frames {
            index: pairs[..pairs.len().min(count.saturating_mul(8))].to_vec(),
            index_address: index.address,
            entries: image.contents(entries)?,
            entries_address: entries.address,
            text_address: image.section(".text").map_or(0, |text| text.address),
        }))
    }

    /// The virtual addresses of the function, or the moved part of one, that contains `address`.
    #[must_use]
    pub fn function_at(&self, address: u64) -> Option<Range<u64>> {
        let (pairs, _) = self.index.as_chunks::<8>();
        let absolute = |bytes: &[u8]| {
            let relative = i32::from_le_bytes(bytes.try_into().unwrap_or_default());
            self.index_address.wrapping_add_signed(i64::from(relative))
        };
        let behind = pairs.partition_point(|pair| absolute(&pair[..4]) <= address);
        let entry_address = absolute(&pairs.get(behind.checked_sub(1)?)?[4..]);
        let offset = usize::try_from(entry_address.checked_sub(self.entries_address)?).ok()?;
        if offset >= self.entries.len() {
            return None;
        }
        let bases = BaseAddresses::default()
            .set_eh_frame_hdr(self.index_address)
            .set_eh_frame(self.entries_address)
            .set_text(self.text_address);
        let entry = EhFrame::new(&self.entries, LittleEndian)
            .fde_from_offset(&bases, EhFrameOffset(offset), EhFrame::cie_from_offset)
            .ok()?;
        let start = entry.initial_address();
        let end = start.checked_add(entry.len())?;
        (start..end).contains(&address).then_some(start..end)
    }
}
