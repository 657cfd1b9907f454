//! An ELF file, read by position: what is where in it, and at which address.
//!
//! Only what tracing needs: segments, sections, build id, the C library it is or needs. 64-bit
//! little-endian programs for x86-64 and aarch64; everything else is an error that says what it is.
//! The layout of the format comes from crate `object`; reading is ours, because whole files of
//! 100 MB and more are neither read nor mapped (a mapped file that somebody cuts short is a SIGBUS).
//!
//! **Addresses.** A *virtual address* is what the file says; where it is in a process depends on
//! the load. Kernel probes are placed by *file offset*: [`Image::file_offset`] translates by the
//! segments, which is what the loader goes by.
//!
//! Cost: opening reads the headers, some KB.

mod c_library;
pub mod debug;
pub mod frames;
mod source;

pub use c_library::CLibrary;

use super::register::Architecture;
use object::elf::{
    EM_AARCH64, EM_X86_64, ET_DYN, ET_EXEC, FileHeader64, PF_W, PF_X, PT_DYNAMIC, PT_LOAD, PT_NOTE,
    ProgramHeader64, SHF_ALLOC, SHF_COMPRESSED, SHT_NOBITS, SectionHeader64,
};
use object::pod::{from_bytes, slice_from_bytes};
use object::{LittleEndian, elf};
use source::Source;
use std::ops::Range;
use std::path::Path;

/// More segments or sections than any file has.
const MOST_HEADERS: u64 = 1 << 20;

/// The longest section that is read: a table of symbols of a program of several GB.
const LONGEST_SECTION: u64 = 1 << 30;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// It cannot be opened or read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is not in this format.
    #[error("not an ELF file")]
    NotElf,
    /// A program of 32 bits.
    #[error("a 32-bit program: only 64-bit ones can be traced")]
    ThirtyTwoBit,
    /// A program for another kind of processor.
    #[error(
        "a program for another processor (ELF machine {0}): only x86-64 and aarch64 are supported"
    )]
    OtherMachine(u16),
    /// Neither a program nor a library.
    #[error("neither a program nor a shared library (ELF type {0})")]
    OtherType(u16),
    /// A part of it lies outside of the file, or is larger than we accept.
    #[error(
        "damaged ELF file: {what} at byte {offset}, {length} bytes long, is not within the file or too long"
    )]
    OutOfBounds {
        /// Which part.
        what: &'static str,
        /// Where it should start.
        offset: u64,
        /// How long it should be.
        length: u64,
    },
    /// A part of it does not follow the format.
    #[error("damaged ELF file: {0}")]
    Damaged(&'static str),
}

/// A part of a file that is loaded into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// The virtual address of its first byte.
    pub address: u64,
    /// Where it is in the file.
    pub file_offset: u64,
    /// How much of it is in the file, in bytes.
    pub length: u64,
    /// Whether it may be executed.
    pub executable: bool,
    /// Whether it may be written to.
    pub writable: bool,
}

/// A section, as the linker left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its name; bytes that are not UTF-8 are replaced.
    pub name: String,
    /// Its type, `SHT_...`.
    pub kind: u32,
    /// Its virtual address, 0 if it is not loaded.
    pub address: u64,
    /// Where it is in the file.
    pub file_offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// The index of a section that belongs to it: for symbols, their names.
    pub link: u32,
    /// Whether it is loaded.
    pub loaded: bool,
    /// Whether its contents are compressed, with a head that says how.
    pub compressed: bool,
}

/// An open ELF file.
#[derive(Debug)]
pub struct Image {
    source: Source,
    architecture: Architecture,
    position_independent: bool,
    segments: Vec<Segment>,
    notes: Vec<Range<u64>>,
    /// Where in the file the table for the dynamic linker is.
    dynamic: Option<Range<u64>>,
    sections: Vec<Section>,
}

impl Image {
    /// Opens the file at `path` and reads its headers.
    ///
    /// # Errors
    ///
    /// It cannot be read, is of another kind, or is damaged.
    pub fn open(path: &Path) -> Result<Self, ElfError> {
        Self::read(Source::open(path)?, true)
    }

