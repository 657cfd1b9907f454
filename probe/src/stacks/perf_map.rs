//! Names of code made at run time, from the file that JIT compilers write for `perf`:
//! `/tmp/perf-PID.map`, one line `START SIZE name` for each function, in hexadecimal.
//!
//! The file is opened when a stack first leads into such code, so that it can still be read when
//! the process has gone. It lies in a folder where anybody may write: it is taken only if it is a
//! regular file of the process's own user, and read as a stream. Costs no memory but the names that
//! were asked for, and about 0.1 s for each 10 MiB.

use super::modules::open_regular;
use super::text;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// More of the file is not read.
const MAX_BYTES: u64 = 512 << 20;

/// Longer lines are skipped.
const MAX_LINE: u64 = 8 << 10;

/// Opens the perf map of a process.
///
/// # Errors
/// If there is none, or it is not the process's.
pub(super) fn open(pid: u32) -> io::Result<File> {
    let inside = pid_inside(pid).unwrap_or(pid);
    let path = PathBuf::from(format!("/proc/{pid}/root/tmp/perf-{inside}.map"));
    let file = open_regular(&path)?;
    if file.metadata()?.uid() == std::fs::metadata(format!("/proc/{pid}"))?.uid() {
        Ok(file)
    } else {
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "another user's file",
        ))
    }
}

/// The process's number in its own namespace, by which it names its file.
fn pid_inside(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let numbers = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?;
    numbers.split_whitespace().last()?.parse().ok()
}

/// The names at some addresses. A later line replaces an earlier one: compilers append when they
/// compile again.
pub(super) fn names(mut file: &File, addresses: &[u64]) -> HashMap<u64, String> {
    let mut wanted = addresses.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    if file.seek(SeekFrom::Start(0)).is_err() {
        return HashMap::new();
    }
    names_in(BufReader::new(file.take(MAX_BYTES)), &wanted)
}

fn names_in(mut reader: impl BufRead, wanted: &[u64]) -> HashMap<u64, String> {
    let mut names = HashMap::new();
    let mut line = Vec::new();
    let mut whole = true;
    loop {
        line.clear();
        match reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(1..) => {}
            Ok(0) | Err(_) => return names,
        }
        let starts_a_line = std::mem::replace(&mut whole, line.ends_with(b"\n"));
        if !starts_a_line {
            continue;
        }
        if let Some((start, size, name)) = parse(&line) {
            let first = wanted.partition_point(|address| *address < start);
            for address in wanted[first..]
                .iter()
                .take_while(|address| **address - start < size)
            {
                names.insert(*address, text::clean(&String::from_utf8_lossy(name)));
            }
        }
    }
}

fn parse(line: &[u8]) -> Option<(u64, u64, &[u8])> {
    let mut fields = line.trim_ascii_end().splitn(3, |byte| *byte == b' ');
    let mut number = || {
        let digits = std::str::from_utf8(fields.next()?).ok()?;
        u64::from_str_radix(digits.trim_start_matches("0x"), 16).ok()
    };
    let (start, size) = (number()?, number()?);
    let name = fields.next().filter(|name| !name.is_empty())?;
    Some((start, size, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_covers_an_address_names_it() {
        let map =
            b"1000 20 first\n1000 20 LazyCompile:~again file.js:3\n2000 8 other\n\nbroken line\n";
        let names = names_in(&map[..], &[0xfff, 0x1000, 0x101f, 0x1020, 0x2007, u64::MAX]);
        assert_eq!(names.len(), 3);
        assert_eq!(names[&0x101f], "LazyCompile:~again file.js:3");
        assert_eq!(names[&0x2007], "other");
    }

    #[test]
    fn hostile_lines_are_skipped() {
        let mut map = b"ffffffffffffffff ffffffffffffffff wraps\n1000 ".to_vec();
        map.extend(vec![b'0'; 100_000]);
        map.extend(b"20 1000 20 inside-a-long-line\n1000 20 \x1b[2Jclear\xff\n1000 20\n-1 5 x\n");
        let names = names_in(&map[..], &[0x1000]);
        assert_eq!(names[&0x1000], "\u{fffd}[2Jclear\u{fffd}");
    }

    #[test]
    fn the_file_must_belong_to_the_process() {
        assert!(
            open(std::process::id()).is_err(),
            "this test writes no perf map"
        );
        assert!(open(u32::MAX).is_err());
    }
}
