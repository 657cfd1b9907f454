//! `/proc/PID/maps`: one line a mapping.
//!
//! ```text
//! 7f0a1000-7f0b0000 r-xp 00026000 fe:01 1572 /usr/lib/libc.so.6 (deleted)
//! ```
//!
//! Paths are bytes, not text. The kernel writes a newline in one as `\012` and nothing else so.
//! A line that does not fit is left out: a picture with a hole serves better than none.

use serde::Serialize;

/// A range of a process's addresses, and what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Mapping {
    /// The first address.
    pub start: u64,
    /// The first address behind.
    pub end: u64,
    /// Which byte of the file is at `start`.
    pub file_offset: u64,
    /// Whether code may be executed there.
    pub executable: bool,
}

impl Mapping {
    /// Where the byte at `file_offset` of the file is mapped; none if it is not in this mapping.
    #[must_use]
    pub fn address_of(&self, file_offset: u64) -> Option<u64> {
        let from_start = file_offset.checked_sub(self.file_offset)?;
        (from_start < self.end - self.start).then(|| self.start + from_start)
    }
}

/// What stands behind a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Backing {
    File {
        /// Major and minor number of the device, and the inode.
        identity: (u32, u32, u64),
        path: Vec<u8>,
        deleted: bool,
    },
    /// `[vdso]` and the like: pages that the kernel wrote.
    Kernel,
    /// Heaps, stacks, and memory for code made at run time.
    Anonymous,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) mapping: Mapping,
    pub(super) backing: Backing,
}

/// The entries of a file `maps`, in its order, which is by address.
pub(super) fn parse(file: &[u8]) -> impl Iterator<Item = Entry> {
    file.split(|byte| *byte == b'\n').filter_map(parse_line)
}

fn parse_line(line: &[u8]) -> Option<Entry> {
    let mut rest = line;
    let (start, end) = pair(word(&mut rest)?, b'-')?;
    let permissions = word(&mut rest)?;
    let file_offset = hexadecimal(word(&mut rest)?)?;
    let (major, minor) = pair(word(&mut rest)?, b':')?;
    let inode = std::str::from_utf8(word(&mut rest)?).ok()?.parse().ok()?;
    let path = rest.trim_ascii_start();
    if end <= start {
        return None;
    }
    let mapping = Mapping {
        start,
        end,
        file_offset,
        executable: permissions.get(2) == Some(&b'x'),
    };
    let backing = if inode != 0 && path.first() == Some(&b'/') {
        let kept = path.strip_suffix(b" (deleted)");
        Backing::File {
            identity: (major.try_into().ok()?, minor.try_into().ok()?, inode),
            path: unescaped(kept.unwrap_or(path)),
            deleted: kept.is_some(),
        }
    } else if [&b"[vdso]"[..], b"[vsyscall]", b"[uprobes]"].contains(&path) {
        Backing::Kernel
    } else {
        Backing::Anonymous
    };
    Some(Entry { mapping, backing })
}

/// Takes the next word, up to a space.
fn word<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let text = rest.trim_ascii_start();
    let end = text
        .iter()
        .position(|byte| *byte == b' ')
        .unwrap_or(text.len());
    let (word, behind) = text.split_at(end);
    *rest = behind;
    (!word.is_empty()).then_some(word)
}

fn pair(text: &[u8], separator: u8) -> Option<(u64, u64)> {
    let at = text.iter().position(|byte| *byte == separator)?;
    Some((hexadecimal(&text[..at])?, hexadecimal(&text[at + 1..])?))
}

fn hexadecimal(text: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}

/// `\012` is a newline; all else is as it stands.
fn unescaped(path: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = memchr::memmem::find(rest, br"\012") {
        plain.extend_from_slice(&rest[..at]);
        plain.push(b'\n');
        rest = &rest[at + 4..];
    }
    plain.extend_from_slice(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::{Backing, parse};

    #[test]
    fn a_file_keeps_its_odd_name() {
        let line = b"00400000-00401000 r-xp 00001000 fe:01 42    /tmp/a b\xff\\012c (deleted)\n";
        let entry = parse(line).next().unwrap();
        assert_eq!(entry.mapping.address_of(0x1010), Some(0x400010));
        assert_eq!(entry.mapping.address_of(0x2000), None);
        assert_eq!(entry.mapping.address_of(0xfff), None);
        assert!(entry.mapping.executable);
        assert_eq!(
            entry.backing,
            Backing::File {
                identity: (0xfe, 1, 42),
                path: b"/tmp/a b\xff\nc".to_vec(),
                deleted: true
            }
        );
    }

    #[test]
    fn memory_without_a_file_and_the_kernels_pages_are_told_apart() {
        let maps = b"1000-2000 rwxp 00000000 00:00 0 \n\
            3000-4000 r-xp 00000000 00:00 0 [vdso]\n\
            5000-6000 rw-p 00000000 00:00 0 [heap]\n";
        let backings: Vec<Backing> = parse(maps).map(|entry| entry.backing).collect();
        assert_eq!(
            backings,
            [Backing::Anonymous, Backing::Kernel, Backing::Anonymous]
        );
    }

    #[test]
    fn lines_that_make_no_sense_are_left_out() {
        let maps = b"\nx\n2000-1000 r-xp 0 0:0 1 /a\n1-2 r\nzz-2000 r-xp 0 0:0 1 /a\n\
            1000-2000 r-xp 0 fe:01 99999999999999999999 /a";
        assert_eq!(parse(maps).count(), 0);
    }
}
