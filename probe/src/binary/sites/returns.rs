//! Sites that are executed when a call ends, for functions whose end the kernel's return probe
//! does not see cheaply.
//!
//! `ret` itself is single-stepped. Before it, after the last call, there may be an instruction
//! that is cheap: in the same straight piece of code, or the jump that leads to it. A conditional
//! jump counts if both of its ways lead out without another call. Where there is none, the
//! `ret` is taken.
//!
//! Refused altogether where a way out cannot be seen, or would be seen too early: tables of jumps,
//! and jumps to another function as the last act, whose time belongs to the call. In a Go function
//! a table of jumps leads to places within it only: then every `ret` is taken, since the ways to
//! them are not all seen.

use super::body::{Code, target_of, text_of};
use super::entry::{copied, number_of, stack_change};
use super::kernel::{HitCost, KernelRules};
use super::{Convention, ExitSite};
use crate::binary::Register;
use iced_x86::{
    FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, Register as Encoded,
};
use std::collections::{BTreeMap, BTreeSet};

/// The longest way from a site to its `ret`, in instructions.
const LONGEST_WAY: usize = 64;

/// Sites such that every way out of the function passes one of them after its last call.
///
/// # Errors
///
/// Why there are none, for a reader.
pub(super) fn exits(code: &Code, rules: KernelRules) -> Result<Vec<ExitSite>, String> {
    if !code.bounded {
        return Err("it is not known where the function ends".to_owned());
    }
    let is_go = code.convention != Convention::SystemV;
    let flow = Flow::of(code, rules);
    let tables = code.has_indirect_jumps();
    let mut tail_calls = code.tail_calls.iter().filter(|at| {
        // Behind a Go function, up to the next one, there may be code of another compiler.
        let reached = || Some(flow.reached.contains(flow.by_address.get(*at)?));
        !is_go || tables || reached().unwrap_or(true)
    });
    if let Some(at) = tail_calls.next() {
        let at = at.wrapping_sub(code.start);
        return Err(format!(
            "it ends with a jump to another function (+{at}), whose time would be missed"
        ));
    }
    if tables && !is_go {
        return Err("it jumps to where a register or memory says".to_owned());
    }
    let mut sites: BTreeSet<usize> = BTreeSet::new();
    for (index, instruction) in flow.instructions.iter().enumerate() {
        if instruction.flow_control() != FlowControl::Return
            || !(tables || flow.reached.contains(&index))
        {
            continue;
        }
        match flow.cheap_before(index).filter(|_| !tables) {
            Some(cheap) => sites.extend(cheap),
            None => {
                sites.insert(index);
            }
        }
    }
    if sites.is_empty() {
        return Err("it has no `ret`".to_owned());
    }
    if sites.len() > code.convention.most_exits() {
        return Err(format!("it would need {} sites", sites.len()));
    }
    Ok(sites.into_iter().map(|index| flow.site(index)).collect())
}

/// A function's instructions as a graph.
struct Flow<'a> {
    code: &'a Code,
    rules: KernelRules,
    /// In the order of addresses.
    instructions: Vec<&'a Instruction>,
    by_address: BTreeMap<u64, usize>,
    /// Of each instruction, those that may come right before it.
    before: BTreeMap<usize, Vec<usize>>,
    /// Those that can be reached from the entry.
    reached: BTreeSet<usize>,
}

impl<'a> Flow<'a> {
    fn of(code: &'a Code, rules: KernelRules) -> Self {
        let mut instructions: Vec<&Instruction> = code.instructions.iter().collect();
        instructions.sort_by_key(|instruction| instruction.ip());
        let by_address = instructions
            .iter()
            .enumerate()
            .map(|(index, instruction)| (instruction.ip(), index))
            .collect();
        let mut flow = Flow {
            code,
            rules,
            instructions,
            by_address,
            before: BTreeMap::new(),
            reached: BTreeSet::new(),
        };
        let mut to_visit: Vec<usize> = flow
            .by_address
            .get(&code.start)
            .copied()
            .into_iter()
            .collect();
        while let Some(index) = to_visit.pop() {
            if !flow.reached.insert(index) {
                continue;
            }
            for next in flow.after(index) {
                flow.before.entry(next).or_default().push(index);
                to_visit.push(next);
            }
        }
        flow
    }

    /// Those that may come right after an instruction.
    fn after(&self, index: usize) -> Vec<usize> {
        let instruction = self.instructions[index];
        let next = || self.by_address.get(&instruction.next_ip()).copied();
        let target = target_of(instruction).and_then(|to| self.by_address.get(&to).copied());
        match instruction.flow_control() {
            FlowControl::Return | FlowControl::Exception | FlowControl::Interrupt => Vec::new(),
            FlowControl::UnconditionalBranch => target.into_iter().collect(),
            FlowControl::ConditionalBranch => target.into_iter().chain(next()).collect(),
            _ => next().into_iter().collect(),
        }
    }

