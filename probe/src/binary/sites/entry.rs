//! Walking from a function's first instruction to where a probe is cheap.
//!
//! The walk follows the one straight line that every call takes: up to the first instruction that
//! branches, calls or returns (which may itself be a site: it is always reached), or that a branch
//! leads to. On the way it knows which registers hold arguments and how much was pushed.
//! A Go function's check of its stack is walked through: who fails it comes back to the entry, so
//! that only sites behind it see a call once.

use super::body::{Code, text_of};
use super::kernel::{HitCost, KernelRules};
use super::{ArgumentPlace, Convention, Site};
use crate::binary::Register;
use iced_x86::{
    FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind,
    Register as Encoded,
};

/// No prologue is longer, in instructions.
const LONGEST_WALK: usize = 64;

/// The sites of a function that see every call once, and why there are no more.
#[derive(Debug)]
pub(super) struct Walk {
    /// In the order of addresses.
    pub(super) sites: Vec<Site>,
    /// For a reader.
    pub(super) stopped: String,
}

/// Where calls of `code` can be probed so that the arguments `wanted` are seen.
pub(super) fn walk(code: &Code, wanted: &[u8], rules: KernelRules) -> Walk {
    let mut state = State::at_entry(code.convention, wanted);
    let mut sites = Vec::new();
    let mut skipped = Vec::new();
    let mut stopped = "its end".to_owned();
    let mut factory = InstructionInfoFactory::new();
    let line = code.instructions.iter().filter(|i| i.ip() < code.end);
    let mut expected = code.start;
    for instruction in line.take(LONGEST_WALK) {
        let at = instruction.ip();
        if at != expected {
            stopped = format!(
                "bytes that are no instruction at +{}",
                expected - code.start
            );
            break;
        }
        if at > code.start && code.targets.contains(&at) {
            stopped = format!("a branch leads to +{}", at - code.start);
            break;
        }
        if code.second_entries.contains(&at) {
            stopped = format!("another function begins at +{}", at - code.start);
            break;
        }
        let text = text_of(instruction);
        let cost = rules.cost_of(code.bytes_of(instruction), at);
        match state.site(code, instruction, cost, wanted) {
            Ok(mut site) => {
                site.skipped = skipped.clone();
                skipped.push(format!("{text} ({cost})"));
                sites.push(site);
            }
            Err(reason) => skipped.push(format!("{text} ({reason})")),
        }
        expected = instruction.next_ip();
        if code.is_stack_check(instruction) {
            sites.clear();
            continue;
        }
        if instruction.flow_control() != FlowControl::Next {
            stopped = format!("`{text}` at +{}", at - code.start);
            break;
        }
        if let Err(reason) = state.execute(instruction, &mut factory) {
            stopped = format!("`{text}` at +{} {reason}", at - code.start);
            break;
        }
    }
    Walk { sites, stopped }
}

/// What is known before an instruction.
struct State {
    /// By the number of a register: the argument that it holds.
    held: [Option<u8>; 16],
    /// Bytes pushed since entry.
    pushed: u64,
    /// Something may be kept below the stack pointer, where a call in place of a `nop` would
    /// write its return address.
    below_in_use: bool,
}

impl State {
    fn at_entry(convention: Convention, wanted: &[u8]) -> Self {
        let mut held = [None; 16];
        for argument in wanted {
            if let Some(register) = convention.argument(*argument) {
                held[usize::from(register.number())] = Some(*argument);
            }
        }
        State {
            held,
            pushed: 0,
            below_in_use: false,
        }
    }