    /// The same without its table of sections, as the loader reads it: for a file whose table is
    /// damaged. It then has no symbols.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_by_segments(path: &Path) -> Result<Self, ElfError> {
        Self::read(Source::open(path)?, false)
    }

    /// The same from memory.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, ElfError> {
        Self::read(Source::Memory(bytes), true)
    }

    fn read(source: Source, with_sections: bool) -> Result<Self, ElfError> {
        let identification = source
            .bytes("the header", 0, 16)
            .map_err(|error| match error {
                ElfError::OutOfBounds { .. } => ElfError::NotElf,
                other => other,
            })?;
        match &identification[..6] {
            [0x7f, b'E', b'L', b'F', elf::ELFCLASS64, elf::ELFDATA2LSB] => {}
            [0x7f, b'E', b'L', b'F', elf::ELFCLASS32, _] => return Err(ElfError::ThirtyTwoBit),
            [0x7f, b'E', b'L', b'F', ..] => return Err(ElfError::Damaged("byte order")),
            _ => return Err(ElfError::NotElf),
        }
        let bytes = source.bytes("the header", 0, 64)?;
        let (header, _) = from_bytes::<FileHeader64<LittleEndian>>(&bytes)
            .map_err(|()| ElfError::Damaged("the header"))?;
        let architecture = match header.e_machine.get(LittleEndian) {
            EM_X86_64 => Architecture::X86_64,
            EM_AARCH64 => Architecture::Aarch64,
            other => return Err(ElfError::OtherMachine(other)),
        };
        let position_independent = match header.e_type.get(LittleEndian) {
            ET_DYN => true,
            ET_EXEC => false,
            other => return Err(ElfError::OtherType(other)),
        };
        let mut image = Image {
            architecture,
            position_independent,
            segments: Vec::new(),
            notes: Vec::new(),
            dynamic: None,
            sections: Vec::new(),
            source,
        };
        image.read_segments(header)?;
        if with_sections {
            image.read_sections(header)?;
        }
        Ok(image)
    }

    /// What it runs on.
    #[must_use]
    pub fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// Whether it can be loaded at any address: a library or a position-independent executable.
    #[must_use]
    pub fn is_position_independent(&self) -> bool {
        self.position_independent
    }

    /// Its loaded segments, in the order of the file's table.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Its sections; none where a file was stripped of its section table too.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The section with this name.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// Where in the file the byte at this virtual address is. None if no segment loads it.
    #[must_use]
    pub fn file_offset(&self, address: u64) -> Option<u64> {
        self.segments.iter().find_map(|segment| {
            let from_start = address.checked_sub(segment.address)?;
            (from_start < segment.length).then_some(segment.file_offset + from_start)
        })
    }

    /// Whether there may be code at this virtual address.
    #[must_use]
    pub fn is_executable(&self, address: u64) -> bool {
        self.segments.iter().any(|segment| {
            segment.executable
                && address
                    .checked_sub(segment.address)
                    .is_some_and(|from_start| from_start < segment.length)
        })
    }

    /// The contents of a section.
    ///
    /// # Errors
    ///
    /// It is not within the file, or longer than 1 GiB.
    pub fn contents(&self, section: &Section) -> Result<Vec<u8>, ElfError> {
        if section.kind == SHT_NOBITS {
            return Ok(Vec::new());
        }
        if section.length > LONGEST_SECTION {
            return Err(ElfError::OutOfBounds {
                what: "a section",
                offset: section.file_offset,
                length: section.length,
            });
        }
        self.source
            .bytes("a section", section.file_offset, section.length)
    }

    /// Up to `most` bytes from a virtual address on: fewer where its segment ends.
    ///
    /// # Errors
    ///
    /// No segment loads that address, or the file is shorter than it says.
    pub fn bytes_at(&self, address: u64, most: u64) -> Result<Vec<u8>, ElfError> {
        let segment = self
            .segments
            .iter()
            .find(|segment| {
                address
                    .checked_sub(segment.address)
                    .is_some_and(|from_start| from_start < segment.length)
            })
            .ok_or(ElfError::Damaged("an address that no segment loads"))?;
        let from_start = address - segment.address;
        self.source.bytes(
            "a segment",
            segment.file_offset + from_start,
            most.min(segment.length - from_start),
        )
    }

    /// Its build id, in hexadecimal digits: the same in two files if they were built the same.
    #[must_use]
    pub fn build_id(&self) -> Option<String> {
        self.notes.iter().find_map(|range| {
            let length = range.end - range.start;
            let bytes = self
                .source
                .bytes("a note", range.start, length.min(1 << 16))
                .ok()?;
            let note = super::notes::iterate(&bytes, 4)
                .find(|note| note.name == b"GNU" && note.kind == elf::NT_GNU_BUILD_ID)?;
            Some(
                note.contents
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect(),
            )
        })
    }

    /// The value of the first entry with this tag (`DT_...`) in the table for the dynamic linker,
    /// which is found without the section table. None if there is none.
    #[must_use]
    pub fn dynamic_value(&self, tag: u64) -> Option<u64> {
        /// More entries than any linker writes, in bytes.
        const LONGEST_TABLE: u64 = 1 << 16;
        let range = self.dynamic.clone()?;
        let length = (range.end - range.start).min(LONGEST_TABLE);
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

    fn read_segments(&mut self, header: &FileHeader64<LittleEndian>) -> Result<(), ElfError> {
        let count = u64::from(header.e_phnum.get(LittleEndian));
        if count != 0 && header.e_phentsize.get(LittleEndian) != 56 {
            return Err(ElfError::Damaged("the size of program headers"));
        }
        let bytes = self.source.bytes(
            "program headers",
            header.e_phoff.get(LittleEndian),
            count * 56,
        )?;
        let (headers, _) =
            slice_from_bytes::<ProgramHeader64<LittleEndian>>(&bytes, count as usize)
                .map_err(|()| ElfError::Damaged("program headers"))?;
        for header in headers {
            let file_offset = header.p_offset.get(LittleEndian);
            let length = header.p_filesz.get(LittleEndian);
            let address = header.p_vaddr.get(LittleEndian);
            let (Some(end), Some(_)) =
                (file_offset.checked_add(length), address.checked_add(length))
            else {
                return Err(ElfError::Damaged("a segment beyond all addresses"));
            };
            match header.p_type.get(LittleEndian) {
                PT_LOAD => self.segments.push(Segment {
                    address,
                    file_offset,
                    length,
                    executable: header.p_flags.get(LittleEndian) & PF_X != 0,
                    writable: header.p_flags.get(LittleEndian) & PF_W != 0,
                }),
                PT_DYNAMIC => self.dynamic = Some(file_offset..end),
                PT_NOTE => self.notes.push(file_offset..end),
                _ => {}
            }
        }
        Ok(())
    }

    fn read_sections(&mut self, header: &FileHeader64<LittleEndian>) -> Result<(), ElfError> {
        let at = header.e_shoff.get(LittleEndian);
        if at == 0 {
            return Ok(());
        }
        if header.e_shentsize.get(LittleEndian) != 64 {
            return Err(ElfError::Damaged("the size of section headers"));
        }
        let first = self.source.bytes("the first section header", at, 64)?;
        let (first, _) = from_bytes::<SectionHeader64<LittleEndian>>(&first)
            .map_err(|()| ElfError::Damaged("section headers"))?;
        // Counts that do not fit the header stand in the first section (elf(5)).
        let count = match header.e_shnum.get(LittleEndian) {
            0 => first.sh_size.get(LittleEndian),
            count => u64::from(count),
        };
        if count > MOST_HEADERS {
            return Err(ElfError::Damaged("more sections than can be"));
        }
        let names_in = match header.e_shstrndx.get(LittleEndian) {
            elf::SHN_XINDEX => first.sh_link.get(LittleEndian),
            index => u32::from(index),
        };
        let bytes = self.source.bytes("section headers", at, count * 64)?;
        let (headers, _) =
            slice_from_bytes::<SectionHeader64<LittleEndian>>(&bytes, count as usize)
                .map_err(|()| ElfError::Damaged("section headers"))?;
        let names = match headers.get(names_in as usize) {
            Some(names) => self.source.bytes(
                "the names of sections",
                names.sh_offset.get(LittleEndian),
                names.sh_size.get(LittleEndian).min(64 << 20),
            )?,
            None => Vec::new(),
        };
        self.sections = headers
            .iter()
            .map(|header| Section {
                name: text_at(&names, header.sh_name.get(LittleEndian)),
                kind: header.sh_type.get(LittleEndian),
                address: header.sh_addr.get(LittleEndian),
                file_offset: header.sh_offset.get(LittleEndian),
                length: header.sh_size.get(LittleEndian),
                link: header.sh_link.get(LittleEndian),
                loaded: header.sh_flags.get(LittleEndian) & u64::from(SHF_ALLOC) != 0,
                compressed: header.sh_flags.get(LittleEndian) & u64::from(SHF_COMPRESSED) != 0,
            })
            .collect();
        Ok(())
    }
}

/// The text that ends with a zero byte, from `offset` on, at most 256 bytes of it.
fn text_at(strings: &[u8], offset: u32) -> String {
    let rest = strings.get(offset as usize..).unwrap_or_default();
    let rest = &rest[..rest.len().min(256)];
    let end = memchr::memchr(0, rest).unwrap_or(rest.len());
    String::from_utf8_lossy(&rest[..end]).into_owned()
}

#[cfg(test)]
pub(super) mod tests;
