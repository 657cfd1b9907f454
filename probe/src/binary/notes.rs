//! Static probes (SDT, USDT): places that a program marked for tracers.
//!
//! Each is a note in section `.note.stapsdt`: provider, name, address, and where the arguments
//! are at that moment. Format: SystemTap's wiki, `UserSpaceProbeImplementation`, and `sys/sdt.h`.
//! Addresses are as they were before prelinking moved the file: the note also says where section
//! `.stapsdt.base` was, and the difference to where it is now corrects them.
//!
//! Notes whose probe lies outside of the code are left out: some linkers keep the notes of
//! functions that they dropped.

mod arguments;

pub use arguments::{Argument, Operand};

use super::elf::{ElfError, Image};
use super::printable;
use serde::Serialize;

/// The note's type, under the name `stapsdt`.
const NT_STAPSDT: u32 = 3;

/// More probes than any program has (OpenJDK has about 700).
const MOST_PROBES: usize = 65_536;

/// A place that a program marked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// Who defined it: a library or program. Fit to be shown.
    pub provider: String,
    /// Its name within the provider. Fit to be shown.
    pub name: String,
    /// Its virtual address.
    pub address: u64,
    /// Its place in the file.
    pub file_offset: u64,
    /// The place in the file of a counter of 16 bits that must be above 0 for the probe to be
    /// reached. The kernel raises it when it is told this place at attaching.
    pub semaphore_file_offset: Option<u64>,
    /// Where its arguments are.
    pub arguments: Vec<Argument>,
}

/// The probes of a file, in its order. One that the compiler copied comes several times, and each
/// copy must be attached to; its arguments may be elsewhere.
///
/// # Errors
///
/// The section lies outside of the file.
pub fn read(image: &Image) -> Result<Vec<Probe>, ElfError> {
    let base = image
        .section(".stapsdt.base")
        .map(|section| section.address);
    let mut probes = Vec::new();
    // Our own notes are sections of this name for each probe; a linker joins them or does not.
    for section in image.sections() {
        if section.name != ".note.stapsdt" {
            continue;
        }
        let bytes = image.contents(section)?;
        for note in iterate(&bytes, 4) {
            if note.name != b"stapsdt" || note.kind != NT_STAPSDT || probes.len() == MOST_PROBES {
                continue;
            }
            probes.extend(parse(image, base, note.contents));
        }
    }
    Ok(probes)
}

/// Address, base, semaphore, and three texts that each end with a zero byte.
fn parse(image: &Image, base: Option<u64>, contents: &[u8]) -> Option<Probe> {
    let (words, texts) = contents.split_first_chunk::<24>()?;
    let (words, _) = words.as_chunks::<8>();
    let [location, noted_base, semaphore] = [0, 1, 2].map(|i| u64::from_le_bytes(words[i]));
    let moved = base.map_or(0, |base| base.wrapping_sub(noted_base));
    let address = location.wrapping_add(moved);
    let mut texts = texts.split(|byte| *byte == 0);
    let provider = printable(texts.next()?);
    let name = printable(texts.next()?);
    let arguments = String::from_utf8_lossy(texts.next()?).into_owned();
    if !image.is_executable(address) {
        return None;
    }
    Some(Probe {
        provider,
        name,
        address,
        file_offset: image.file_offset(address)?,
        semaphore_file_offset: match semaphore {
            0 => None,
            at => image.file_offset(at.wrapping_add(moved)),
        },
        arguments: arguments::parse(image.architecture(), &arguments),
    })
}

/// A note of a section or segment of notes.
pub(super) struct Note<'a> {
    pub(super) name: &'a [u8],
    pub(super) kind: u32,
    pub(super) contents: &'a [u8],
}

/// The notes in `bytes`, up to the first that is damaged. Name and contents are padded to `alignment`.
pub(super) fn iterate(bytes: &[u8], alignment: usize) -> impl Iterator<Item = Note<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (head, behind) = rest.split_first_chunk::<12>()?;
        let (words, _) = head.as_chunks::<4>();
        let [name_length, length, kind] = [0, 1, 2].map(|i| u32::from_le_bytes(words[i]));
        let padded = |length: u32| (length as usize).checked_next_multiple_of(alignment);
        let name = behind.get(..name_length as usize)?;
        let behind = behind.get(padded(name_length)?..)?;
        let contents = behind.get(..length as usize)?;
        // The last note's padding may be missing.
        rest = behind.get(padded(length)?..).unwrap_or_default();
        Some(Note {
            name: name.strip_suffix(b"\0").unwrap_or(name),
            kind,
            contents,
        })
    })
}

#[cfg(test)]
mod tests;
