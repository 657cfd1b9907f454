//! Files that only grow by whole lines, so that a reader never meets half a line in the middle.
//!
//! Each append is one system call: a copy into the page cache, no flush to the device.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use super::RecordingError;

/// A file that only grows by whole lines.
pub(super) struct Appender {
    pub(super) path: PathBuf,
    file: File,
    /// Length up to the last whole line.
    whole: u64,
    /// An append failed and its remains could not be cut off: another would join a torn line.
    torn: bool,
}

impl Appender {
    /// Creates the file, which must not be there.
    pub(super) fn create(path: PathBuf) -> Result<Appender, RecordingError> {
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&path)
            .map_err(RecordingError::io("create", &path))?;
        Ok(Appender {
            path,
            file,
            whole: 0,
            torn: false,
        })
    }

    /// Appends whole lines by one call; what a failed call left is cut off again.
    pub(super) fn append(&mut self, lines: &[u8]) -> Result<(), RecordingError> {
        if self.torn {
            let cause = io::Error::other("an earlier write failed and left a torn line");
            return Err(RecordingError::io("append to", &self.path)(cause));
        }
        match self.file.write_all(lines) {
            Ok(()) => {
                self.whole += lines.len() as u64;
                Ok(())
            }
            Err(source) => {
                self.torn = self.file.set_len(self.whole).is_err();
                Err(RecordingError::io("append to", &self.path)(source))
            }
        }
    }

    /// Makes the file durable.
    pub(super) fn sync(&self) -> Result<(), RecordingError> {
        self.file
            .sync_all()
            .map_err(RecordingError::io("make durable", &self.path))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_and_nothing_is_appended_to_what_it_tore() {
        let path = PathBuf::from("/dev/full");
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .expect("Linux has /dev/full");
        let mut appender = Appender {
            path,
            file,
            whole: 0,
            torn: false,
        };
        let error = appender.append(b"line\n").expect_err("it is full");
        assert!(
            error
                .to_string()
                .starts_with("cannot append to /dev/full: No space left on device"),
            "{error}"
        );
        // A device cannot be cut back to its last whole line, so that is the end of it.
        let error = appender.append(b"line\n").expect_err("it is torn");
        assert!(error.to_string().contains("torn line"), "{error}");
    }
}
