//! Go's own table of functions, the `pclntab`: where each begins, and its name.
//!
//! The runtime needs it to walk stacks, so that no stripping removes it. It begins with a magic
//! number, which names its form, and a head; then come names, line tables, and the table proper,
//! sorted by address, whose entries lead to a record of each function (Go's `runtime/symtab.go` and
//! `debug/gosym`, whose rules these are):
//!
//! | form | magic | the table's entries | names |
//! |---|---|---|---|
//! | Go 1.2 to 1.15 | `fffffffb` | addresses of 64 bits | counted from the table's begin |
//! | Go 1.16, 1.17 | `fffffffa` | addresses of 64 bits | in a part of their own |
//! | Go 1.18, 1.19 | `fffffff0` | 32 bits, counted from where Go's code begins | the same |
//! | Go 1.20 and newer | `fffffff1` | the same; records have one more field | the same |
//!
//! Where Go's code begins stands in the head up to Go 1.25; from 1.26 on that field is zero, and only
//! the module's data tells ([`super::module_data`]).
//!
//! Cost: the table is held while a [`super::GoProgram`] lives, a tenth of a program's size; a look-up by name
//! goes through all functions, some 10 ns each.

use super::GoError;
use crate::binary::elf::Image;
use serde::Serialize;
use std::fmt;

/// More functions than any program has.
const MOST_FUNCTIONS: u64 = 1 << 24;

/// The longest table that is read.
pub(super) const LONGEST_TABLE: u64 = 512 << 20;

/// Names longer than this are cut.
const LONGEST_NAME: usize = 4096;

/// Flags of a record: it was written in assembler (Go 1.17 and newer).
const FLAG_ASSEMBLER: u8 = 4;

/// The form of a table of functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TableForm {
    /// Go 1.2 to 1.15.
    Go12,
    /// Go 1.16 and 1.17.
    Go116,
    /// Go 1.18 and 1.19.
    Go118,
    /// Go 1.20 and newer.
    Go120,
}

impl TableForm {
    /// All of them, newest first.
    pub(super) const ALL: [TableForm; 4] = [
        TableForm::Go120,
        TableForm::Go118,
        TableForm::Go116,
        TableForm::Go12,
    ];

    /// The number that a table of this form begins with.
    pub(super) fn magic(self) -> u32 {
        match self {
            TableForm::Go12 => 0xffff_fffb,
            TableForm::Go116 => 0xffff_fffa,
            TableForm::Go118 => 0xffff_fff0,
            TableForm::Go120 => 0xffff_fff1,
        }
    }

    /// Whether entries are counted from where Go's code begins.
    fn is_relative(self) -> bool {
        matches!(self, TableForm::Go118 | TableForm::Go120)
    }

    /// Where a record keeps the name's place, what kind of function it is, and its flags.
    fn record(self) -> (usize, Option<usize>, Option<usize>) {
        match self {
            TableForm::Go12 => (8, None, None),
            TableForm::Go116 => (8, Some(40), Some(41)),
            TableForm::Go118 => (4, Some(36), Some(37)),
            TableForm::Go120 => (4, Some(40), Some(41)),
        }
    }
}

impl fmt::Display for TableForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TableForm::Go12 => "of Go 1.2 to 1.15",
            TableForm::Go116 => "of Go 1.16 and 1.17",
            TableForm::Go118 => "of Go 1.18 and 1.19",
            TableForm::Go120 => "of Go 1.20 and newer",
        })
    }
}

/// A function of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// Which one, by address.
    pub(super) index: usize,
    pub(super) name: &'a [u8],
    /// Its address, or how far it is behind where Go's code begins.
    pub(super) start: u64,
    /// Where the next one begins.
    pub(super) end: u64,
    /// What kind of function it is, by the runtime's numbers; 0 is an ordinary one.
    pub(super) kind: u8,
    /// Whether it was written in assembler.
    pub(super) assembler: bool,
}

/// A table of functions.
#[derive(Debug)]
pub(super) struct FunctionTable {
    pub(super) form: TableForm,
    /// Its virtual address.
    pub(super) address: u64,
    bytes: Vec<u8>,
    count: usize,
    /// Where names begin in it.
    names: usize,
    /// Where the sorted table begins; records are counted from the same place from Go 1.16 on.
    functions: usize,
    /// Where Go's code begins, as far as the head says.
    pub(super) text_start: Option<u64>,
}

impl FunctionTable {
    /// The bytes of a head that are the same in all tables of this form and processor: what is
    /// searched for where no section and no symbol tells.
    pub(super) fn begin(form: TableForm, image: &Image) -> [u8; 8] {
        use crate::binary::register::Architecture;
        let shortest_instruction = match image.architecture() {
            Architecture::X86_64 => 1,
            Architecture::Aarch64 => 4,
        };
        let magic = form.magic().to_le_bytes();
        [
            magic[0],
            magic[1],
            magic[2],
            magic[3],
            0,
            0,
            shortest_instruction,
            8,
        ]
    }

