//! Reads a file line by line in bounded memory, however long the file and whatever is in it.
//!
//! Only whole lines count: one without its end was cut off, or is being written just now.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Take};
use std::path::{Path, PathBuf};

use super::RecordingError;

/// The whole lines of a file, one at a time. A missing file has none.
pub(super) struct Lines {
    path: PathBuf,
    file: Source,
    line: Vec<u8>,
    number: usize,
    /// The longest line allowed, its end included.
    limit: u64,
}

enum Source {
    /// Opened with the first line asked for, so that making an iterator cannot fail.
    Closed,
    Open(BufReader<Take<File>>),
    Ended,
}

impl Lines {
    pub(super) fn new(path: PathBuf, limit: u64) -> Lines {
        Lines {
            path,
            file: Source::Closed,
            line: Vec::new(),
            number: 0,
            limit,
        }
    }

    /// The next line, its end included; `None` after the last. After an error there is none.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, RecordingError> {
        match self.read() {
            Ok(true) => Ok(Some(&self.line)),
            Ok(false) => {
                self.file = Source::Ended;
                Ok(None)
            }
            Err(error) => {
                self.file = Source::Ended;
                Err(error)
            }
        }
    }

    /// What to say of the line read last. Ends the file: nothing after it can be trusted.
    pub(super) fn corrupt(&mut self, reason: String) -> RecordingError {
        self.file = Source::Ended;
        RecordingError::Corrupt {
            path: self.path.clone(),
            line: self.number,
            reason,
        }
    }

    fn read(&mut self) -> Result<bool, RecordingError> {
        if matches!(self.file, Source::Closed) {
            self.file = open(&self.path)?;
        }
        let Source::Open(file) = &mut self.file else {
            return Ok(false);
        };
        self.line.clear();
        file.take(self.limit)
            .read_until(b'\n', &mut self.line)
            .map_err(RecordingError::io("read", &self.path))?;
        self.number += 1;
        let whole = self.line.ends_with(b"\n");
        if !whole && self.line.len() as u64 == self.limit {
            let reason = format!("it has more than {} bytes", self.limit);
            return Err(self.corrupt(reason));
        }
        Ok(whole)
    }
}

/// What is in the file now: one that grows meanwhile is read to where it ended.
fn open(path: &Path) -> Result<Source, RecordingError> {
    let open = || -> io::Result<Source> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Source::Open(BufReader::new(file.take(length))))
    };
    match open() {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(Source::Ended),
        opened => opened.map_err(RecordingError::io("read", path)),
    }
}

/// Whether the file's last line lacks its end.
pub(super) fn is_torn(path: &Path) -> Result<bool, RecordingError> {
    let last = || -> io::Result<u8> {
        let mut file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Ok(b'\n');
        }
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        Ok(last[0])
    };
    match last() {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
        last => Ok(last.map_err(RecordingError::io("read", path))? != b'\n'),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn all(text: &str, limit: u64) -> (Vec<String>, Option<RecordingError>) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("lines");
        fs::write(&path, text).expect("writable");
        let mut lines = Lines::new(path, limit);
        let mut found = Vec::new();
        loop {
            match lines.next() {
                Ok(Some(line)) => found.push(String::from_utf8_lossy(line).into_owned()),
                Ok(None) => return (found, None),
                Err(error) => {
                    assert!(matches!(lines.next(), Ok(None)), "an error is the end");
                    return (found, Some(error));
                }
            }
        }
    }

    #[test]
    fn a_line_without_its_end_is_none() {
        for (text, whole) in [("", 0), ("a", 0), ("a\n", 1), ("a\n\nb", 2), ("a\nb\n", 2)] {
            let (found, error) = all(text, 9);
            assert_eq!((found.len(), error.is_none()), (whole, true), "{text:?}");
        }
    }

    #[test]
    fn a_line_without_measure_is_refused_before_it_fills_memory() {
        let (found, error) = all("abc\nabcdefgh\nabc\n", 6);
        assert_eq!(found, ["abc\n"]);
        assert!(matches!(
            error,
            Some(RecordingError::Corrupt { line: 2, .. })
        ));
    }
}
