//! Where the bytes of an ELF file come from: a file read by position, or memory.

use super::ElfError;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A file or bytes in memory.
#[derive(Debug)]
pub(super) enum Source {
    File {
        file: File,
        length: u64,
        path: String,
    },
    Memory(Vec<u8>),
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self, ElfError> {
        let shown = path.display().to_string();
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
        match opened {
            // A pipe or a device could keep us waiting, or never end.
            Ok((metadata, _)) if !metadata.is_file() => Err(ElfError::NotElf),
            Ok((metadata, file)) => Ok(Source::File {
                file,
                length: metadata.len(),
                path: shown,
            }),
            Err(source) => Err(ElfError::Io {
                path: shown,
                source,
            }),
        }
    }

    /// `length` bytes from `offset` on. Nothing is allocated for bytes that the file does not have.
    pub(super) fn bytes(
        &self,
        what: &'static str,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, ElfError> {
        let out_of_bounds = || ElfError::OutOfBounds {
            what,
            offset,
            length,
        };
        let end = offset.checked_add(length).ok_or_else(out_of_bounds)?;
        match self {
            Source::Memory(bytes) => bytes
                .get(offset as usize..end as usize)
                .map(<[u8]>::to_vec)
                .ok_or_else(out_of_bounds),
            Source::File {
                file,
                length: have,
                path,
            } => {
                if end > *have {
                    return Err(out_of_bounds());
                }
                let mut bytes = vec![0; length as usize];
                file.read_exact_at(&mut bytes, offset)
                    .map_err(|source| ElfError::Io {
                        path: path.clone(),
                        source,
                    })?;
                Ok(bytes)
            }
        }
    }
}
