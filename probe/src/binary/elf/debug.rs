//! Where fields are within structures, from a file's debug information (DWARF).
//!
//! Asked with the names of structures, answered with the distances of their fields. Only entries of
//! structures and their fields are looked at. Sections may be compressed, as Go's linker leaves them: by
//! `SHF_COMPRESSED`, or in the older form with names that begin with `.zdebug`. Read by crate `gimli`,
//! versions 2 to 5.
//!
//! Cost: all debug information is decompressed, and gone through up to the last structure that is
//! wanted: some 10 ms a MB.

use super::{Image, Section};
use flate2::read::ZlibDecoder;
use gimli::{
    Abbreviations, DebugAbbrev, DebugInfo, DebugLineStr, DebugStr, EndianSlice, LittleEndian,
    Reader, UnitHeader,
};
use object::elf::{ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD};
use std::collections::BTreeMap;
use std::io::Read;

/// The longest section after decompression.
const LONGEST: u64 = 256 << 20;

/// More fields than any structure has that is asked for.
const MOST_FIELDS: usize = 4096;

type Bytes<'a> = EndianSlice<'a, LittleEndian>;

/// Why structures cannot be looked up.
#[derive(Debug, thiserror::Error)]
pub enum DebugError {
    /// The file was stripped, or linked without (`-ldflags=-w` of Go).
    #[error("it has no debug information (DWARF)")]
    None,
    /// It is in a form that we do not read.
    #[error("its debug information is compressed in a form that is not supported ({0})")]
    Compression(String),
    /// The file cannot be read.
    #[error("its debug information cannot be read: {0}")]
    Elf(#[from] super::ElfError),
    /// It does not follow its form.
    #[error("its debug information is damaged: {0}")]
    Damaged(String),
}

/// A structure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Structure {
    /// Its length in bytes.
    pub length: u64,
    /// How far each field is from its beginning, in bytes, by name.
    pub fields: BTreeMap<String, u64>,
}

/// Looks up the structures called `wanted`; those that are not described are not in the answer.
///
/// # Errors
///
/// There is no debug information, or it cannot be read. What was found before a damaged
/// part is given without an error.
pub fn structures(
    image: &Image,
    wanted: &[&str],
) -> Result<BTreeMap<String, Structure>, DebugError> {
    let info = section(image, "info")?.ok_or(DebugError::None)?;
    let abbreviations = section(image, "abbrev")?.ok_or(DebugError::None)?;
    let strings = section(image, "str")?.unwrap_or_default();
    let line_strings = section(image, "line_str")?.unwrap_or_default();
    let search = Search {
        wanted,
        strings: DebugStr::new(&strings, LittleEndian),
        line_strings: DebugLineStr::new(&line_strings, LittleEndian),
    };
    let abbreviations = DebugAbbrev::new(&abbreviations, LittleEndian);
    let mut found = BTreeMap::new();
    let result = search.units(
        &DebugInfo::new(&info, LittleEndian),
        &abbreviations,
        &mut found,
    );
    match result {
        Err(error) if found.is_empty() => Err(DebugError::Damaged(error.to_string())),
        _ => Ok(found),
    }
}

struct Search<'a> {
    wanted: &'a [&'a str],
    strings: DebugStr<Bytes<'a>>,
    line_strings: DebugLineStr<Bytes<'a>>,
}

impl<'a> Search<'a> {
    fn units(
        &self,
        info: &DebugInfo<Bytes<'a>>,
        abbreviations: &DebugAbbrev<Bytes<'a>>,
        found: &mut BTreeMap<String, Structure>,
    ) -> gimli::Result<()> {
        let mut units = info.units();
        // Units share few tables of abbreviations: Go has one for all.
        let mut parsed: BTreeMap<usize, Abbreviations> = BTreeMap::new();
        while let Some(unit) = units.next()? {
            let at = unit.debug_abbrev_offset();
            if let std::collections::btree_map::Entry::Vacant(entry) = parsed.entry(at.0) {
                entry.insert(abbreviations.abbreviations(at)?);
            }
            self.unit(&unit, &parsed[&at.0], found)?;
            if found.len() == self.wanted.len() {
                break;
            }
        }
        Ok(())
    }

    fn unit(
        &self,
        unit: &UnitHeader<Bytes<'a>>,
        abbreviations: &Abbreviations,
        found: &mut BTreeMap<String, Structure>,
    ) -> gimli::Result<()> {
        let mut entries = unit.entries_raw(abbreviations, None)?;
        // The structure whose fields come now, and their depth.
        let mut inside: Option<(String, Structure, isize)> = None;
        while !entries.is_empty() {
            if inside
                .as_ref()
                .is_some_and(|(.., depth)| entries.next_depth() < *depth)
                && let Some((name, structure, _)) = inside.take()
            {
                found.entry(name).or_insert(structure);
                if found.len() == self.wanted.len() {
                    return Ok(());
                }
            }
            let depth = entries.next_depth();
            let Some(abbreviation) = entries.read_abbreviation()? else {
                continue;
            };
            let is_field = abbreviation.tag() == gimli::DW_TAG_member
                && inside.as_ref().is_some_and(|(.., fields)| depth == *fields);
            let is_structure = abbreviation.tag() == gimli::DW_TAG_structure_type
                && abbreviation.has_children()
                && inside.is_none();
            if !is_field && !is_structure {
                entries.skip_attributes(abbreviation.attributes())?;
                continue;
            }
            let mut name = None;
            let mut number = None;
            for specification in abbreviation.attributes() {
                let attribute = entries.read_attribute(*specification)?;
                match attribute.name() {
                    gimli::DW_AT_name => name = self.text(&attribute.value()),
                    gimli::DW_AT_byte_size if is_structure => number = attribute.udata_value(),
                    gimli::DW_AT_data_member_location if is_field => {
                        number = member_location(&attribute.value());
                    }
                    _ => {}
                }
            }
            let Some(name) = name else { continue };
            if is_structure {
                let is_wanted = self
                    .wanted
                    .iter()
                    .any(|wanted| wanted.as_bytes() == name.slice());
                if let Some(length) = number.filter(|_| is_wanted) {
                    let fields = BTreeMap::new();
                    let name = String::from_utf8_lossy(name.slice()).into_owned();
                    inside = Some((name, Structure { length, fields }, depth + 1));
                }
            } else if let (Some((_, structure, _)), Some(at)) = (&mut inside, number)
                && structure.fields.len() < MOST_FIELDS
            {
                let name = String::from_utf8_lossy(name.slice()).into_owned();
                structure.fields.entry(name).or_insert(at);
            }
        }
        if let Some((name, structure, _)) = inside {
            found.entry(name).or_insert(structure);
        }
        Ok(())
    }

