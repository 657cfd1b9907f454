//! Reads the machine code of the pool's get and put, and checks its fast path.
//!
//! The path sought starts at the function's entry, runs through a whole restartable sequence (it
//! publishes a descriptor at `fs:[..+8]` and ends in the committing store to the magazine's
//! word), and reaches the function's return. The check fails unless there is such a path without a call,
//! without a lock prefix and without an instruction that locks implicitly (`xchg` with memory).
//! Branches off that path are the refusals: another path chosen at build, a magazine that is
//! empty, full or shut. The path is printed, so that a reader sees what is claimed.

use std::collections::{BTreeMap, VecDeque};

use anyhow::{Context, Result, bail, ensure};
use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Formatter, Instruction, IntelFormatter, Mnemonic,
    OpKind, Register,
};
use object::{Object, ObjectSection, ObjectSymbol};

/// Builds the example and checks both functions.
pub fn check() -> Result<()> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        eprintln!("SKIPPED: restartable sequences are used on x86-64 Linux only");
        return Ok(());
    }
    let program =
        crate::cargo::build_executable(&["--package", "tailcut-pool", "--example", "fast_path"])?;
    let bytes =
        std::fs::read(&program).with_context(|| format!("cannot read {}", program.display()))?;
    let file = object::File::parse(&*bytes)?;
    for function in ["tailcut_fast_get", "tailcut_fast_put"] {
        let path = Code86::of(&file, function)?
            .fast_path()
            .with_context(|| function.to_owned())?;
        print(function, &path);
    }
    Ok(())
}

/// The text section and where a function starts in it.
struct Code86<'f> {
    text: &'f [u8],
    address: u64,
    entry: u64,
}

impl<'f> Code86<'f> {
    fn of(file: &object::File<'f>, function: &str) -> Result<Self> {
        let symbol = file
            .symbols()
            .find(|symbol| symbol.name() == Ok(function))
            .with_context(|| format!("no symbol {function} in the example"))?;
        let section = file.section_by_name(".text").context("no .text section")?;
        Ok(Code86 {
            text: section.data()?,
            address: section.address(),
            entry: symbol.address(),
        })
    }

    fn decode(&self, at: u64) -> Result<Instruction> {
        let offset = at
            .checked_sub(self.address)
            .context("a jump leaves .text")? as usize;
        ensure!(offset < self.text.len(), "a jump leaves .text");
        let instruction =
            Decoder::with_ip(64, &self.text[offset..], at, DecoderOptions::NONE).decode();
        ensure!(
            instruction.code() != Code::INVALID,
            "an undecodable instruction at {at:#x}"
        );
        Ok(instruction)
    }

    /// The shortest allowed path from the entry through a sequence to the return, by breadth.
    fn fast_path(&self) -> Result<Vec<Instruction>> {
        let start = (self.entry, Progress::Before);
        let mut came_from: BTreeMap<State, State> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(state @ (at, progress)) = queue.pop_front() {
            let instruction = self.decode(at)?;
            if forbidden(&instruction) {
                continue;
            }
            let progress = progress.after(&instruction);
            let fall_through = instruction.next_ip();
            let next = match instruction.flow_control() {
                FlowControl::Return if progress == Progress::Committed => {
                    return self.walk_back(state, &came_from);
                }
                FlowControl::Next => vec![fall_through],
                FlowControl::ConditionalBranch => {
                    vec![fall_through, instruction.near_branch_target()]
                }
                FlowControl::UnconditionalBranch => vec![instruction.near_branch_target()],
                _ => continue,
            };
            for address in next {
                let next = (address, progress);
                if next != start && !came_from.contains_key(&next) {
                    came_from.insert(next, state);
                    queue.push_back(next);
                }
            }
        }
        bail!("no way from entry to return through a restartable sequence without a call or a lock")
    }

    fn walk_back(
        &self,
        end: State,
        came_from: &BTreeMap<State, State>,
    ) -> Result<Vec<Instruction>> {
        let mut path = vec![self.decode(end.0)?];
        let mut state = end;
        while let Some(&before) = came_from.get(&state) {
            path.push(self.decode(before.0)?);
            state = before;
        }
        path.reverse();
        Ok(path)
    }
}

/// Where on the way an instruction stands, and what was passed before it.
type State = (u64, Progress);

/// How far a path has come through a restartable sequence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    Before,
    /// The descriptor is published: the sequence is open.
    Open,
    /// The word is stored: a slot was taken or given.
    Committed,
}

impl Progress {
    fn after(self, instruction: &Instruction) -> Progress {
        match self {
            Progress::Before if publishes_descriptor(instruction) => Progress::Open,
            Progress::Open if commits(instruction) => Progress::Committed,
            same => same,
        }
    }
}

/// A call, an interrupt or system call, a lock prefix, or an implicit lock.
fn forbidden(instruction: &Instruction) -> bool {
    let memory =
        (0..instruction.op_count()).any(|operand| instruction.op_kind(operand) == OpKind::Memory);
    instruction.has_lock_prefix()
        || (instruction.mnemonic() == Mnemonic::Xchg && memory)
        || matches!(
            instruction.flow_control(),
            FlowControl::Call
                | FlowControl::IndirectCall
                | FlowControl::Interrupt
                | FlowControl::Exception
        )
}

/// `mov fs:[x + 8], r`: the store of the descriptor's address that opens a sequence.
fn publishes_descriptor(instruction: &Instruction) -> bool {
    instruction.mnemonic() == Mnemonic::Mov
        && instruction.op0_kind() == OpKind::Memory
        && instruction.memory_segment() == Register::FS
        && instruction.memory_displacement64() == 8
}

/// `mov [area], r64`: the store of the magazine's word, its first field.
fn commits(instruction: &Instruction) -> bool {
    instruction.code() == Code::Mov_rm64_r64
        && instruction.op0_kind() == OpKind::Memory
        && instruction.memory_segment() != Register::FS
        && instruction.memory_displacement64() == 0
        && instruction.memory_index() == Register::None
}

fn print(function: &str, path: &[Instruction]) {
    let branches = path
        .iter()
        .filter(|i| i.flow_control() == FlowControl::ConditionalBranch)
        .count();
    println!(
        "{function}: {} instructions, {branches} of them conditional branches; no call, no lock prefix",
        path.len()
    );
    let mut formatter = IntelFormatter::new();
    for instruction in path {
        let mut text = String::new();
        formatter.format(instruction, &mut text);
        println!("    {text}");
    }
}
