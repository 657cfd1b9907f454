//! Which C library a file is, and its version: from a line of text that each carries to be printed.
//!
//! glibc: `GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.`; musl, whose dynamic
//! linker is the library: `musl libc (x86_64)`, and its version as a text of its own nearby.

use super::{ElfError, Image};
use memchr::memmem;
use serde::Serialize;

/// How much of a file's constants is looked through.
const MOST_CONSTANTS: u64 = 64 << 20;

/// A C library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum CLibrary {
    /// The GNU C library.
    Glibc {
        /// `2.36`, and the distribution's own number where it says.
        version: Option<String>,
    },
    /// musl.
    Musl {
        /// `1.2.3`.
        version: Option<String>,
    },
}

impl Image {
    /// Which C library this file is or contains, judged by its constants.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn c_library(&self) -> Result<Option<CLibrary>, ElfError> {
        let constants = self.constants()?;
        if let Some(at) = memmem::find(&constants, b"GNU C Library (") {
            let line = line_at(&constants, at);
            let version = line
                .split_once("release version ")
                .map(|(_, version)| version.trim_end_matches('.').to_owned());
            return Ok(Some(CLibrary::Glibc { version }));
        }
        if memmem::find(&constants, b"musl libc (").is_some() {
            let version = strings(&constants)
                .find(|text| is_version(text))
                .map(|text| String::from_utf8_lossy(text).into_owned());
            return Ok(Some(CLibrary::Musl { version }));
        }
        Ok(None)
    }

    /// The constants of the program: `.rodata`, at most 64 MiB.
    pub(in crate::binary) fn constants(&self) -> Result<Vec<u8>, ElfError> {
        let Some(section) = self.section(".rodata") else {
            return Ok(Vec::new());
        };
        let mut section = section.clone();
        section.length = section.length.min(MOST_CONSTANTS);
        self.contents(&section)
    }
}

/// The text from `at` to the end of its line, at most 200 bytes.
fn line_at(bytes: &[u8], at: usize) -> String {
    let rest = &bytes[at..bytes.len().min(at + 200)];
    let end = rest
        .iter()
        .position(|byte| matches!(byte, 0 | b'\n'))
        .unwrap_or(rest.len());
    crate::binary::printable(&rest[..end])
}

fn strings(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == 0)
}

/// `1.2.3`: musl's is the only constant of it that is nothing but that.
fn is_version(text: &[u8]) -> bool {
    text.len() <= 12
        && text.split(|byte| *byte == b'.').count() == 3
        && text
            .split(|byte| *byte == b'.')
            .all(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
}
