//! Files that are replaced as a whole: a reader sees the old one or the new one, never half of one.
//!
//! The new content goes into a temporary file beside the old one, is made durable, and takes its
//! name. Costs a flush to the device: milliseconds, so for once a second rather than for each event.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::RecordingError;

/// What the name of a file ends in while it is prepared.
pub(super) const TEMPORARY: &str = ".tmp";

/// How JSON is laid out.
#[derive(Clone, Copy)]
pub(super) enum Layout {
    /// For people too.
    Indented,
    /// For programs: half the size.
    Compact,
}

/// Replaces `dir/name` by `value` as JSON.
///
/// Refuses what could not be read back: a NaN, or more bytes than the reader of this file takes.
pub(super) fn replace_json<T: Serialize + DeserializeOwned>(
    dir: &Path,
    name: &str,
    value: &T,
    layout: Layout,
    limit: u64,
) -> Result<(), RecordingError> {
    let path = dir.join(name);
    let refused = |reason| RecordingError::Refused {
        path: path.clone(),
        reason,
    };
    let unreadable =
        |cause: serde_json::Error| refused(format!("its content cannot be read back: {cause}"));
    let mut json = match layout {
        Layout::Indented => serde_json::to_vec_pretty(value),
        Layout::Compact => serde_json::to_vec(value),
    }
    .map_err(unreadable)?;
    // JSON has no NaN: it would be written as null, and the file could never be read again.
    serde_json::from_slice::<T>(&json).map_err(unreadable)?;
    json.push(b'\n');
    if json.len() as u64 > limit {
        return Err(refused(format!(
            "it would have {} bytes, and readers take up to {limit}",
            json.len()
        )));
    }

    let temporary = dir.join(format!("{name}{TEMPORARY}"));
    let replace = || {
        let mut file = create_anew(&temporary)?;
        file.write_all(&json)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)
    };
    replace().map_err(|source| {
        // A half-written temporary file is never read; on a full disk it is in the way.
        let _ = fs::remove_file(&temporary);
        RecordingError::io("write", &path)(source)
    })
}

/// A new file of that name. What a killed writer left there is removed, never written through: it
/// might be a link that somebody else put there, and the writer may have more rights than they.
pub(crate) fn create_anew(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// A file's bytes, or `None` when there is no such file; an error when it has more than `limit`.
pub(super) fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, RecordingError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(RecordingError::io("read", path)(cause)),
    };
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(RecordingError::io("read", path))?;
    if bytes.len() as u64 > limit {
        return Err(RecordingError::TooLarge {
            path: path.to_path_buf(),
            limit,
        });
    }
    Ok(Some(bytes))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_the_place_of_the_temporary_file_is_not_written_through() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let precious = dir.path().join("precious");
        fs::write(&precious, "years").expect("writable");
        std::os::unix::fs::symlink(&precious, dir.path().join("meta.json.tmp"))
            .expect("links can be made");
        replace_json(dir.path(), "meta.json", &7u32, Layout::Compact, 100).expect("writable");
        assert_eq!(fs::read_to_string(&precious).expect("there"), "years");
        let meta = fs::read_to_string(dir.path().join("meta.json")).expect("there");
        assert_eq!(meta, "7\n");
    }

    #[test]
    fn what_no_reader_would_take_is_neither_written_nor_read() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        replace_json(dir.path(), "small", &"abc".to_owned(), Layout::Compact, 6)
            .expect("it has six bytes");
        let refused = replace_json(dir.path(), "small", &"abcd".to_owned(), Layout::Compact, 6);
        assert!(matches!(refused, Err(RecordingError::Refused { .. })));
        let path = dir.path().join("small");
        assert_eq!(read(&path, 6).expect("there"), Some(b"\"abc\"\n".to_vec()));
        let error = read(&path, 5).expect_err("it has six bytes").to_string();
        assert!(error.contains("more than 5 bytes"), "{error}");
    }
}
