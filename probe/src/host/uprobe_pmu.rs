//! How this kernel wants a user probe to be written into a perf event.
//!
//! `perf_event_open(2)` attaches user probes without tracefs: their type of event, and the bits of
//! its `config` word, stand in sysfs, readable by everybody.

use std::fs;
use std::path::{Path, PathBuf};

/// Type and format of user probes as perf events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UprobePmu {
    /// For `perf_event_attr.type`.
    pub event_type: u32,
    /// The bit of `config` that makes a probe one of the function's return.
    pub return_bit: u64,
    /// How far left in `config` the offset of a static probe's semaphore goes; `None` on kernels
    /// (before 4.20) that cannot raise semaphores.
    pub semaphore_shift: Option<u32>,
}

/// Why user probes cannot be perf events here.
#[derive(Debug, thiserror::Error)]
pub enum UprobePmuError {
    /// The kernel has no user probes.
    #[error(
        "the kernel has no user probes: cannot read {path}: {error}; \
         a kernel built with CONFIG_UPROBE_EVENTS=y has them"
    )]
    Absent {
        /// The file that is missing.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Sysfs says something that this reader does not understand.
    #[error("{path} holds {text:?}, which is not understood; a newer tailcut may")]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What it holds.
        text: String,
    },
}

impl UprobePmu {
    /// What the running kernel says.
    ///
    /// # Errors
    /// If it has no user probes, or describes them in a way not known here.
    pub fn read() -> Result<Self, UprobePmuError> {
        Self::read_in(Path::new("/sys/bus/event_source/devices/uprobe"))
    }

    fn read_in(folder: &Path) -> Result<Self, UprobePmuError> {
        let event_type = read_as(&folder.join("type"), |text| text.parse().ok())?;
        let return_bit = read_as(&folder.join("format/retprobe"), |text| {
            let bit = text.strip_prefix("config:")?.parse().ok()?;
            1_u64.checked_shl(bit)
        })?;
        let semaphore = folder.join("format/ref_ctr_offset");
        let semaphore_shift = match read_as(&semaphore, |text| {
            let (first, last) = text.strip_prefix("config:")?.split_once('-')?;
            let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
            (first < last && last < 64).then_some(first)
        }) {
            Ok(shift) => Some(shift),
            Err(UprobePmuError::Absent { .. }) => None,
            Err(unknown) => return Err(unknown),
        };
        Ok(Self {
            event_type,
            return_bit,
            semaphore_shift,
        })
    }
}

fn read_as<T>(path: &Path, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, UprobePmuError> {
    let text = fs::read_to_string(path).map_err(|error| UprobePmuError::Absent {
        path: path.into(),
        error,
    })?;
    parse(text.trim()).ok_or_else(|| UprobePmuError::Unknown {
        path: path.into(),
        text: text.trim().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("format")).unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn type_and_bits_are_read_as_the_kernel_writes_them() {
        let folder = folder(&[
            ("type", "9\n"),
            ("format/retprobe", "config:0\n"),
            ("format/ref_ctr_offset", "config:32-63\n"),
        ]);
        let pmu = UprobePmu::read_in(folder.path()).unwrap();
        let expected = UprobePmu {
            event_type: 9,
            return_bit: 1,
            semaphore_shift: Some(32),
        };
        assert_eq!(pmu, expected);
    }

    #[test]
    fn a_kernel_without_semaphores_still_has_probes() {
        let folder = folder(&[("type", "7\n"), ("format/retprobe", "config:3\n")]);
        let pmu = UprobePmu::read_in(folder.path()).unwrap();
        assert_eq!((pmu.return_bit, pmu.semaphore_shift), (8, None));
    }

    #[test]
    fn absent_and_unknown_are_told_apart() {
        let empty = folder(&[]);
        let error = UprobePmu::read_in(empty.path()).unwrap_err().to_string();
        assert!(error.contains("CONFIG_UPROBE_EVENTS"), "{error}");
        let odd = folder(&[("type", "9\n"), ("format/retprobe", "config:99\n")]);
        let error = UprobePmu::read_in(odd.path()).unwrap_err().to_string();
        assert!(error.contains("config:99"), "{error}");
    }
}
