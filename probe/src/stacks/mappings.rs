//! The executable mappings of a process: which file lies at which address.
//!
//! Costs one reading of `/proc/PID/maps`: 20 us for a small program, 1 ms for a thousand mappings.

use super::error::StacksError;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// A process may have very many mappings; more text than this is not read (the kernel's default
/// limit of 65,530 mappings makes about 8 MiB).
const MAX_MAPS_BYTES: u64 = 32 << 20;

/// Executable mappings that are kept. More can only be code made at run time.
const MAX_MAPPINGS: usize = 16_384;

/// A piece of executable memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// Address after the last.
    pub end: u64,
    /// Offset in the file of the byte at `start`.
    pub file_offset: u64,
    /// A path by which this process can open the file, also when the target lives in another mount
    /// namespace or the file has been deleted. Empty where there is no file.
    pub path: PathBuf,
    /// The name as the target sees it (`/usr/lib/libc.so.6`, `[vdso]`); empty for anonymous memory.
    pub name: String,
    /// Inode of the file, 0 where there is none. A file that is opened by its name is taken only if
    /// it is still this one.
    pub inode: u64,
}

impl Mapping {
    /// Whether a file (or the kernel's vdso) stands behind it.
    pub fn has_image(&self) -> bool {
        self.inode != 0 || self.is_vdso()
    }

    /// Whether it is the code that the kernel maps into every process.
    pub fn is_vdso(&self) -> bool {
        self.name == "[vdso]"
    }

    /// The path under `/proc/PID/root`, for those who may not open `map_files`.
    pub(super) fn path_by_name(&self, pid: u32) -> Option<PathBuf> {
        let name = self.name.strip_prefix('/')?;
        Some(PathBuf::from(format!("/proc/{pid}/root")).join(name))
    }
}

/// The executable mappings of a process, by rising address.
///
/// # Errors
/// [`StacksError::Maps`] if the process is gone or may not be read, [`StacksError::NoMemory`] for a
/// kernel thread.
pub fn mappings(pid: u32) -> Result<Vec<Mapping>, StacksError> {
    let failed = |source| StacksError::Maps { pid, source };
    let file = File::open(format!("/proc/{pid}/maps")).map_err(failed)?;
    let mut reader = BufReader::with_capacity(64 << 10, file.take(MAX_MAPS_BYTES));
    let mut mappings = Vec::new();
    let mut line = Vec::new();
    while mappings.len() < MAX_MAPPINGS {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(failed)? == 0 {
            break;
        }
        mappings.extend(parse_line(pid, line.strip_suffix(b"\n").unwrap_or(&line)));
    }
    if mappings.is_empty() {
        Err(StacksError::NoMemory { pid })
    } else {
        Ok(mappings)
    }
}

/// One line: `start-end perms offset device inode   name`. `None` if it is not executable, or not
/// of this form.
fn parse_line(pid: u32, line: &[u8]) -> Option<Mapping> {
    let mut fields = line.splitn(6, |byte| *byte == b' ');
    let mut field = || {
        fields
            .next()
            .and_then(|field| std::str::from_utf8(field).ok())
    };
    let range = field()?;
    if field()?.as_bytes().get(2) != Some(&b'x') {
        return None;
    }
    let file_offset = u64::from_str_radix(field()?, 16).ok()?;
    field()?;
    let inode = field()?.parse().ok()?;
    let (start, end) = range.split_once('-')?;
    let path = format!("/proc/{pid}/map_files/{start}-{end}");
    let (start, end) = (
        u64::from_str_radix(start, 16).ok()?,
        u64::from_str_radix(end, 16).ok()?,
    );
    if start >= end {
        return None;
    }
    let name = fields.next().unwrap_or_default().trim_ascii_start();
    Some(Mapping {
        start,
        end,
        file_offset,
        path: if inode == 0 {
            PathBuf::new()
        } else {
            path.into()
        },
        name: OsStr::from_bytes(name).to_string_lossy().into_owned(),
        inode,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_maps_is_read_with_spaces_in_its_name() {
        let line = b"7f00aa000-7f00ab000 r-xp 00002000 fe:01 4711                    /opt/my app/lib.so (deleted)";
        let mapping = parse_line(9, line).unwrap();
        assert_eq!((mapping.start, mapping.end), (0x7_f00a_a000, 0x7_f00a_b000));
        assert_eq!((mapping.file_offset, mapping.inode), (0x2000, 4711));
        assert_eq!(mapping.name, "/opt/my app/lib.so (deleted)");
        assert_eq!(
            mapping.path,
            PathBuf::from("/proc/9/map_files/7f00aa000-7f00ab000")
        );
    }

    #[test]
    fn memory_that_is_not_executable_or_not_of_the_form_is_left_out() {
        for line in [
            &b"7f00aa000-7f00ab000 rw-p 00002000 fe:01 4711 /lib.so"[..],
            b"7f00ab000-7f00aa000 r-xp 0 0:0 0 ",
            b"7f00ab000 r-xp 0 0:0 0 ",
            b"zz-7f00aa000 r-xp 0 0:0 0 ",
            b"7f00aa000-7f00ab000 r-x",
            b"",
            b"\xff\xfe \xff",
        ] {
            assert_eq!(parse_line(1, line), None);
        }
    }

    #[test]
    fn the_mappings_of_this_process_hold_its_own_code() {
        let here = the_mappings_of_this_process_hold_its_own_code as *const () as u64;
        let mappings = mappings(std::process::id()).unwrap();
        let own = mappings
            .iter()
            .find(|mapping| (mapping.start..mapping.end).contains(&here))
            .unwrap();
        assert!(own.has_image() && own.name.starts_with('/'));
        assert!(mappings.is_sorted_by_key(|mapping| mapping.start));
    }

    #[test]
    fn a_process_that_is_gone_is_an_error_that_says_so() {
        let error = mappings(u32::MAX).unwrap_err().to_string();
        assert!(
            error.contains("4294967295") && error.contains("exited"),
            "{error}"
        );
    }
}