    fn is_cheap(&self, index: usize) -> bool {
        let instruction = self.instructions[index];
        // A `nop` that is replaced by a call would need proof that nothing is kept below the
        // stack pointer; only emulated ones count.
        let cost = self
            .rules
            .cost_of(self.code.bytes_of(instruction), instruction.ip());
        cost == HitCost::Emulated
    }

    /// Cheap instructions of which one is passed on every way to the `ret` at `index`, with no call behind it.
    fn cheap_before(&self, index: usize) -> Option<BTreeSet<usize>> {
        let mut sites = BTreeSet::new();
        let mut visited = BTreeSet::new();
        let mut to_visit = vec![index];
        while let Some(index) = to_visit.pop() {
            if !visited.insert(index) {
                continue;
            }
            if visited.len() > LONGEST_WAY * 4 {
                return None;
            }
            let before = self
                .before
                .get(&index)
                .filter(|before| !before.is_empty())?;
            for previous in before {
                match self.instructions[*previous].flow_control() {
                    FlowControl::UnconditionalBranch if self.is_cheap(*previous) => {
                        sites.insert(*previous);
                    }
                    FlowControl::ConditionalBranch => {
                        let mut known = BTreeMap::new();
                        let ways = self.after(*previous);
                        let leave = ways
                            .into_iter()
                            .all(|way| self.leaves_without_call(way, &mut known));
                        if !leave || !self.is_cheap(*previous) {
                            return None;
                        }
                        sites.insert(*previous);
                    }
                    FlowControl::Next if self.is_cheap(*previous) => {
                        sites.insert(*previous);
                    }
                    FlowControl::Next => to_visit.push(*previous),
                    _ => return None,
                }
            }
        }
        Some(sites)
    }

    /// Whether every way from here ends in a `ret`, without calls and loops. `known` holds what
    /// was found out about instructions, false while they are being looked at; its size bounds
    /// the depth and the work.
    fn leaves_without_call(&self, index: usize, known: &mut BTreeMap<usize, bool>) -> bool {
        if let Some(leaves) = known.get(&index) {
            return *leaves;
        }
        if known.len() > LONGEST_WAY {
            return false;
        }
        known.insert(index, false);
        let leaves = match self.instructions[index].flow_control() {
            FlowControl::Return => true,
            FlowControl::Next
            | FlowControl::UnconditionalBranch
            | FlowControl::ConditionalBranch => {
                let after = self.after(index);
                let all = after
                    .iter()
                    .all(|next| self.leaves_without_call(*next, known));
                all && !after.is_empty()
            }
            _ => false,
        };
        known.insert(index, leaves);
        leaves
    }

    fn site(&self, index: usize) -> ExitSite {
        let instruction = self.instructions[index];
        let way = self.way_out(index);
        ExitSite {
            address: instruction.ip(),
            file_offset: instruction
                .ip()
                .wrapping_sub(self.code.start)
                .wrapping_add(self.code.file_offset),
            instruction: text_of(instruction),
            cost: self
                .rules
                .cost_of(self.code.bytes_of(instruction), instruction.ip()),
            stack_offset: way.as_deref().and_then(pushed_before),
            result: way.as_deref().and_then(result_before),
        }
    }

    /// The one way from an instruction to its `ret`, both included; none if there are several.
    fn way_out(&self, index: usize) -> Option<Vec<&Instruction>> {
        let mut way = Vec::new();
        let mut index = index;
        for _ in 0..LONGEST_WAY {
            let instruction = self.instructions[index];
            way.push(instruction);
            if instruction.flow_control() == FlowControl::Return {
                return Some(way);
            }
            let [next] = self.after(index)[..] else {
                return None;
            };
            index = next;
        }
        None
    }
}

/// How much is pushed at the beginning of a way to a `ret`, where all of it has been popped.
fn pushed_before(way: &[&Instruction]) -> Option<u64> {
    let mut factory = InstructionInfoFactory::new();
    let mut popped = 0_i64;
    for instruction in &way[..way.len() - 1] {
        let info = factory.info(instruction);
        let moves = info.used_registers().iter().any(|used| {
            used.register().full_register() == Encoded::RSP
                && !matches!(used.access(), OpAccess::Read | OpAccess::CondRead)
        });
        if moves {
            popped = popped.checked_add(stack_change(instruction)?)?;
        }
    }
    u64::try_from(popped).ok()
}

/// The register at the beginning of a way to a `ret` whose value will be returned in rax.
fn result_before(way: &[&Instruction]) -> Option<Register> {
    let mut factory = InstructionInfoFactory::new();
    let mut wanted = 0; // rax
    for instruction in way.iter().rev() {
        if instruction.flow_control() != FlowControl::Next
            || instruction.mnemonic() == Mnemonic::Nop
        {
            continue;
        }
        if let Some((to, from)) = copied(instruction) {
            if to == wanted {
                wanted = from;
            }
            continue;
        }
        let changed = factory
            .info(instruction)
            .used_registers()
            .iter()
            .any(|used| {
                number_of(used.register().full_register()) == Some(wanted)
                    && !matches!(used.access(), OpAccess::Read | OpAccess::CondRead)
            });
        if changed {
            return None;
        }
    }
    Register::x86_64(wanted as u8)
}
