//! Writes what happens beside the requests: by somebody else than the [`Writer`](super::Writer) of the requests.

use std::path::{Path, PathBuf};

use super::appender::Appender;
use super::writer::append_lines;
use super::{MARK_FILE, Mark, RESOURCE_FILE, RecordingError, ResourceSample};

/// Writes marks and samples of resources into a recording's folder; each file is made when its first line
/// comes.
///
/// Samples may come while a [`Writer`](super::Writer) records requests, as long as that one is given none;
/// marks only when it has finished, since it may have marks of its own.
#[derive(Debug)]
pub struct BesideWriter {
    dir: PathBuf,
    marks: Option<Appender>,
    resources: Option<Appender>,
    lines: Vec<u8>,
}

impl BesideWriter {
    /// Into this folder, which must be there when the first line comes.
    #[must_use]
    pub fn new(dir: &Path) -> BesideWriter {
        BesideWriter {
            dir: dir.to_path_buf(),
            marks: None,
            resources: None,
            lines: Vec::new(),
        }
    }

    /// Appends marks; they are in the file when this returns. None is a no-op.
    ///
    /// # Errors
    /// [`RecordingError::Io`] when the file cannot take them, in which case none of them stays.
    pub fn marks(&mut self, marks: &[Mark]) -> Result<(), RecordingError> {
        if marks.is_empty() {
            return Ok(());
        }
        let file = opened(&mut self.marks, &self.dir, MARK_FILE)?;
        append_lines(file, &mut self.lines, marks)
    }

    /// Appends samples of the target's resources; they are in the file when this returns.
    ///
    /// # Errors
    /// As [`BesideWriter::marks`].
    pub fn resources(&mut self, samples: &[ResourceSample]) -> Result<(), RecordingError> {
        if samples.is_empty() {
            return Ok(());
        }
        let file = opened(&mut self.resources, &self.dir, RESOURCE_FILE)?;
        append_lines(file, &mut self.lines, samples)
    }

    /// Makes what was written durable.
    ///
    /// # Errors
    /// [`RecordingError::Io`].
    pub fn finish(self) -> Result<(), RecordingError> {
        for file in [&self.marks, &self.resources] {
            file.as_ref().map_or(Ok(()), Appender::sync)?;
        }
        Ok(())
    }
}

fn opened<'f>(
    file: &'f mut Option<Appender>,
    dir: &Path,
    name: &str,
) -> Result<&'f mut Appender, RecordingError> {
    match file {
        Some(open) => Ok(open),
        empty => Ok(empty.insert(Appender::open(dir.join(name))?)),
    }
}
