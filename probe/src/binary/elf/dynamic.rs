//! The table that a file holds for the dynamic linker.
//!
//! The program headers lead to it, so that it is found without the table of sections. Cost: one
//! read of some hundred bytes for each value.

use super::Image;

/// Longer than any linker writes, in bytes.
const LONGEST: u64 = 1 << 16;

impl Image {
    /// The value of the first entry with this tag (`DT_...`) in the table. None if there is none.
    #[must_use]
    pub fn dynamic_value(&self, tag: u64) -> Option<u64> {
        let range = self.dynamic.clone()?;
        let length = (range.end - range.start).min(LONGEST);
        let bytes = self
            .source
            .bytes("the dynamic table", range.start, length)
            .ok()?;
        let (words, _) = bytes.as_chunks::<8>();
        words
            .chunks_exact(2)
            .find(|entry| u64::from_le_bytes(entry[0]) == tag)
            .map(|entry| u64::from_le_bytes(entry[1]))
    }
}

#[cfg(test)]
mod tests {
    use crate::binary::elf::Image;
    use crate::binary::elf::tests::libc_of_this_host;
    use object::elf::{DT_SONAME, DT_STRTAB};

    #[test]
    fn the_c_library_has_a_name_in_its_dynamic_table() {
        let image = Image::open_by_segments(&libc_of_this_host()).unwrap();
        assert!(image.sections().is_empty());
        let texts = image.dynamic_value(u64::from(DT_STRTAB)).unwrap();
        let name = image.dynamic_value(u64::from(DT_SONAME)).unwrap();
        let bytes = image.bytes_at(texts + name, 8).unwrap();
        assert_eq!(bytes, b"libc.so.");
        assert_eq!(image.dynamic_value(0x7fff_0000), None);
    }
}
