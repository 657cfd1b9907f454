//! Where functions begin and end, in files that have no symbols: from the unwind tables.
//!
//! On x86-64 and aarch64 every compiled function has an entry in `.eh_frame`, stripped or not;
//! `.eh_frame_hdr` is a sorted index of them. Read by crate `gimli`. A part of a function that the
//! compiler moved away (`.cold`) has an entry of its own.
//!
//! Cost: both sections are read once (3 to 8% of a program); a look-up is a binary search.

use super::{ElfError, Image};
use gimli::{BaseAddresses, EhFrame, EhFrameHdr, LittleEndian, UnwindSection};
use std::ops::Range;

/// The unwind tables of a file.
#[derive(Debug)]
pub struct Frames {
    index: Vec<u8>,
    entries: Vec<u8>,
    bases: BaseAddresses,
}

impl Frames {
    /// Reads the tables of `image`. None if it has none.
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
        let mut bases = BaseAddresses::default()
            .set_eh_frame_hdr(index.address)
            .set_eh_frame(entries.address);
        if let Some(text) = image.section(".text") {
            bases = bases.set_text(text.address);
        }
        Ok(Some(Frames {
            index: image.contents(index)?,
            entries: image.contents(entries)?,
            bases,
        }))
    }

    /// The virtual addresses of the function, or the moved part of one, that contains `address`.
    #[must_use]
    pub fn function_at(&self, address: u64) -> Option<Range<u64>> {
        let index = EhFrameHdr::new(&self.index, LittleEndian)
            .parse(&self.bases, 8)
            .ok()?;
        let entries = EhFrame::new(&self.entries, LittleEndian);
        let entry = index
            .table()?
            .fde_for_address(&entries, &self.bases, address, EhFrame::cie_from_offset)
            .ok()?;
        let start = entry.initial_address();
        let end = start.checked_add(entry.len())?;
        (start..end).contains(&address).then_some(start..end)
    }
}
