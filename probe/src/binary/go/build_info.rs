//! What a Go program says about its build: version, module, settings.
//!
//! The linker leaves a block that begins with a magic number, in section `.go.buildinfo` or, where
//! the section table is gone, somewhere in a data segment at a multiple of 16. Stripping leaves it.
//! From Go 1.18 on it holds two texts; before, pointers to two strings of the program (Go's
//! `debug/buildinfo`, whose rules these are). The second text is one of lines, between two
//! marks of 16 bytes:
//!
//! ```text
//! path    example.org/orders
//! mod     example.org/orders   (devel)
//! build   CGO_ENABLED=1
//! ```

use super::contents::Contents;
use super::{GoError, GoVersion};
use crate::binary::printable;
use serde::Serialize;

/// With what the block begins.
const MAGIC: &[u8] = b"\xff Go buildinf:";

/// The length of the block's head; texts begin behind it.
const HEAD: usize = 32;

/// The longest version and the longest list of modules that are read, in bytes.
const LONGEST_VERSION: u64 = 4 << 10;
const LONGEST_LIST: u64 = 4 << 20;

/// Settings that are kept: those that change what can be traced.
const SETTINGS: [&str; 9] = [
    "-buildmode",
    "-compiler",
    "-ldflags",
    "-race",
    "-asan",
    "-msan",
    "CGO_ENABLED",
    "GOARCH",
    "GOEXPERIMENT",
];

/// How a Go program was built. Texts are fit to be shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BuildInfo {
    /// The import path of its main package.
    pub package: Option<String>,
    /// The module that the main package is in.
    pub module: Option<String>,
    /// That module's version; `(devel)` where it was built from its folder.
    pub module_version: Option<String>,
    /// Build settings that matter here, by name. Empty before Go 1.18.
    pub settings: Vec<(String, String)>,
}

impl BuildInfo {
    /// The value of a build setting, such as `CGO_ENABLED`.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        let mut settings = self.settings.iter();
        let (_, value) = settings.find(|(have, _)| have == name)?;
        Some(value)
    }

    /// Takes the lines of the list of modules.
    fn parse(lines: &[u8]) -> Self {
        let mut info = BuildInfo::default();
        for line in lines.split(|byte| *byte == b'\n') {
            let mut fields = line.split(|byte| *byte == b'\t').map(printable);
            match (fields.next().as_deref(), fields.next()) {
                (Some("path"), package) => info.package = package,
                (Some("mod"), module) => {
                    info.module = module;
                    info.module_version = fields.next();
                }
                (Some("build"), Some(setting)) => {
                    let Some((name, value)) = setting.split_once('=') else {
                        continue;
                    };
                    if SETTINGS.contains(&name) && info.setting(name).is_none() {
                        // Values with spaces are quoted.
                        let value = value.trim_matches(|c| c == '"' || c == '`');
                        info.settings.push((name.to_owned(), value.to_owned()));
                    }
                }
                _ => {}
            }
        }
        info
    }
}

/// The version and the build of a program; none if it has no such block.
///
/// # Errors
///
/// There is a block whose texts are not within the file.
pub(super) fn read(contents: &Contents) -> Result<Option<(GoVersion, BuildInfo)>, GoError> {
    let in_section = contents
        .image
        .section(".go.buildinfo")
        .map(|section| section.address);
    let begins = |address: &u64| {
        let head = contents.exactly(*address, MAGIC.len() as u64);
        head.as_deref() == Some(MAGIC)
    };
    let block = in_section.filter(begins).or_else(|| {
        // A file whose sections have names and that has none of this name is no Go program, or an old
        // one: it is not looked through.
        let searched = contents
            .image
            .sections()
            .is_empty()
            .then(|| contents.places_of(MAGIC, 16, 1));
        searched?.first().copied()
    });
    let Some(block) = block else {
        return Ok(None);
    };
    let damaged = |reason: &str| GoError::Damaged {
        part: "build information",
        reason: reason.to_owned(),
    };
    let head = contents
        .exactly(block, HEAD as u64)
        .ok_or_else(|| damaged("its head is cut off"))?;
    let flags = head[15];
    let (version, list) = if flags & 2 != 0 {
        let rest = contents
            .up_to(block + HEAD as u64, LONGEST_VERSION + LONGEST_LIST)
            .ok_or_else(|| damaged("its texts are cut off"))?;
        let (version, rest) = text(&rest, LONGEST_VERSION)
            .ok_or_else(|| damaged("its version is not within the segment"))?;
        let (list, _) = text(rest, LONGEST_LIST)
            .ok_or_else(|| damaged("its list of modules is not within the segment"))?;
        (version.to_vec(), list.to_vec())
    } else {
        if head[14] != 8 || flags & 1 != 0 {
            return Err(damaged("pointers that are not of 64 bits, little-endian"));
        }
        let string = |at: u64, most| {
            let head = contents.pointer(block + at)?;
            match head {
                0 => Some(Vec::new()),
                _ => contents.string(head, most),
            }
        };
        let version = string(16, LONGEST_VERSION)
            .ok_or_else(|| damaged("its version is not within the file"))?;
        (version, string(24, LONGEST_LIST).unwrap_or_default())
    };
    if version.is_empty() {
        return Ok(None);
    }
    Ok(Some((
        GoVersion::parse(&version),
        BuildInfo::parse(without_marks(&list)),
    )))
}

/// The list between its two marks; nothing if they are not there.
fn without_marks(list: &[u8]) -> &[u8] {
    if list.len() < 33 || list[list.len() - 17] != b'\n' {
        return &[];
    }
    &list[16..list.len() - 16]
}

/// A text with its length in front (a varint), and what follows it.
fn text(bytes: &[u8], most: u64) -> Option<(&[u8], &[u8])> {
    let (length, rest) = varint(bytes)?;
    if length > most {
        return None;
    }
    rest.split_at_checked(length as usize)
}

/// A number of 7 bits a byte, lowest first, and what follows it.
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(9).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{BuildInfo, varint, without_marks};

    #[test]
    fn what_matters_of_a_build_is_kept() {
        let info = BuildInfo::parse(
            b"path\texample.org/orders/cmd\nmod\texample.org/orders\t(devel)\t\ndep\ta\tv1\n\
              build\t-compiler=gc\nbuild\t-ldflags=\"-s -w\"\nbuild\tCGO_ENABLED=0\nbuild\tvcs.time=x\nbuild\n",
        );
        assert_eq!(info.package.as_deref(), Some("example.org/orders/cmd"));
        assert_eq!(info.module.as_deref(), Some("example.org/orders"));
        assert_eq!(info.module_version.as_deref(), Some("(devel)"));
        assert_eq!(info.setting("-ldflags"), Some("-s -w"));
        assert_eq!(info.setting("CGO_ENABLED"), Some("0"));
        assert_eq!(info.setting("vcs.time"), None);
    }

    #[test]
    fn a_list_without_its_marks_is_not_believed() {
        let marks = [b'x'; 16];
        let whole = [&marks[..], b"path\ta\n", &marks].concat();
        assert_eq!(without_marks(&whole), b"path\ta\n");
        assert_eq!(without_marks(&whole[..whole.len() - 1]), b"");
        assert_eq!(without_marks(b""), b"");
    }

    #[test]
    fn numbers_of_seven_bits_a_byte_end() {
        assert_eq!(varint(&[0x05, 9]), Some((5, &[9][..])));
        assert_eq!(varint(&[0x80, 0x01]), Some((128, &[][..])));
        assert_eq!(varint(&[0x80; 20]), None);
        assert_eq!(varint(&[]), None);
    }
}
