//! Stacks and names of places in the target's code, for events and call sites.

use std::collections::HashMap;
use std::sync::Arc;

use tailcut_report::recording;

use super::incoming;
use crate::stacks::{
    FlameGraph, Location, Modules, Profile, Registers, StacksError, Symbolizer, Unwinder, Weight,
    WeightKind, folded,
};
use crate::tick::SlowEvent;

/// Names that are remembered by address; forgotten all at once when there are more.
const MOST_NAMES: usize = 4_096;

/// Finds stacks and names in one process.
pub(crate) struct Names {
    unwinder: Unwinder,
    symbolizer: Symbolizer,
    profile: Profile,
    /// Events of the current interval whose stacks have not come yet, by their number.
    waiting: HashMap<u64, usize>,
    known: HashMap<u64, String>,
}

impl Names {
    pub fn new(pid: u32) -> Result<Names, StacksError> {
        let modules = Arc::new(Modules::default());
        Ok(Names {
            unwinder: Unwinder::new(pid, Arc::clone(&modules))?,
            symbolizer: Symbolizer::new(modules),
            profile: Profile::new(),
            waiting: HashMap::new(),
            known: HashMap::new(),
        })
    }

    /// The process executes another program now, or has loaded a library.
    pub fn refresh(&mut self) {
        // If it has ended meanwhile, what was known of it is the best that can be had.
        let _ = self.unwinder.refresh();
        self.known.clear();
    }

    /// An event's stack will come: the event is the `place`-th of the interval.
    pub fn expect(&mut self, event: u64, place: usize) {
        self.waiting.insert(event, place);
    }

    /// A stack has come.
    pub fn take(&mut self, stack: &incoming::Stack, events: &mut [SlowEvent]) {
        let Some(event) = self
            .waiting
            .remove(&stack.event)
            .and_then(|place| events.get_mut(place))
        else {
            return;
        };
        let registers = Registers {
            ip: stack.ip,
            sp: stack.sp,
            bp: stack.bp,
        };
        let walk = self.unwinder.unwind(registers, stack.sp, &stack.bytes);
        let weight = Weight {
            count: 1,
            bytes: event.bytes.unwrap_or(0),
            nanos: event.length_ns(),
        };
        event.stack = self.profile.add(&walk, &event.name, weight);
    }

    /// The interval is over: its events will be given away.
    pub fn forget_waiting(&mut self) {
        self.waiting.clear();
    }

    /// The functions that return addresses lie in. All at once, since a file is parsed for each
    /// batch of places in it, not for each place.
    pub fn of_return_addresses(&mut self, addresses: &[u64]) -> Vec<String> {
        if self.known.len() >= MOST_NAMES {
            self.known.clear();
        }
        let new: Vec<(u64, Location)> = addresses
            .iter()
            .filter(|address| !self.known.contains_key(address))
            // The instruction before is the call.
            .map(|address| (*address, self.unwinder.locate(address.wrapping_sub(1))))
            .collect();
        let locations: Vec<Location> = new.iter().map(|(_, location)| *location).collect();
        self.symbolizer.resolve(&locations);
        for (address, location) in new {
            // What lies nowhere now may be in a library that is known after the next refresh.
            if location != Location::Unmapped {
                let name = self.name_of(location, address);
                self.known.insert(address, name);
            }
        }
        let name = |address: &u64| match self.known.get(address) {
            Some(name) => name.clone(),
            None => format!("{address:#x}"),
        };
        addresses.iter().map(name).collect()
    }

    fn name_of(&mut self, location: Location, address: u64) -> String {
        let frames = self.symbolizer.frames(location);
        let outermost = frames.iter().find(|frame| !frame.inlined);
        match outermost.or(frames.first()) {
            Some(frame) => {
                let module = frame.module.rsplit('/').next().unwrap_or_default();
                format!("{} ({module})", frame.name)
            }
            None => format!("{address:#x}"),
        }
    }

    /// All stacks so far, as a recording holds them.
    pub fn table(&mut self) -> recording::StackTable {
        self.profile.symbolized(&mut self.symbolizer).recorded()
    }

    /// All stacks so far, folded, and as a flame graph: SVG.
    pub fn flame_graph(&mut self, kind: WeightKind) -> Result<(Vec<String>, Vec<u8>), StacksError> {
        let stacks = self.profile.symbolized(&mut self.symbolizer);
        let folded = folded::lines(&self.profile, &stacks, None, kind);
        let mut picture = Vec::new();
        FlameGraph::new("Slow events", kind).write(&folded, &mut picture)?;
        Ok((folded, picture))
    }
}
