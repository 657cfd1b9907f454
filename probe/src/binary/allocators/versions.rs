//! An allocator's version, read from its file: nothing in the process is called.

use super::catalogue::Family;
use crate::binary::elf::{CLibrary, ElfError, Image};
use memchr::memmem;

/// The version of the allocator `family` in `image`, whose function `mi_version`, where there is
/// one, is at `mi_version`.
pub(super) fn version(
    image: &Image,
    family: Family,
    mi_version: Option<u64>,
) -> Result<Option<String>, ElfError> {
    Ok(match family {
        Family::Glibc | Family::Musl => match image.c_library()? {
            Some(CLibrary::Glibc { version } | CLibrary::Musl { version }) => version,
            None => None,
        },
        Family::Jemalloc => jemalloc(&image.constants()?),
        Family::Tcmalloc => gperftools(&image.constants()?),
        Family::Mimalloc => match mi_version {
            Some(address) => mimalloc(&image.bytes_at(address, 16)?),
            None => None,
        },
        Family::RustGlobal | Family::Other => None,
    })
}

/// `5.3.0-0-g54eaed1d8b56b1aa528be3bdd1877e59c56fa90c`: what `mallctl("version")` gives.
fn jemalloc(constants: &[u8]) -> Option<String> {
    memmem::find_iter(constants, b"-g").find_map(|at| {
        let commit = constants.get(at + 2..at + 42)?;
        if !commit.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let before = &constants[at.saturating_sub(24)..at];
        let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
        let start = before
            .iter()
            .rposition(|byte| !is_part(byte))
            .map_or(0, |end| end + 1);
        let text = std::str::from_utf8(&before[start..]).ok()?;
        let (version, commits_since) = text.split_once('-')?;
        (version.split('.').count() == 3 && !commits_since.is_empty()).then(|| version.to_owned())
    })
}

/// `gperftools 2.10`.
fn gperftools(constants: &[u8]) -> Option<String> {
    let at = memmem::find(constants, b"gperftools ")?;
    let rest = &constants[at..constants.len().min(at + 32)];
    let end = rest.iter().position(|byte| *byte == 0)?;
    let text = std::str::from_utf8(&rest[..end]).ok()?;
    text.ends_with(|c: char| c.is_ascii_digit())
        .then(|| text.to_owned())
}

/// The number that `mi_version` returns, from its code: `mov eax, NUMBER; ret`.
fn mimalloc(code: &[u8]) -> Option<String> {
    let code = code.strip_prefix(&[0xf3, 0x0f, 0x1e, 0xfa]).unwrap_or(code);
    let [0xb8, a, b, c, d, 0xc3, ..] = *code else {
        return None;
    };
    let number = u32::from_le_bytes([a, b, c, d]);
    // 209 is 2.0.9; from five digits on, 20206 is 2.2.6.
    let (large, small) = if number < 1000 {
        (100, 10)
    } else {
        (10_000, 100)
    };
    Some(format!(
        "{}.{}.{}",
        number / large,
        number % large / small,
        number % small
    ))
}

#[cfg(test)]
mod tests {
    use super::{gperftools, jemalloc, mimalloc};

    #[test]
    fn versions_are_read_where_they_stand() {
        let constants =
            b"x-gy\x005.3.0-0-g54eaed1d8b56b1aa528be3bdd1877e59c56fa90c\0gperftools 2.10\0";
        assert_eq!(jemalloc(constants).as_deref(), Some("5.3.0"));
        assert_eq!(gperftools(constants).as_deref(), Some("gperftools 2.10"));
        assert_eq!(
            mimalloc(&[0xb8, 209, 0, 0, 0, 0xc3]).as_deref(),
            Some("2.0.9")
        );
        let five_digits = [0xf3, 0x0f, 0x1e, 0xfa, 0xb8, 0xee, 0x4e, 0, 0, 0xc3];
        assert_eq!(mimalloc(&five_digits).as_deref(), Some("2.2.6"));
    }

    #[test]
    fn what_is_no_version_is_none() {
        assert_eq!(
            jemalloc(b"-g54eaed1d8b56b1aa528be3bdd1877e59c56fa90c"),
            None
        );
        assert_eq!(jemalloc(b"1.2.3-g"), None);
        assert_eq!(gperftools(b"gperftools "), None);
        assert_eq!(mimalloc(&[0x55, 0x48]), None);
    }
}
