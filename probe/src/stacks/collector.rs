//! All of [`stacks`](super) behind one door: events of several processes in, numbers of stacks and
//! a table of names out.
//!
//! Costs the sum of its parts: a walk and a profile's entry for each event (5 us for 30 frames that
//! are known), an [`Unwinder`] for each process, and names when they are asked for.

use super::error::StacksError;
use super::modules::Modules;
use super::profile::{Profile, Weight};
use super::symbols::{StackTable, Symbolizer};
use super::unwind::{Registers, Unwinder, Walk};
use std::collections::HashMap;
use std::sync::Arc;

/// Processes whose memory maps are held; when there are more, those of all are read again.
const MAX_PROCESSES: usize = 256;

/// Collects the stacks of slow events.
pub struct Collector {
    modules: Arc<Modules>,
    unwinders: HashMap<u32, Unwinder>,
    profile: Profile,
    symbolizer: Symbolizer,
}

impl Default for Collector {
    fn default() -> Self {
        Self::new()
    }
}

impl Collector {
    /// Without stacks yet; room for 10,000 different ones.
    pub fn new() -> Self {
        let modules = Arc::new(Modules::default());
        Self {
            symbolizer: Symbolizer::new(Arc::clone(&modules)),
            modules,
            unwinders: HashMap::new(),
            profile: Profile::new(),
        }
    }

    /// Reads the memory map of a process before its first event, so that even a process that exits
    /// with that event has names.
    ///
    /// # Errors
    /// If the process is gone or may not be read.
    pub fn watch(&mut self, process: u32) -> Result<(), StacksError> {
        self.unwinder(process).map(|_| ())
    }

    /// Adds an event: the registers of its thread and a copy of its stack from `registers.sp`
    /// upward. Returns the walk, and the number of the stack, or `None` if there is no room for
    /// another.
    ///
    /// # Errors
    /// If it is the first event of a process that is gone or may not be read.
    pub fn add(
        &mut self,
        process: u32,
        registers: Registers,
        stack: &[u8],
        kind: &str,
        weight: Weight,
    ) -> Result<(Walk, Option<u32>), StacksError> {
        let walk = self
            .unwinder(process)?
            .unwind(registers, registers.sp, stack);
        let id = self.profile.add(&walk, kind, weight);
        Ok((walk, id))
    }

    /// The process became another program.
    pub fn executed(&mut self, process: u32) {
        self.unwinders.remove(&process);
    }

    /// The process has gone, and all its events have been added.
    pub fn exited(&mut self, process: u32) {
        self.unwinders.remove(&process);
    }

    /// The stacks and their weights.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// All stacks so far with names. Names are remembered, so asking each minute costs only what
    /// is new.
    pub fn table(&mut self) -> StackTable {
        self.profile.symbolized(&mut self.symbolizer)
    }

    fn unwinder(&mut self, process: u32) -> Result<&mut Unwinder, StacksError> {
        if !self.unwinders.contains_key(&process) {
            let unwinder = Unwinder::new(process, Arc::clone(&self.modules))?;
            if self.unwinders.len() >= MAX_PROCESSES {
                self.unwinders.clear();
            }
            self.unwinders.insert(process, unwinder);
        }
        Ok(self
            .unwinders
            .get_mut(&process)
            .expect("it was inserted just now"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Weight = Weight {
        count: 1,
        bytes: 0,
        nanos: 0,
    };

    fn at(function: fn()) -> Registers {
        Registers {
            ip: function as *const () as u64,
            sp: 0x1000,
            bp: 0,
        }
    }

    fn one() {}

    #[test]
    fn events_become_numbers_and_numbers_names() {
        let mut collector = Collector::new();
        let own = std::process::id();
        let (_, id) = collector.add(own, at(one), &[], "malloc", ONE).unwrap();
        let (_, again) = collector.add(own, at(one), &[], "free", ONE).unwrap();
        assert_eq!((id, again), (Some(0), Some(0)));
        let table = collector.table();
        let name = &table.stacks[0].frames.last().unwrap().name;
        assert!(name.ends_with("collector::tests::one"), "{name}");
    }

    #[test]
    fn a_process_that_is_gone_is_an_error_and_one_that_was_watched_is_not() {
        let mut collector = Collector::new();
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        collector.watch(child.id()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let registers = at(one);
        assert!(
            collector
                .add(child.id(), registers, &[], "malloc", ONE)
                .is_ok()
        );
        assert!(matches!(
            collector.add(u32::MAX, registers, &[], "malloc", ONE),
            Err(StacksError::Maps { pid: u32::MAX, .. })
        ));
    }
}
