//! A function's code, decoded: its instructions, and where its branches lead.
//!
//! All of `[start, end)` is decoded, also what no branch that we see leads to (a table of jumps
//! may). Branches out of it are followed once: they lead to a part of the function that the
//! compiler moved away, or they call another function as their last act (a tail call).
//! Which of the two: a jump into the middle of a function is the first; so is one to a function
//! that jumps back into the middle of this one; a jump with the stack pointer as at entry to a
//! place where a function begins is the second.

use super::{Convention, SiteError};
use crate::binary::elf::Image;
use crate::binary::elf::frames::Frames;
use crate::binary::register::Architecture;
use crate::binary::symbols::Symbols;
use iced_x86::{Decoder, DecoderOptions, FlowControl, Formatter, Instruction, IntelFormatter};
use std::collections::BTreeSet;
use std::ops::Range;

/// The longest function that is decoded, in bytes.
const LONGEST: u64 = 256 << 10;

/// How much is decoded of a function whose end nobody tells.
const UNKNOWN_LENGTH: u64 = 512;

/// How many moved parts are looked at.
const MOST_PARTS: usize = 8;

/// The code of one function.
#[derive(Debug)]
pub struct Code {
    pub(super) name: String,
    pub(super) start: u64,
    pub(super) end: u64,
    /// Where `start` is in the file.
    pub(super) file_offset: u64,
    /// In the order of addresses, moved parts last.
    pub(super) instructions: Vec<Instruction>,
    bytes: Vec<(u64, Vec<u8>)>,
    /// Where branches lead that lie within the function.
    pub(super) targets: BTreeSet<u64>,
    /// Where other functions begin within this one.
    pub(super) second_entries: BTreeSet<u64>,
    /// Branches that leave for another function.
    pub(super) tail_calls: BTreeSet<u64>,
    /// Whether it was known where the function ends.
    pub(super) bounded: bool,
    pub(super) convention: Convention,
}

impl Code {
    /// Decodes the function called `name` at virtual address `start`, `length` bytes long. Where
    /// the length is not known, `frames` are asked.
    ///
    /// # Errors
    ///
    /// It is not x86-64 code, or cannot be read.
    pub fn read(
        image: &Image,
        symbols: &Symbols,
        frames: Option<&Frames>,
        name: &str,
        start: u64,
        length: Option<u64>,
    ) -> Result<Self, SiteError> {
        if image.architecture() != Architecture::X86_64 {
            return Err(SiteError::Architecture(image.architecture()));
        }
        let known = length.filter(|length| *length > 0).or_else(|| {
            let bounds = frames?.function_at(start)?;
            Some(bounds.end - start)
        });
        let bytes = image.bytes_at(start, known.unwrap_or(UNKNOWN_LENGTH).min(LONGEST))?;
        let end = start + bytes.len() as u64;
        let bounded = known == Some(bytes.len() as u64);
        let Some(file_offset) = image.file_offset(start) else {
            return Err(SiteError::NoSite {
                function: name.to_owned(),
                reason: "its address is not in the file".to_owned(),
            });
        };
        let mut code = Code::decode(name, start, file_offset, bytes, bounded);
        if bounded {
            let inside = symbols.functions_starting_within(start + 1..end);
            code.second_entries.extend(inside.iter().copied());
            code.follow_exits(image, frames);
        }
        Ok(code)
    }

    /// Decodes a function that Go compiled, from virtual address `start` up to `end`, where the
    /// next one begins. Go moves no part of a function away, and no function begins within another.
    ///
    /// # Errors
    ///
    /// It is not x86-64 code, longer than 256 KiB, or cannot be read.
    pub fn read_go(
        image: &Image,
        name: &str,
        start: u64,
        end: u64,
        convention: Convention,
    ) -> Result<Self, SiteError> {
        if image.architecture() != Architecture::X86_64 {
            return Err(SiteError::Architecture(image.architecture()));
        }
        let no_site = |reason: &str| SiteError::NoSite {
            function: name.to_owned(),
            reason: reason.to_owned(),
        };
        let length = end
            .checked_sub(start)
            .filter(|length| (1..=LONGEST).contains(length))
            .ok_or_else(|| no_site("where it ends is not known, or too far away"))?;
        let file_offset = image
            .file_offset(start)
            .ok_or_else(|| no_site("its address is not in the file"))?;
        let bytes = image.bytes_at(start, length)?;
        if bytes.len() as u64 != length {
            return Err(no_site("its end is not in the file"));
        }
        let mut code = Code::decode(name, start, file_offset, bytes, true);
        code.convention = convention;
        Ok(code)
    }

    /// Decodes bytes that are the whole of a function.
    pub(super) fn decode(
        name: &str,
        start: u64,
        file_offset: u64,
        bytes: Vec<u8>,
        bounded: bool,
    ) -> Self {
        let instructions = decode(&bytes, start);
        let mut code = Code {
            name: name.to_owned(),
            start,
            end: start + bytes.len() as u64,
            file_offset,
            targets: BTreeSet::new(),
            second_entries: BTreeSet::new(),
            tail_calls: BTreeSet::new(),
            bounded,
            convention: Convention::SystemV,
            bytes: vec![(start, bytes)],
            instructions,
        };
        code.targets = code
            .instructions
            .iter()
            .filter_map(target_of)
            .filter(|target| (code.start..code.end).contains(target))
            .collect();
        for instruction in &code.instructions {
            if target_of(instruction).is_some_and(|to| !(code.start..code.end).contains(&to)) {
                code.tail_calls.insert(instruction.ip());
            }
        }
        code
    }

