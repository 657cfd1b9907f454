//! Where code of this process lies in its file, which is how a user probe is placed.

/// A byte of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Openable by this process, even if the file was replaced or deleted meanwhile.
    pub path: String,
    /// In bytes from the file's start.
    pub offset: u64,
}

/// The place in a file from which the byte at this address of the calling process was mapped.
pub(super) fn place_of(address: u64) -> Option<Place> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    place_in(&maps, address, own_inode())
}

/// Inode of this process's executable. The path of a mapping is what the file was called when it
/// was mapped; `/proc/self/exe` leads to the file itself.
fn own_inode() -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    Some(std::fs::metadata("/proc/self/exe").ok()?.ino())
}

fn place_in(maps: &str, address: u64, own_inode: Option<u64>) -> Option<Place> {
    for line in maps.lines() {
        // Start-end, rights, offset, device, inode, and a path that may contain spaces.
        let mut words = line.splitn(6, ' ');
        let (start, end) = words.next()?.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        let (start, end) = (number(start)?, number(end)?);
        if !(start..end).contains(&address) {
            continue;
        }
        let offset = number(words.nth(1)?)?;
        let inode = words.nth(1)?.parse::<u64>().ok()?;
        let path = match own_inode {
            Some(own) if own == inode => "/proc/self/exe",
            _ => words.next()?.trim_start(),
        };
        return path.starts_with('/').then(|| Place {
            path: path.into(),
            offset: address - start + offset,
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
55e0d0000000-55e0d0010000 r--p 00000000 fe:00 1234                       /usr/bin/a program
55e0d0010000-55e0d0020000 r-xp 00010000 fe:00 1234                       /usr/bin/a program
7f0000000000-7f0000001000 rwxp 00000000 00:00 0 \n\
7f0000002000-7f0000003000 r-xp 00005000 fe:00 77                         /lib/x.so (deleted)
7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0                          [vdso]
";

    fn place(address: u64, own_inode: Option<u64>) -> Option<(String, u64)> {
        place_in(MAPS, address, own_inode).map(|place| (place.path, place.offset))
    }

    #[test]
    fn an_address_is_found_with_its_offset_in_the_file() {
        let found = place(0x55e0_d001_0123, None);
        assert_eq!(found, Some(("/usr/bin/a program".into(), 0x10123)));
    }

    #[test]
    fn the_executable_is_named_by_a_link_that_outlives_its_path() {
        let found = place(0x55e0_d001_0123, Some(1234));
        assert_eq!(found, Some(("/proc/self/exe".into(), 0x10123)));
    }

    #[test]
    fn memory_without_a_file_has_no_place() {
        assert_eq!(place(0x7f00_0000_0010, Some(1234)), None);
        assert_eq!(place(0x7ffd_0000_0010, None), None);
        assert_eq!(place(0x10, None), None);
        assert_eq!(place_in("nonsense", 0x10, None), None);
    }
}
