//! Call frame information: for each instruction of a file, where its caller's registers are.
//!
//! Parsed by `gimli`. A row is reduced to a [`Rule`] that the unwinder caches, since
//! the same few thousand call sites come back for as long as a process runs.
//!
//! Why not `framehop`, which does the same with more formats: it evaluates expressions without a
//! bound on their steps, so that a binary with one backward jump stops the tool for good, and
//! without reading memory, so that stacks end at every signal handler and at every function that
//! realigns its stack. It is the oracle of the tests in `unwind.rs` instead.
//!
//! Costs 2 us for an address that is new (a binary search in the index, and the instructions
//! of one function); nothing at load with an index, and one pass over the section without.

use super::elf::{Layout, Part};
use super::modules::{Image, Module};
use gimli::{
    BaseAddresses, CfaRule, CieOrFde, EhFrame, EhFrameHdr, EhFrameOffset, EndianSlice,
    FrameDescriptionEntry, LittleEndian, Register, RegisterRule, UnwindContext, UnwindExpression,
    UnwindSection, X86_64,
};
use std::sync::Arc;

/// Entries of an index that is built here. Each takes 16 bytes.
const MAX_INDEX: usize = 1 << 20;

/// Bytes of one function's information; the longest in practice have some kilobytes.
const MAX_ENTRY_BYTES: usize = 1 << 20;

/// Offsets between a frame's registers and its caller's; larger ones are nonsense.
const MAX_OFFSET: i64 = 1 << 30;

type Slice<'a> = EndianSlice<'a, LittleEndian>;
type Entry<'a> = FrameDescriptionEntry<Slice<'a>>;

/// How to come from one frame to its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// The canonical frame address: the stack pointer of the caller after the return.
    pub cfa: Cfa,
    pub return_address: Value,
    pub frame_pointer: Value,
    /// The "caller" was interrupted, not calling: its address is the instruction itself.
    pub signal: bool,
}

/// The canonical frame address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cfa {
    StackPointer(i32),
    FramePointer(i32),
    Expression(UnwindExpression<usize>),
}

/// Where a register of the caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Nowhere. For the return address it means that there is no caller.
    Undefined,
    /// In the register still.
    Unchanged,
    /// In memory, at this distance from the canonical frame address.
    AtCfa(i32),
    /// It is the canonical frame address plus this.
    CfaPlus(i32),
    /// In memory, at the result of an expression.
    AtExpression(UnwindExpression<usize>),
    /// The result of an expression.
    Expression(UnwindExpression<usize>),
    /// Somewhere this walk does not follow: in a register that it does not know.
    Unknown,
}

/// What the information of a file says about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    Found(Rule),
    /// No function of the file covers the address.
    Uncovered,
}

/// The call frame information of one file.
pub(super) struct CallFrames {
    module: Arc<Module>,
    section: Part,
    bases: BaseAddresses,
    index: Index,
    context: Box<UnwindContext<usize>>,
}

enum Index {
    /// The linker's, in the file.
    Linked(Part),
    /// Addresses of functions with their offset in the section, sorted.
    Built(Vec<(u64, usize)>),
}

impl CallFrames {
    /// The information of a module; `None` if it has none.
    pub fn of(module: Arc<Module>) -> Option<Self> {
        let image = module.image.as_ref()?;
        let Layout {
            eh_frame,
            eh_frame_hdr,
            text,
            ..
        } = &image.layout;
        let section = eh_frame.clone()?;
        let mut bases = BaseAddresses::default()
            .set_eh_frame(section.address)
            .set_text(*text);
        if let Some(header) = eh_frame_hdr {
            bases = bases.set_eh_frame_hdr(header.address);
        }
        let linked = eh_frame_hdr.clone().filter(|header| {
            EhFrameHdr::new(&image.bytes()[header.bytes.clone()], LittleEndian)
                .parse(&bases, 8)
                .is_ok_and(|header| header.table().is_some())
        });
        let index = match linked {
            Some(header) => Index::Linked(header),
            None => Index::Built(build_index(&eh_frame_of(image, &section), &bases)),
        };
        Some(Self {
            section,
            bases,
            index,
            context: Box::new(UnwindContext::new()),
            module,
        })
    }

    /// The rule at an address, in the file's own terms.
    pub fn lookup(&mut self, address: u64) -> Lookup {
        self.find(address).map_or(Lookup::Uncovered, Lookup::Found)
    }