    fn text(&self, value: &gimli::AttributeValue<Bytes<'a>>) -> Option<Bytes<'a>> {
        match value {
            gimli::AttributeValue::DebugLineStrRef(at) => self.line_strings.get_str(*at).ok(),
            value => value.string_value(&self.strings),
        }
    }
}

/// A field's distance: a number, or (DWARF 2, and Go up to its version 4) an expression that adds one.
fn member_location<R: Reader>(value: &gimli::AttributeValue<R>) -> Option<u64> {
    match value {
        gimli::AttributeValue::Exprloc(expression) => {
            let mut bytes = expression.0.clone();
            let operation = bytes.read_u8().ok()?;
            (operation == gimli::DW_OP_plus_uconst.0)
                .then(|| bytes.read_uleb128().ok())
                .flatten()
        }
        value => value.udata_value(),
    }
}

/// The section `.debug_NAME`, decompressed. None if the file has none.
fn section(image: &Image, name: &str) -> Result<Option<Vec<u8>>, DebugError> {
    if let Some(section) = image.section(&format!(".debug_{name}")) {
        return Ok(Some(contents(image, section)?));
    }
    let Some(section) = image.section(&format!(".zdebug_{name}")) else {
        return Ok(None);
    };
    let bytes = image.contents(section)?;
    match bytes.strip_prefix(b"ZLIB") {
        Some(rest) if rest.len() >= 8 => Ok(Some(inflated(&rest[8..])?)),
        _ => Err(DebugError::Damaged(format!("the head of .zdebug_{name}"))),
    }
}

fn contents(image: &Image, section: &Section) -> Result<Vec<u8>, DebugError> {
    let bytes = image.contents(section)?;
    if !section.compressed {
        return Ok(bytes);
    }
    // Elf64_Chdr: how, and the length and alignment after decompression.
    let Some((head, rest)) = bytes.split_at_checked(24) else {
        return Err(DebugError::Damaged(format!("the head of {}", section.name)));
    };
    match u32::from_le_bytes([head[0], head[1], head[2], head[3]]) {
        ELFCOMPRESS_ZLIB => inflated(rest),
        ELFCOMPRESS_ZSTD => Err(DebugError::Compression("zstd".to_owned())),
        other => Err(DebugError::Compression(format!("number {other}"))),
    }
}

fn inflated(bytes: &[u8]) -> Result<Vec<u8>, DebugError> {
    let mut whole = Vec::new();
    ZlibDecoder::new(bytes)
        .take(LONGEST + 1)
        .read_to_end(&mut whole)
        .map_err(|error| DebugError::Damaged(format!("decompression: {error}")))?;
    if whole.len() as u64 > LONGEST {
        return Err(DebugError::Damaged("longer than 256 MiB".to_owned()));
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::{DebugError, structures};
    use crate::binary::elf::Image;

    const SOURCE: &str = "
        struct other { int first; int second; };
        struct order { char first; long second; struct other third[2]; struct { char inner; } fourth; };
        struct order order;
        int main(void) { return order.first; }";

    #[test]
    fn fields_are_where_the_compiler_puts_them_in_every_version_and_compression() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("fields.c");
        std::fs::write(&source, SOURCE).unwrap();
        for flags in [
            ["-gdwarf-2", "-gz=none"],
            ["-gdwarf-4", "-gz=none"],
            ["-gdwarf-5", "-gz=none"],
            ["-gdwarf-4", "-gz=zlib"],
            ["-gdwarf-5", "-gz=zlib"],
        ] {
            let program = folder.path().join("fields");
            let status = std::process::Command::new("cc")
                .args(flags)
                .arg("-gstrict-dwarf")
                .arg(&source)
                .arg("-o")
                .arg(&program)
                .status();
            assert!(status.unwrap().success(), "{flags:?}");
            let image = Image::open(&program).unwrap();
            let found = structures(&image, &["order", "missing"]).unwrap();
            let order = &found["order"];
            assert_eq!(order.length, 40, "{flags:?}");
            let fields: Vec<(&str, u64)> = order
                .fields
                .iter()
                .map(|(name, at)| (name.as_str(), *at))
                .collect();
            let expected = [("first", 0), ("fourth", 32), ("second", 8), ("third", 16)];
            assert_eq!(fields, expected, "{flags:?}");
            assert_eq!(found.len(), 1, "{flags:?}");
        }
    }

    #[test]
    fn a_program_without_debug_information_says_so() {
        let image = Image::open(std::path::Path::new("/bin/true")).unwrap();
        let error = structures(&image, &["x"]).unwrap_err();
        assert!(matches!(error, DebugError::None), "{error}");
    }
}
