//! What the walk needs to know of an ELF file: where it is loaded, and where its call frame
//! information lies.
//!
//! Program headers come first: they are what the program itself uses to unwind, and what is left
//! when a binary has lost even its section headers. Sections are the fallback for static
//! executables of older linkers, which have no index. All of it is checked against the length of
//! the file; nothing is copied but the headers.

use object::LittleEndian;
use object::elf::{EM_X86_64, FileHeader64, PF_X, PT_GNU_EH_FRAME, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use std::ops::Range;

/// Files with more segments are not programs.
const MAX_SEGMENTS: usize = 256;

/// A range of the file, and the address at which the file wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub bytes: Range<usize>,
    pub address: u64,
}

/// The layout of a 64-bit x86 ELF file.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    /// What is loaded; executable segments first.
    segments: Vec<Part>,
    /// The index of the call frame information.
    pub eh_frame_hdr: Option<Part>,
    /// The call frame information.
    pub eh_frame: Option<Part>,
    /// Address of the code, to which some encodings are relative.
    pub text: u64,
}

impl Layout {
    /// Reads the headers of `file`; `None` if it is not a 64-bit x86 ELF file.
    pub fn parse(file: &[u8]) -> Option<Self> {
        let endian = LittleEndian;
        let header = FileHeader64::<LittleEndian>::parse(file).ok()?;
        if !header.is_little_endian() || header.e_machine(endian) != EM_X86_64 {
            return None;
        }
        let mut layout = Self::default();
        let mut others = Vec::new();
        for segment in header
            .program_headers(endian, file)
            .ok()?
            .iter()
            .take(MAX_SEGMENTS)
        {
            let part = part(
                file,
                segment.p_offset(endian),
                segment.p_filesz(endian),
                segment.p_vaddr(endian),
            );
            match (segment.p_type(endian), part) {
                (PT_LOAD, Some(part)) if segment.p_flags(endian) & PF_X != 0 => {
                    layout.segments.push(part);
                }
                (PT_LOAD, Some(part)) => others.push(part),
                (PT_GNU_EH_FRAME, Some(part)) => layout.eh_frame_hdr = Some(part),
                _ => {}
            }
        }
        layout.segments.append(&mut others);
        layout.read_sections(file, header);
        layout.find_eh_frame_by_its_index(file);
        Some(layout)
    }

    /// The address in the file's own terms of the byte at `file_offset`, which is thought of as
    /// code where segments share bytes of the file.
    pub fn address_of(&self, file_offset: u64) -> Option<u64> {
        let offset = usize::try_from(file_offset).ok()?;
        let segment = self
            .segments
            .iter()
            .find(|segment| segment.bytes.contains(&offset))?;
        segment
            .address
            .checked_add((offset - segment.bytes.start) as u64)
    }

    fn read_sections(&mut self, file: &[u8], header: &FileHeader64<LittleEndian>) {
        let endian = LittleEndian;
        let Ok(sections) = header.sections(endian, file) else {
            return;
        };
        for section in sections.iter() {
            let target = match sections.section_name(endian, section) {
                Ok(b".text") => {
                    self.text = section.sh_addr(endian);
                    continue;
                }
                Ok(b".eh_frame") => &mut self.eh_frame,
                Ok(b".eh_frame_hdr") if self.eh_frame_hdr.is_none() => &mut self.eh_frame_hdr,
                _ => continue,
            };
            if let Some((offset, size)) = section.file_range(endian) {
                *target = part(file, offset, size, section.sh_addr(endian));
            }
        }
    }

    /// Without section headers, the index says where the information begins; it ends with its
    /// segment.
    fn find_eh_frame_by_its_index(&mut self, file: &[u8]) {
        if self.eh_frame.is_some() {
            return;
        }
        let Some(index) = &self.eh_frame_hdr else {
            return;
        };
        let header = gimli::EhFrameHdr::new(&file[index.bytes.clone()], gimli::LittleEndian);
        let bases = gimli::BaseAddresses::default().set_eh_frame_hdr(index.address);
        let Ok(gimli::Pointer::Direct(address)) =
            header.parse(&bases, 8).map(|header| header.eh_frame_ptr())
        else {
            return;
        };
        self.eh_frame = self.segments.iter().find_map(|segment| {
            let distance = usize::try_from(address.checked_sub(segment.address)?).ok()?;
            let start = segment.bytes.start.checked_add(distance)?;
            (start < segment.bytes.end).then_some(Part {
                bytes: start..segment.bytes.end,
                address,
            })
        });
    }
}

/// A part of the file, if it lies in the file and is not empty.
fn part(file: &[u8], offset: u64, size: u64, address: u64) -> Option<Part> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(size).ok()?)?;
    (start < end && end <= file.len()).then_some(Part {
        bytes: start..end,
        address,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Vec<u8> {
        std::fs::read("/proc/self/exe").unwrap()
    }

    #[test]
    fn the_information_is_found_without_section_headers() {
        let mut file = own();
        let with_sections = Layout::parse(&file).unwrap();
        file[0x28..0x30].fill(0); // e_shoff
        file[0x3c..0x40].fill(0); // e_shnum, e_shstrndx
        let without = Layout::parse(&file).unwrap();
        let (with_sections, without) = (with_sections.eh_frame.unwrap(), without.eh_frame.unwrap());
        assert_eq!(with_sections.address, without.address);
        assert_eq!(with_sections.bytes.start, without.bytes.start);
        assert!(with_sections.bytes.end <= without.bytes.end);
    }

    #[test]
    fn a_file_of_another_kind_or_cut_short_is_refused_or_read_as_far_as_it_goes() {
        let file = own();
        assert!(Layout::parse(b"").is_none());
        assert!(Layout::parse(b"#!/bin/sh\n").is_none());
        let mut other = file.clone();
        other[4] = 1; // ELFCLASS32
        assert!(Layout::parse(&other).is_none());
        for length in [16, 63, 64, 100, 1000, 5000, file.len() / 2] {
            if let Some(layout) = Layout::parse(&file[..length]) {
                let parts = layout
                    .segments
                    .iter()
                    .chain(&layout.eh_frame)
                    .chain(&layout.eh_frame_hdr);
                assert!(parts.into_iter().all(|part| part.bytes.end <= length));
            }
        }
    }

    #[test]
    fn offsets_outside_every_segment_have_no_address() {
        let layout = Layout::parse(&own()).unwrap();
        assert_eq!(layout.address_of(u64::MAX), None);
        assert!(
            layout
                .address_of(layout.segments[0].bytes.start as u64)
                .is_some()
        );
    }
}