    /// The bytes of an instruction of this function.
    pub(super) fn bytes_of(&self, instruction: &Instruction) -> &[u8] {
        let at = instruction.ip();
        self.bytes
            .iter()
            .find_map(|(start, bytes)| {
                let from = usize::try_from(at.checked_sub(*start)?).ok()?;
                bytes.get(from..from + instruction.len())
            })
            .unwrap_or_default()
    }

    /// Whether a jump goes where a register or memory says.
    pub(super) fn has_indirect_jumps(&self) -> bool {
        self.instructions
            .iter()
            .any(|i| i.flow_control() == FlowControl::IndirectBranch)
    }

    /// Takes in the parts that were moved away. What remains in `tail_calls` are tail calls.
    fn follow_exits(&mut self, image: &Image, frames: Option<&Frames>) {
        let mut looked_at: BTreeSet<u64> = BTreeSet::new();
        for exit in self.tail_calls.clone() {
            let Some(target) = self
                .instructions
                .iter()
                .find(|instruction| instruction.ip() == exit)
                .and_then(target_of)
            else {
                continue;
            };
            let Some(bounds) = frames.and_then(|frames| frames.function_at(target)) else {
                continue;
            };
            if self.bytes.iter().any(|(start, _)| *start == bounds.start) {
                self.tail_calls.remove(&exit); // a part that is here by now
                continue;
            }
            if looked_at.len() == MOST_PARTS || !looked_at.insert(bounds.start) {
                continue;
            }
            if let Some((part, bytes)) = self.moved_part(image, &bounds, target) {
                self.tail_calls.remove(&exit);
                self.targets.insert(target);
                let body = self.start..self.end;
                for to in part.iter().filter_map(target_of) {
                    if body.contains(&to) || bounds.contains(&to) {
                        self.targets.insert(to);
                    }
                }
                self.instructions.extend(part);
                self.bytes.push((bounds.start, bytes));
            }
        }
        let parts: Vec<Range<u64>> = self
            .bytes
            .iter()
            .map(|(start, bytes)| *start..*start + bytes.len() as u64)
            .collect();
        // A moved part may itself end in a tail call.
        let leaves = |to: u64| !parts.iter().any(|part| part.contains(&to));
        for instruction in &self.instructions {
            if target_of(instruction).is_some_and(leaves) {
                self.tail_calls.insert(instruction.ip());
            }
        }
    }

    fn moved_part(
        &self,
        image: &Image,
        bounds: &Range<u64>,
        target: u64,
    ) -> Option<(Vec<Instruction>, Vec<u8>)> {
        let length = bounds.end - bounds.start;
        // Places in the file are counted from the function's: the part must be as far away there.
        let offset = bounds
            .start
            .wrapping_sub(self.start)
            .wrapping_add(self.file_offset);
        if image.file_offset(bounds.start) != Some(offset) {
            return None;
        }
        let bytes = image.bytes_at(bounds.start, length.min(LONGEST)).ok()?;
        let part = decode(&bytes, bounds.start);
        let inside = self.start + 1..self.end;
        let comes_back = part
            .iter()
            .filter_map(target_of)
            .any(|to| inside.contains(&to));
        (target != bounds.start || comes_back).then_some((part, bytes))
    }
}

/// All instructions of `bytes`; what is none is left out byte by byte.
fn decode(bytes: &[u8], start: u64) -> Vec<Instruction> {
    let mut instructions = Vec::with_capacity(bytes.len() / 4);
    let mut decoder = Decoder::with_ip(64, bytes, start, DecoderOptions::NONE);
    while decoder.can_decode() {
        let at = decoder.position();
        let instruction = decoder.decode();
        if instruction.is_invalid() {
            // `at + 1` lies within `bytes`, so this cannot fail.
            if decoder.set_position(at + 1).is_err() {
                break;
            }
            decoder.set_ip(start + at as u64 + 1);
        } else {
            instructions.push(instruction);
        }
    }
    instructions
}

/// Where a jump, conditional or not, leads; none for all else, also for calls.
pub(super) fn target_of(instruction: &Instruction) -> Option<u64> {
    match instruction.flow_control() {
        FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch => {
            Some(instruction.near_branch_target())
        }
        _ => None,
    }
}

/// An instruction as text, in Intel's syntax.
pub(super) fn text_of(instruction: &Instruction) -> String {
    let mut formatter = IntelFormatter::new();
    formatter
        .options_mut()
        .set_space_after_operand_separator(true);
    formatter.options_mut().set_hex_prefix("0x");
    formatter.options_mut().set_hex_suffix("");
    formatter.options_mut().set_uppercase_hex(false);
    formatter.options_mut().set_branch_leading_zeros(false);
    formatter.options_mut().set_rip_relative_addresses(true);
    let mut text = String::new();
    formatter.format(instruction, &mut text);
    text
}
