//! Walking a copied stack from a thread's registers to its root.
//!
//! By call frame information where the file has it, which is nearly everywhere; by frame pointers
//! where not (Go, JIT compilers that keep them, hand-written assembler), and then only while each
//! step leads to executable memory, just behind a call. Such steps are counted in
//! [`Walk::assumed`]. What cannot be followed ends the walk, and [`End`] says why: a short stack is
//! honest, an invented caller is not.
//!
//! Costs 0.13 us a frame whose call site is known, 2 us one that is new (EPYC guest, release build,
//! `examples/stacks_of.rs`). Holds up to 65,536 rules of 64 bytes, and the list of mappings.

use super::address_space::AddressSpace;
use super::call_frames::{CallFrames, Cfa, Lookup, Rule, Value};
use super::error::StacksError;
use super::expression::evaluate;
use super::location::Location;
use super::mappings::{Mapping, mappings};
use super::memory::{StackMemory, Unreadable};
use super::modules::{ModuleId, Modules};
use std::collections::HashMap;
use std::sync::Arc;

/// Frames of a walk, as many as the kernel's own walk gives.
pub const MAX_FRAMES: usize = 127;

/// Rules that are remembered; when there are more, all are forgotten.
const MAX_RULES: usize = 65_536;

/// The registers of a thread at the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// Instruction pointer.
    pub ip: u64,
    /// Stack pointer.
    pub sp: u64,
    /// Frame pointer, or whatever else the compiler kept in `rbp`.
    pub bp: u64,
}

/// Why a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The first function of the thread was reached: the stack is complete.
    Root,
    /// The stack goes on above the copy of its memory.
    StackCut,
    /// The last frame has no information about its caller: code made at run time, assembler
    /// without annotations, a file that could not be opened; or memory that contradicts it.
    NoUnwindInformation,
    /// There are more than [`MAX_FRAMES`].
    TooDeep,
}

/// A stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// The instruction of the event, then the return addresses; at most [`MAX_FRAMES`].
    pub addresses: Vec<u64>,
    /// The same as places that outlive the process.
    pub locations: Vec<Location>,
    /// Why there are no more.
    pub end: End,
    /// Frames (of all but the first) that rest on frame pointers or on what lay at the stack
    /// pointer, not on call frame information.
    pub assumed: usize,
}

/// Walks the stacks of one process.
pub struct Unwinder {
    space: AddressSpace,
    frames: HashMap<ModuleId, Option<CallFrames>>,
    rules: HashMap<(ModuleId, u64), Lookup>,
}

/// How a frame was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Event,
    Information,
    Assumed,
}

/// One step of a walk.
enum Step {
    Caller {
        registers: Registers,
        interrupted: bool,
        assumed: bool,
    },
    End(End),
}

impl Unwinder {
    /// For a process, as it is mapped now.
    ///
    /// # Errors
    /// Those of [`mappings`].
    pub fn new(pid: u32, modules: Arc<Modules>) -> Result<Self, StacksError> {
        Ok(Self::with_mappings(pid, modules, mappings(pid)?))
    }

    /// For a process whose mappings the caller has read.
    pub fn with_mappings(pid: u32, modules: Arc<Modules>, mappings: Vec<Mapping>) -> Self {
        Self {
            space: AddressSpace::new(pid, modules, mappings),
            frames: HashMap::new(),
            rules: HashMap::new(),
        }
    }

    /// Reads the mappings again: after an exec, or when a library was loaded. An address in no
    /// mapping does it by itself, a few times a second at most.
    ///
    /// # Errors
    /// Those of [`mappings`]; the old ones stay in use, so that the last events of a process that
    /// has exited can still be walked.
    pub fn refresh(&mut self) -> Result<(), StacksError> {
        self.space.refresh()
    }

    /// Walks from the registers at an event. `stack` is a copy of the thread's memory from
    /// `stack_base` upward, and `stack_base` usually its stack pointer.
    pub fn unwind(&mut self, registers: Registers, stack_base: u64, stack: &[u8]) -> Walk {
        let memory = StackMemory::new(stack_base, stack);
        let mut walk = Walk {
            addresses: vec![registers.ip],
            locations: vec![self.locate(registers.ip)],
            end: End::TooDeep,
            assumed: 0,
        };
        let (mut registers, mut lookup) = (registers, registers.ip);
        let mut origin = Origin::Event;
        loop {
            match self.step(registers, lookup, origin, memory) {
                Step::End(end) => {
                    walk.end = end;
                    return walk;
                }
                Step::Caller { .. } if walk.addresses.len() == MAX_FRAMES => return walk,
                Step::Caller {
                    registers: caller,
                    interrupted,
                    assumed,
                } => {
                    // A return address is looked up one byte before: within the call.
                    lookup = caller.ip - u64::from(!interrupted);
                    walk.addresses.push(caller.ip);
                    walk.locations.push(self.locate(lookup));
                    walk.assumed += usize::from(assumed);
                    origin = if assumed {
                        Origin::Assumed
                    } else {
                        Origin::Information
                    };
                    registers = caller;
                }
            }
        }
    }

    /// The place of an address in the process. For a return address, pass the byte before it.
    pub fn locate(&mut self, address: u64) -> Location {
        self.space.locate(address)
    }