    /// The bytes that an expression of a rule refers to.
    pub fn section(&self) -> &[u8] {
        let image = self
            .module
            .image
            .as_ref()
            .expect("made from a module with an image");
        &image.bytes()[self.section.bytes.clone()]
    }

    fn find(&mut self, address: u64) -> Option<Rule> {
        let image = self.module.image.as_ref()?;
        let eh_frame = eh_frame_of(image, &self.section);
        let offset = match &self.index {
            Index::Linked(header) => {
                let header = EhFrameHdr::new(&image.bytes()[header.bytes.clone()], LittleEndian)
                    .parse(&self.bases, 8)
                    .ok()?;
                let found = header
                    .table()?
                    .lookup(address, &self.bases)
                    .ok()?
                    .direct()
                    .ok()?;
                usize::try_from(found.checked_sub(self.section.address)?).ok()?
            }
            Index::Built(functions) => {
                let after = functions.partition_point(|(start, _)| *start <= address);
                functions[after.checked_sub(1)?].1
            }
        };
        let entry = entry_at(&eh_frame, &self.bases, offset)?;
        if !entry.contains(address) || entry.entry_len() > MAX_ENTRY_BYTES {
            return None;
        }
        let row = entry
            .unwind_info_for_address(&eh_frame, &self.bases, &mut self.context, address)
            .ok()?;
        Some(Rule {
            cfa: cfa(row.cfa())?,
            return_address: value(row.register(X86_64::RA), Value::Undefined),
            frame_pointer: value(row.register(X86_64::RBP), Value::Unchanged),
            signal: entry.is_signal_trampoline(),
        })
    }
}

fn eh_frame_of<'a>(image: &'a Image, section: &Part) -> EhFrame<Slice<'a>> {
    let mut eh_frame = EhFrame::new(&image.bytes()[section.bytes.clone()], LittleEndian);
    eh_frame.set_address_size(8);
    eh_frame
}

fn entry_at<'a>(
    eh_frame: &EhFrame<Slice<'a>>,
    bases: &BaseAddresses,
    offset: usize,
) -> Option<Entry<'a>> {
    eh_frame
        .fde_from_offset(bases, EhFrameOffset(offset), EhFrame::cie_from_offset)
        .ok()
}

/// One pass over a section that has no index (static executables of older linkers). What follows a
/// broken entry is not found.
fn build_index(eh_frame: &EhFrame<Slice<'_>>, bases: &BaseAddresses) -> Vec<(u64, usize)> {
    let mut functions = Vec::new();
    let mut entries = eh_frame.entries(bases);
    while let Ok(Some(entry)) = entries.next() {
        if functions.len() == MAX_INDEX {
            break;
        }
        if let CieOrFde::Fde(entry) = entry
            && let Ok(entry) = entry.parse(EhFrame::cie_from_offset)
        {
            functions.push((entry.initial_address(), entry.offset()));
        }
    }
    functions.sort_unstable();
    functions
}

fn cfa(rule: &CfaRule<usize>) -> Option<Cfa> {
    match rule {
        CfaRule::RegisterAndOffset {
            register: X86_64::RSP,
            offset,
        } => Some(Cfa::StackPointer(small(*offset)?)),
        CfaRule::RegisterAndOffset {
            register: X86_64::RBP,
            offset,
        } => Some(Cfa::FramePointer(small(*offset)?)),
        CfaRule::RegisterAndOffset { .. } => None,
        CfaRule::Expression(expression) => Some(Cfa::Expression(*expression)),
    }
}

fn value(rule: Option<RegisterRule<usize>>, unspecified: Value) -> Value {
    let offset = |offset, kind: fn(i32) -> Value| small(offset).map_or(Value::Unknown, kind);
    match rule {
        None => unspecified,
        Some(RegisterRule::Undefined) => Value::Undefined,
        Some(RegisterRule::SameValue) => Value::Unchanged,
        Some(RegisterRule::Offset(distance)) => offset(distance, Value::AtCfa),
        Some(RegisterRule::ValOffset(distance)) => offset(distance, Value::CfaPlus),
        Some(RegisterRule::Expression(expression)) => Value::AtExpression(expression),
        Some(RegisterRule::ValExpression(expression)) => Value::Expression(expression),
        Some(RegisterRule::Register(Register(_))) | Some(_) => Value::Unknown,
    }
}

fn small(offset: i64) -> Option<i32> {
    (-MAX_OFFSET..=MAX_OFFSET)
        .contains(&offset)
        .then_some(offset as i32)
}
