//! From the address of a type's description to the type's name.
//!
//! Allocations carry a pointer to the description of what is allocated (`*runtime._type`, from Go
//! 1.21 on `*abi.Type`). Its head has kept its form since Go 1.7 on processors of 64 bits: flags at
//! byte 20, the place of the name at byte 40, counted from where all types begin. A name is one byte of
//! flags, the length (two bytes, highest first, up to Go 1.16; a varint since), and the text. Since
//! most types also exist as pointers, the linker stores `*main.Order` for both, and a flag says that
//! the asterisk is too much.
//!
//! Types made while a program runs (by package `reflect`) are not in the file: they have no name here.

use super::GoVersion;
use super::build_info::varint;
use super::contents::Contents;
use super::function_table::TableForm;
use super::module_data::ModuleData;
use crate::binary::printable;

/// The length of a description's head.
const HEAD: u64 = 48;

/// The flag of a description whose name has an asterisk too much.
const EXTRA_STAR: u8 = 2;

/// Longer names are cut: printing would cut them too.
const LONGEST_NAME: u64 = 1024;

/// The name of the type described at the virtual address `address`.
pub(super) fn name(
    contents: &Contents,
    module: &ModuleData,
    form: TableForm,
    version: &GoVersion,
    address: u64,
) -> Option<String> {
    if !(module.types..module.types_end).contains(&address) {
        return None;
    }
    let head = contents.exactly(address, HEAD)?;
    let flags = head[20];
    let place = i32::from_le_bytes(*head[40..].first_chunk()?);
    let at = module.types.checked_add(u64::try_from(place).ok()?)?;
    if at >= module.types_end {
        return None;
    }
    let bytes = contents.up_to(at, 1 + 9 + LONGEST_NAME)?;
    let two_bytes =
        form == TableForm::Go12 || (form == TableForm::Go116 && !version.at_least(1, 17));
    let (length, text) = if two_bytes {
        let (length, text) = bytes.get(1..)?.split_first_chunk::<2>()?;
        (u64::from(u16::from_be_bytes(*length)), text)
    } else {
        varint(bytes.get(1..)?)?
    };
    let text = text.get(..usize::try_from(length.min(LONGEST_NAME)).ok()?)?;
    let text = match text.strip_prefix(b"*") {
        Some(rest) if flags & EXTRA_STAR != 0 => rest,
        _ => text,
    };
    (!text.is_empty()).then(|| printable(text))
}