    fn step(
        &mut self,
        registers: Registers,
        lookup: u64,
        origin: Origin,
        memory: StackMemory<'_>,
    ) -> Step {
        let rule = match self.locate(lookup) {
            Location::Module {
                module,
                file_offset,
            } => self.rule(module, file_offset),
            _ => Lookup::Uncovered,
        };
        let step = match rule {
            Lookup::Found(rule) => self.by_rule(&rule, registers, lookup, memory),
            Lookup::Uncovered => self.by_frame_pointer(registers, origin, memory),
        };
        match step {
            // Stacks grow downward: a caller's frame lies above. This is also why a walk ends.
            Step::Caller {
                registers: caller, ..
            } if caller.sp <= registers.sp => Step::End(End::NoUnwindInformation),
            Step::Caller {
                registers: caller, ..
            } if caller.ip == 0 => Step::End(End::Root),
            Step::Caller {
                registers: caller, ..
            } if !self.space.covers(caller.ip - 1) => Step::End(End::NoUnwindInformation),
            step => step,
        }
    }

    fn rule(&mut self, module: ModuleId, file_offset: u64) -> Lookup {
        if let Some(rule) = self.rules.get(&(module, file_offset)) {
            return *rule;
        }
        let opened = self.space.modules().get(module);
        let rule = opened.and_then(|opened| {
            let address = opened.image.as_ref()?.layout.address_of(file_offset)?;
            let frames = self
                .frames
                .entry(module)
                .or_insert_with(|| CallFrames::of(opened));
            Some(frames.as_mut()?.lookup(address))
        });
        let rule = rule.unwrap_or(Lookup::Uncovered);
        if self.rules.len() >= MAX_RULES {
            self.rules.clear();
        }
        self.rules.insert((module, file_offset), rule);
        rule
    }

    fn by_rule(
        &mut self,
        rule: &Rule,
        registers: Registers,
        lookup: u64,
        memory: StackMemory<'_>,
    ) -> Step {
        if rule.return_address == Value::Undefined {
            return Step::End(End::Root);
        }
        let section = match self.locate(lookup) {
            Location::Module { module, .. } => self.frames.get(&module).and_then(Option::as_ref),
            _ => None,
        };
        let section = section.map_or(&[][..], CallFrames::section);
        match caller_by_rule(rule, registers, section, memory) {
            Ok(registers) => Step::Caller {
                registers,
                interrupted: rule.signal,
                assumed: false,
            },
            Err(Unreadable::Above) => Step::End(End::StackCut),
            Err(Unreadable::Elsewhere) => Step::End(End::NoUnwindInformation),
        }
    }

    /// Without information: at the entry of a function, where probes usually are, the return
    /// address lies at the stack pointer; else the function may have kept a frame pointer.
    fn by_frame_pointer(
        &mut self,
        registers: Registers,
        origin: Origin,
        memory: StackMemory<'_>,
    ) -> Step {
        if origin == Origin::Event
            && let Ok(ip) = memory.word(registers.sp)
            && self.space.follows_a_call(ip)
        {
            let caller = Registers {
                ip,
                sp: registers.sp.wrapping_add(8),
                bp: registers.bp,
            };
            return Step::Caller {
                registers: caller,
                interrupted: false,
                assumed: true,
            };
        }
        if registers.bp == 0 && origin == Origin::Assumed {
            // A chain of frame pointers ends so: the ABI asks the root of a thread to clear it.
            return Step::End(End::Root);
        }
        let saved = memory
            .word(registers.bp)
            .and_then(|bp| Ok((memory.word(registers.bp.wrapping_add(8))?, bp)));
        let aligned = registers.bp.is_multiple_of(8);
        match saved {
            Ok((ip, bp)) if aligned && self.space.follows_a_call(ip) => {
                let caller = Registers {
                    ip,
                    sp: registers.bp.wrapping_add(16),
                    bp,
                };
                Step::Caller {
                    registers: caller,
                    interrupted: false,
                    assumed: true,
                }
            }
            // The root of a goroutine "returns" to where nobody called it.
            Ok((_, 0)) if aligned && origin == Origin::Assumed => Step::End(End::Root),
            Err(Unreadable::Above) if aligned => Step::End(End::StackCut),
            _ => Step::End(End::NoUnwindInformation),
        }
    }
}

fn caller_by_rule(
    rule: &Rule,
    registers: Registers,
    section: &[u8],
    memory: StackMemory<'_>,
) -> Result<Registers, Unreadable> {
    let plus = |base: u64, distance: i32| {
        base.checked_add_signed(distance.into())
            .ok_or(Unreadable::Elsewhere)
    };
    let cfa = match rule.cfa {
        Cfa::StackPointer(distance) => plus(registers.sp, distance)?,
        Cfa::FramePointer(distance) => plus(registers.bp, distance)?,
        Cfa::Expression(program) => evaluate(program, section, registers, None, memory)?,
    };
    let value = |place, unchanged| match place {
        Value::Unchanged => Ok(unchanged),
        Value::AtCfa(distance) => memory.word(plus(cfa, distance)?),
        Value::CfaPlus(distance) => plus(cfa, distance),
        Value::AtExpression(program) => {
            memory.word(evaluate(program, section, registers, Some(cfa), memory)?)
        }
        Value::Expression(program) => evaluate(program, section, registers, Some(cfa), memory),
        Value::Undefined | Value::Unknown => Err(Unreadable::Elsewhere),
    };
    let ip = value(rule.return_address, registers.ip)?;
    // Within an epilogue, information may still point to where the frame pointer lay before it was
    // popped, below the copy: then it has its value again. Elsewhere a lost frame pointer matters
    // only if a later frame needs it.
    let bp = value(rule.frame_pointer, registers.bp).unwrap_or(registers.bp);
    Ok(Registers { ip, sp: cfa, bp })
}

#[cfg(test)]
#[path = "unwind_tests.rs"]
mod tests;
