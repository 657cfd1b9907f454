//! The linker's summary of a Go program, `runtime.firstmoduledata`: where its code and types begin.
//!
//! The runtime starts from it, so that no stripping removes it; without symbols it is found as the
//! only data that begins with a pointer to the table of functions and whose neighbours are bounds of
//! that table's code. Its fields moved with Go's versions (`runtime/symtab.go`); offsets on
//! processors of 64 bits, each tried on programs of that version:
//!
//! | Go | `minpc` | `text` | `types`, `etypes` |
//! |---|---|---|---|
//! | 1.16 to 1.19 | 160 | 176 | 280, 288 |
//! | 1.20 to 1.26 | 160 | 176 | 296, 304 |
//! | 1.27 | 160 | 176 | 296, 312 (between them the length of all descriptions) |
//!
//! Before 1.16 the table of functions itself tells where code is, and nothing else is read.

use super::GoVersion;
use super::contents::Contents;
use super::function_table::{FunctionTable, TableForm};

/// The field `pcHeader` comes first; from here on follow `minpc`, `maxpc`, `text`, `etext`.
const MIN_PC: usize = 160;

/// How much of it is read.
const LENGTH: u64 = 512;

/// More places that point to the table of functions are not tried.
const MOST_CANDIDATES: usize = 64;

/// What is taken from the summary. All are virtual addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ModuleData {
    /// Where it is itself.
    pub(super) address: u64,
    /// Where Go's code begins.
    pub(super) text: u64,
    /// Where descriptions of types begin, and end.
    pub(super) types: u64,
    pub(super) types_end: u64,
}

/// Finds the summary that belongs to `table`: at `symbol`, or else by searching.
///
/// # Errors
///
/// Why it is not found, for a reader.
pub(super) fn find(
    contents: &Contents,
    table: &FunctionTable,
    symbol: Option<u64>,
    version: &GoVersion,
) -> Result<ModuleData, String> {
    if table.form == TableForm::Go12 {
        return Err("programs of Go before 1.16 have another one".to_owned());
    }
    let fits = |address: u64| read(contents, table, version, address);
    symbol
        .and_then(fits)
        .or_else(|| {
            let candidates = contents.places_of_pointer(table.address, MOST_CANDIDATES);
            candidates.into_iter().find_map(fits)
        })
        .ok_or_else(|| {
            "no data begins with a pointer to the table of functions and its bounds".to_owned()
        })
}

/// The summary at `address`, if what is there can be one.
fn read(
    contents: &Contents,
    table: &FunctionTable,
    version: &GoVersion,
    address: u64,
) -> Option<ModuleData> {
    let bytes = contents.exactly(address, LENGTH)?;
    let (words, _) = bytes.as_chunks::<8>();
    let word = |at: usize| u64::from_le_bytes(words[at / 8]);
    let [min_pc, max_pc, text, text_end] = [0, 8, 16, 24].map(|at| word(MIN_PC + at));
    let first = table.entries().next()?;
    let bounds_fit = word(0) == table.address
        && text <= min_pc
        && min_pc < max_pc
        && max_pc <= text_end.saturating_add(1)
        && contents.is_code(text)
        && table.address_of(first.start, text) >= min_pc
        && table.address_of(first.start, text) < max_pc;
    if !bounds_fit {
        return None;
    }
    // Types are data that the file holds; without them names of types are missing, no more.
    let plausible = |(types, end): &(u64, u64)| {
        types < end && !contents.is_code(*types) && contents.exactly(end - 1, 1).is_some()
    };
    let (types, types_end) = types_offsets(table.form, version)
        .into_iter()
        .map(|(start, end)| (word(start), word(end)))
        .find(plausible)
        .unwrap_or((0, 0));
    Some(ModuleData {
        address,
        text,
        types,
        types_end,
    })
}

/// Where `types` and `etypes` may stand in the summary, likeliest first.
fn types_offsets(form: TableForm, version: &GoVersion) -> Vec<(usize, usize)> {
    match form {
        TableForm::Go12 | TableForm::Go116 | TableForm::Go118 => vec![(280, 288)],
        TableForm::Go120 if version.release.is_none() => vec![(296, 304), (296, 312)],
        TableForm::Go120 if version.at_least(1, 27) => vec![(296, 312)],
        TableForm::Go120 => vec![(296, 304)],
    }
}
