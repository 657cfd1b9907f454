//! Which file the symbols of a module are read from, and how much of it.
//!
//! | the module has | symbols come from |
//! |---|---|
//! | debug information up to [`MAX_DEBUG_BYTES`], no link to another file | itself: names, inlined functions, lines |
//! | a build id with a file of that id in `/usr/lib/debug`, up to the same size | that file, likewise |
//! | the same, but larger | that file's table of symbols: names only |
//! | anything else | its own table of symbols: names only |
//!
//! The size is a rule because debug information is resident while it is read, all of it at least
//! once: the peak is about 1.1 times its size, and the whole tool has 100 MB. Figures in `symbols.rs`.
//!
//! A file's own link to its debug information is not followed: it is a name chosen by the target,
//! and this process may be root. A build id cannot point outside the system's folder.

use super::modules::{Image, open_regular};
use object::LittleEndian;
use object::elf::{ELF_NOTE_GNU, FileHeader64, NT_GNU_BUILD_ID, SHF_COMPRESSED};
use object::read::elf::{CompressionHeader, FileHeader, ProgramHeader, SectionHeader};
use std::fmt::Write;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// Debug information that is read, in bytes after decompression.
pub(super) const MAX_DEBUG_BYTES: u64 = 32 << 20;

/// Where the system keeps debug information by build id. It belongs to root.
const BY_BUILD_ID: &str = "/usr/lib/debug/.build-id";

/// A file to read symbols from.
#[derive(Debug)]
pub(super) struct SymbolFile {
    pub path: PathBuf,
    /// Bytes of debug information that are read for lines and inlined functions; 0 if it is the table
    /// of symbols only.
    pub debug_bytes: u64,
    /// Keeps `path` valid, if it goes through a descriptor of its own.
    _open: Option<File>,
}

impl SymbolFile {
    /// The best file for a module.
    pub fn of(image: &Image) -> Self {
        let own = Debug::of(image.bytes());
        let debug_bytes = if own.links { 0 } else { own.readable() };
        if debug_bytes == 0
            && let Some(build_id) = build_id(image.bytes())
            && let Some(separate) = separate(&build_id)
        {
            return separate;
        }
        Self {
            path: image.path(),
            debug_bytes,
            _open: None,
        }
    }
}

/// The file of a build id.
fn separate(build_id: &[u8]) -> Option<SymbolFile> {
    let hexadecimal = build_id.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let (folder, rest) = hexadecimal.split_at_checked(2)?;
    let path = PathBuf::from(format!("{BY_BUILD_ID}/{folder}/{rest}.debug"));
    let file = open_regular(&path).ok()?;
    // SAFETY: as for every module, see `Image::new`; this file is root's.
    let bytes = unsafe { memmap2::Mmap::map(&file) }.ok()?;
    let debug = Debug::of(&bytes);
    // Where the file is not linked to another, the descriptor is as good as the path; a link
    // (`dwz` moves what several share into a third file) is sought beside the real path.
    let (path, open) = if debug.links {
        (path, None)
    } else {
        (
            PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())),
            Some(file),
        )
    };
    Some(SymbolFile {
        path,
        debug_bytes: debug.readable(),
        _open: open,
    })
}

/// What a file says of its debug information.
#[derive(Debug, Default)]
struct Debug {
    /// Size of the sections that are read.
    bytes: u64,
    /// Whether it names another file.
    links: bool,
}

impl Debug {
    fn of(file: &[u8]) -> Self {
        Self::read(file).unwrap_or_default()
    }

    /// How much of it is read: all or nothing.
    fn readable(&self) -> u64 {
        if self.bytes <= MAX_DEBUG_BYTES {
            self.bytes
        } else {
            0
        }
    }

    fn read(file: &[u8]) -> Option<Self> {
        let endian = LittleEndian;
        let header = FileHeader64::<LittleEndian>::parse(file).ok()?;
        let sections = header.sections(endian, file).ok()?;
        let mut debug = Self::default();
        for section in sections.iter() {
            match sections.section_name(endian, section).unwrap_or_default() {
                b".gnu_debuglink" | b".gnu_debugaltlink" | b".debug_sup" => debug.links = true,
                name if name.starts_with(b".debug_") => {
                    let compressed = section.sh_flags(endian) & u64::from(SHF_COMPRESSED) != 0;
                    let size = match section.compression(endian, file) {
                        Ok(Some((header, ..))) if compressed => header.ch_size(endian),
                        _ => section.sh_size(endian),
                    };
                    debug.bytes = debug.bytes.saturating_add(size);
                }
                _ => {}
            }
        }
        Some(debug)
    }
}

/// The build id in the notes of a file.
fn build_id(file: &[u8]) -> Option<Vec<u8>> {
    let endian = LittleEndian;
    let header = FileHeader64::<LittleEndian>::parse(file).ok()?;
    for segment in header.program_headers(endian, file).ok()? {
        let Ok(Some(mut notes)) = segment.notes(endian, file) else {
            continue;
        };
        while let Ok(Some(note)) = notes.next() {
            if note.name() == ELF_NOTE_GNU && note.n_type(endian) == NT_GNU_BUILD_ID {
                return Some(note.desc().to_vec()).filter(|id| (2..=64).contains(&id.len()));
            }
        }
    }
    None
}