    fn site(
        &self,
        code: &Code,
        instruction: &Instruction,
        cost: HitCost,
        wanted: &[u8],
    ) -> Result<Site, &'static str> {
        let from_entry = instruction.ip() - code.start;
        if cost == HitCost::Refused {
            return Err("the kernel places no probe here");
        }
        if cost == HitCost::Called && self.below_in_use {
            return Err("a call here would overwrite what the function keeps below its stack");
        }
        if instruction.has_rep_prefix() || instruction.has_repne_prefix() {
            return Err("repeats itself");
        }
        let arguments = wanted
            .iter()
            .map(|argument| {
                let home = code.convention.argument(*argument).filter(|register| {
                    self.held[usize::from(register.number())] == Some(*argument)
                });
                let anywhere = || {
                    let number = self.held.iter().position(|held| *held == Some(*argument))?;
                    Register::x86_64(number as u8)
                };
                Some(ArgumentPlace {
                    argument: *argument,
                    register: home.or_else(anywhere)?,
                })
            })
            .collect::<Option<Vec<_>>>()
            .ok_or("an argument is no longer in a register")?;
        Ok(Site {
            address: instruction.ip(),
            file_offset: code.file_offset + from_entry,
            from_entry,
            instruction: text_of(instruction),
            cost,
            stack_offset: self.pushed,
            arguments,
            skipped: Vec::new(),
        })
    }

    /// What is known after an instruction that goes on to the next one.
    fn execute(
        &mut self,
        instruction: &Instruction,
        factory: &mut InstructionInfoFactory,
    ) -> Result<(), &'static str> {
        let info = factory.info(instruction);
        for memory in info.used_memory() {
            let on_stack = matches!(memory.base().full_register(), Encoded::RSP | Encoded::RBP);
            let is_push = instruction.mnemonic() == Mnemonic::Push;
            if on_stack && !is_push && writes(memory.access()) {
                self.below_in_use = true;
            }
        }
        let copied = copied(instruction).and_then(|(to, from)| Some((to, self.held[from]?)));
        let mut stack_changes = false;
        for used in info.used_registers() {
            if !writes(used.access()) {
                continue;
            }
            let register = used.register().full_register();
            stack_changes |= register == Encoded::RSP;
            if let Some(number) = number_of(register) {
                self.held[number] = None;
            }
        }
        if let Some((to, argument)) = copied {
            self.held[to] = Some(argument);
        }
        if stack_changes {
            let change = stack_change(instruction).ok_or("moves the stack pointer unseen")?;
            self.pushed = self
                .pushed
                .checked_add_signed(-change)
                .ok_or("moves the stack pointer above its value at entry")?;
        }
        Ok(())
    }
}

fn writes(access: OpAccess) -> bool {
    matches!(
        access,
        OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
    )
}

/// The number of a general register of 64 bits.
pub(super) fn number_of(register: Encoded) -> Option<usize> {
    register.is_gpr64().then(|| register.number())
}

/// To where and from where a `mov` between whole registers copies.
pub(super) fn copied(instruction: &Instruction) -> Option<(usize, usize)> {
    let is_copy = instruction.mnemonic() == Mnemonic::Mov
        && instruction.op0_kind() == OpKind::Register
        && instruction.op1_kind() == OpKind::Register;
    if !is_copy {
        return None;
    }
    Some((
        number_of(instruction.op0_register())?,
        number_of(instruction.op1_register())?,
    ))
}

/// By how much an instruction moves the stack pointer; none if the code does not tell.
pub(super) fn stack_change(instruction: &Instruction) -> Option<i64> {
    match instruction.mnemonic() {
        Mnemonic::Push | Mnemonic::Pop => {
            // `pop rsp` puts there what was on the stack.
            let pops_itself = instruction.op0_register() == Encoded::RSP
                && instruction.mnemonic() == Mnemonic::Pop;
            (!pops_itself).then(|| i64::from(instruction.stack_pointer_increment()))
        }
        Mnemonic::Add | Mnemonic::Sub
            if instruction.op0_register() == Encoded::RSP
                && instruction.op_kinds().nth(1).is_some_and(is_immediate) =>
        {
            let amount = instruction.immediate(1) as i64;
            let sign = if instruction.mnemonic() == Mnemonic::Add {
                1
            } else {
                -1
            };
            amount.checked_mul(sign)
        }
        Mnemonic::Lea
            if instruction.op0_register() == Encoded::RSP
                && instruction.memory_base() == Encoded::RSP
                && instruction.memory_index() == Encoded::None =>
        {
            Some(instruction.memory_displacement64() as i64)
        }
        _ => None,
    }
}

fn is_immediate(kind: OpKind) -> bool {
    matches!(
        kind,
        OpKind::Immediate8 | OpKind::Immediate32 | OpKind::Immediate8to64 | OpKind::Immediate32to64
    )
}