    /// Takes the table that begins with `bytes`, which is at `address`. What follows it may be in
    /// `bytes` too.
    ///
    /// # Errors
    ///
    /// It is none, or a part of it is not within `bytes`, or it is not sorted.
    pub(super) fn parse(bytes: Vec<u8>, address: u64) -> Result<Self, GoError> {
        let damaged = |reason: String| GoError::Damaged {
            part: "table of functions",
            reason,
        };
        let Some((magic, head)) = bytes.split_first_chunk::<4>() else {
            return Err(damaged("it is shorter than its head".to_owned()));
        };
        let magic = u32::from_le_bytes(*magic);
        let form = TableForm::ALL
            .into_iter()
            .find(|form| form.magic() == magic)
            .ok_or_else(|| {
                damaged(format!(
                    "it begins with {magic:08x}, which is no known form"
                ))
            })?;
        if !matches!(head.get(..4), Some([0, 0, 1 | 2 | 4, 8])) {
            return Err(damaged("its head is not of a 64-bit program".to_owned()));
        }
        let word = |index: usize| -> Result<u64, GoError> {
            word_at(&bytes, 8 + 8 * index).ok_or_else(|| damaged("its head is cut off".to_owned()))
        };
        let place = |index: usize| -> Result<usize, GoError> {
            let place = word(index)?;
            usize::try_from(place)
                .ok()
                .filter(|place| *place < bytes.len())
                .ok_or_else(|| damaged(format!("a part at byte {place} is not within it")))
        };
        let count = word(0)?;
        if count == 0 || count > MOST_FUNCTIONS {
            return Err(damaged(format!("it says that it has {count} functions")));
        }
        let (text_start, names, functions) = match form {
            TableForm::Go12 => (None, 0, 16),
            TableForm::Go116 => (None, place(2)?, place(6)?),
            TableForm::Go118 | TableForm::Go120 => (
                Some(word(2)?).filter(|start| *start != 0),
                place(3)?,
                place(7)?,
            ),
        };
        let table = FunctionTable {
            form,
            address,
            count: count as usize,
            names,
            functions,
            text_start,
            bytes,
        };
        table.check().map_err(damaged)?;
        Ok(table)
    }

    /// Whether all entries are there and in order.
    fn check(&self) -> Result<(), String> {
        let mut last = 0;
        for index in 0..=self.count {
            let Some(start) = self.start(index) else {
                return Err(format!(
                    "it ends before its entry {index} of {}",
                    self.count
                ));
            };
            if start < last {
                return Err(format!("its entry {index} is not in order"));
            }
            last = start;
        }
        Ok(())
    }

    /// How many functions it has.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The address of what `start` or `end` of an entry say.
    pub(super) fn address_of(&self, start: u64, text_start: u64) -> u64 {
        match self.form.is_relative() {
            true => text_start.wrapping_add(start),
            false => start,
        }
    }

    /// Whether addresses need to know where Go's code begins.
    pub(super) fn is_relative(&self) -> bool {
        self.form.is_relative()
    }

    /// All functions that have a name, by address.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        (0..self.count).filter_map(|index| self.entry(index))
    }

    /// The function that covers what is `start` in the table's terms: an address, or a distance.
    pub(super) fn covering(&self, start: u64) -> Option<Entry<'_>> {
        let mut low = 0;
        let mut high = self.count;
        while low < high {
            let middle = low.midpoint(high);
            if self.start(middle)? <= start {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let entry = self.entry(low.checked_sub(1)?)?;
        (start < entry.end).then_some(entry)
    }

    fn entry(&self, index: usize) -> Option<Entry<'_>> {
        let (name_at, kind_at, flags_at) = self.form.record();
        let base = match self.form {
            TableForm::Go12 => 0,
            _ => self.functions,
        };
        let record = base.checked_add(self.record_of(index)?)?;
        let name = u32::from_le_bytes(*self.bytes.get(record + name_at..)?.first_chunk()?);
        let byte = |at: Option<usize>| {
            at.and_then(|at| self.bytes.get(record + at).copied())
                .unwrap_or(0)
        };
        let name = self.name(name)?;
        (!name.is_empty()).then_some(Entry {
            index,
            name,
            start: self.start(index)?,
            end: self.start(index + 1)?,
            kind: byte(kind_at),
            assembler: byte(flags_at) & FLAG_ASSEMBLER != 0,
        })
    }

    fn name(&self, place: u32) -> Option<&[u8]> {
        let rest = self.bytes.get(self.names.checked_add(place as usize)?..)?;
        let rest = &rest[..rest.len().min(LONGEST_NAME)];
        Some(&rest[..memchr::memchr(0, rest).unwrap_or(rest.len())])
    }

    /// Where entry `index` begins; the one behind the last is the end of the last.
    fn start(&self, index: usize) -> Option<u64> {
        let (at, wide) = self.place_of(index);
        match wide {
            true => word_at(&self.bytes, at),
            false => half_at(&self.bytes, at),
        }
    }

    fn record_of(&self, index: usize) -> Option<usize> {
        let (at, wide) = self.place_of(index);
        let place = match wide {
            true => word_at(&self.bytes, at + 8)?,
            false => half_at(&self.bytes, at + 4)?,
        };
        // So that sums of places cannot overflow.
        usize::try_from(place)
            .ok()
            .filter(|place| *place < self.bytes.len())
    }

    fn place_of(&self, index: usize) -> (usize, bool) {
        match self.form.is_relative() {
            true => (self.functions + index * 8, false),
            false => (self.functions + index * 16, true),
        }
    }
}

fn word_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn half_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = *bytes.get(at..)?.first_chunk()?;
    Some(u64::from(u32::from_le_bytes(bytes)))
}

#[cfg(test)]
mod tests;
