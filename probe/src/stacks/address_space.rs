//! Which file an address of a process belongs to, kept up to date while libraries come and go.
//!
//! An address in no mapping makes the map be read again, a few times a second at most: that is how
//! a library is noticed that was loaded after the start.

use super::error::StacksError;
use super::location::Location;
use super::mappings::{Mapping, mappings};
use super::modules::{ModuleId, Modules};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The least time between two readings of the map that addresses ask for.
const REFRESH_INTERVAL: Duration = Duration::from_millis(250);

/// How often a missing file with names of code made at run time is looked for.
const PERF_MAP_INTERVAL: Duration = Duration::from_secs(1);

/// The executable memory of one process.
pub(super) struct AddressSpace {
    pid: u32,
    modules: Arc<Modules>,
    regions: Vec<Region>,
    last_refresh: Instant,
    /// When to look for names of code made at run time; `None` when they are open.
    next_perf_map: Option<Instant>,
}

/// A mapping, with its module once a stack has led there.
struct Region {
    mapping: Mapping,
    backing: Option<Backing>,
}

#[derive(Clone, Copy)]
enum Backing {
    Module(ModuleId),
    Anonymous,
}

impl AddressSpace {
    pub fn new(pid: u32, modules: Arc<Modules>, mappings: Vec<Mapping>) -> Self {
        let now = Instant::now();
        let mut space = Self {
            pid,
            modules,
            regions: Vec::new(),
            last_refresh: now,
            next_perf_map: Some(now),
        };
        space.set_mappings(mappings);
        space
    }

    pub fn modules(&self) -> &Modules {
        &self.modules
    }

    /// Reads the map again; the old one stays in use if that fails.
    pub fn refresh(&mut self) -> Result<(), StacksError> {
        self.last_refresh = Instant::now();
        let mappings = mappings(self.pid)?;
        self.set_mappings(mappings);
        Ok(())
    }

    /// Whether an address is executable.
    pub fn covers(&mut self, address: u64) -> bool {
        self.region(address).is_some()
    }

    pub fn locate(&mut self, address: u64) -> Location {
        let Some(index) = self.region(address) else {
            return Location::Unmapped;
        };
        match self.backing(index) {
            Backing::Module(module) => {
                let mapping = &self.regions[index].mapping;
                let file_offset = mapping.file_offset.wrapping_add(address - mapping.start);
                Location::Module {
                    module,
                    file_offset,
                }
            }
            Backing::Anonymous => {
                self.open_perf_map();
                Location::Anonymous {
                    pid: self.pid,
                    address,
                }
            }
        }
    }

    /// Whether an address lies behind a call instruction, or in code made at run time.
    pub fn follows_a_call(&mut self, address: u64) -> bool {
        let Some(before) = address.checked_sub(1) else {
            return false;
        };
        match self.locate(before) {
            Location::Anonymous { .. } => true,
            Location::Module {
                module,
                file_offset,
            } => {
                let module = self.modules.get(module);
                let Some(image) = module.as_ref().and_then(|module| module.image.as_ref()) else {
                    return false;
                };
                usize::try_from(file_offset)
                    .ok()
                    .and_then(|last| image.bytes().get(last.saturating_sub(6)..=last))
                    .is_some_and(ends_with_a_call)
            }
            Location::Kernel { .. } | Location::Unmapped => false,
        }
    }

    fn set_mappings(&mut self, mut mappings: Vec<Mapping>) {
        mappings.sort_by_key(|mapping| mapping.start);
        let old = std::mem::take(&mut self.regions);
        let backing = |mapping: &Mapping| {
            let at = old.binary_search_by_key(&mapping.start, |region| region.mapping.start);
            let region = old.get(at.ok()?)?;
            (region.mapping == *mapping).then_some(region.backing)?
        };
        self.regions = mappings
            .into_iter()
            .map(|mapping| Region {
                backing: backing(&mapping),
                mapping,
            })
            .collect();
    }

    fn region(&mut self, address: u64) -> Option<usize> {
        self.find(address).or_else(|| {
            if self.last_refresh.elapsed() < REFRESH_INTERVAL || self.refresh().is_err() {
                return None;
            }
            self.find(address)
        })
    }

    fn find(&self, address: u64) -> Option<usize> {
        let after = self
            .regions
            .partition_point(|region| region.mapping.start <= address);
        let index = after.checked_sub(1)?;
        (address < self.regions[index].mapping.end).then_some(index)
    }

    fn backing(&mut self, index: usize) -> Backing {
        let Region { mapping, backing } = &mut self.regions[index];
        *backing.get_or_insert_with(|| {
            if !mapping.has_image() {
                return Backing::Anonymous;
            }
            let id = self.modules.open(self.pid, mapping);
            // Some run times keep the code that they make in a file of their own memory. A program
            // can be started from such a file too; then it is an ELF file.
            let in_memory = mapping.name.starts_with("/memfd:");
            let is_program = || {
                self.modules
                    .get(id)
                    .is_some_and(|module| module.image.is_some())
            };
            if in_memory && !is_program() {
                Backing::Anonymous
            } else {
                Backing::Module(id)
            }
        })
    }

    /// While the process lives; a compiler may begin to write it later.
    fn open_perf_map(&mut self) {
        if self.next_perf_map.is_some_and(|due| Instant::now() >= due) {
            let open = self.modules.open_perf_map(self.pid);
            self.next_perf_map = (!open).then(|| Instant::now() + PERF_MAP_INTERVAL);
        }
    }
}

/// Whether code ends with a near call: `E8` with a relative address, or `FF /2` with an operand of
/// one to six bytes.
fn ends_with_a_call(code: &[u8]) -> bool {
    let at = |back: usize| code.len().checked_sub(back).map(|index| code[index]);
    let indirect = |back: usize| {
        at(back) == Some(0xff) && at(back - 1).is_some_and(|operand| operand & 0x38 == 0x10)
    };
    at(5) == Some(0xe8) || [2, 3, 4, 6, 7].into_iter().any(indirect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_told_from_other_code() {
        assert!(ends_with_a_call(&[0x90, 0x90, 0xe8, 1, 2, 3, 4]));
        assert!(ends_with_a_call(&[0, 0, 0, 0, 0, 0xff, 0xd0])); // call *%rax
        assert!(ends_with_a_call(&[0, 0xff, 0x15, 1, 2, 3, 4])); // call *x(%rip)
        assert!(ends_with_a_call(&[0, 0, 0x41, 0xff, 0x54, 0x24, 0x08])); // call *8(%r12)
        assert!(!ends_with_a_call(&[0x90; 7]));
        assert!(!ends_with_a_call(&[0, 0, 0, 0, 0, 0xff, 0xe0])); // jmp *%rax
        assert!(!ends_with_a_call(&[]));
    }

    #[test]
    fn a_new_map_keeps_the_modules_of_the_mappings_that_stayed() {
        let modules = Arc::new(Modules::default());
        let pid = std::process::id();
        let mut space = AddressSpace::new(pid, Arc::clone(&modules), mappings(pid).unwrap());
        let here = ends_with_a_call as *const () as u64;
        let place = space.locate(here);
        let known = |space: &AddressSpace| {
            let opened = space
                .regions
                .iter()
                .filter(|region| region.backing.is_some());
            opened.count()
        };
        assert_eq!(known(&space), 1);
        space.refresh().unwrap();
        assert_eq!(known(&space), 1);
        assert_eq!((space.locate(here), modules.len()), (place, 1));
    }

    #[test]
    fn an_address_is_in_the_mapping_that_holds_it_and_in_no_other() {
        let mapping = |start, end| Mapping {
            start,
            end,
            file_offset: 0,
            path: "".into(),
            name: String::new(),
            inode: 0,
        };
        let maps = vec![mapping(0x3000, 0x4000), mapping(0x1000, 0x2000)];
        let mut space = AddressSpace::new(u32::MAX, Arc::default(), maps);
        for (address, covered) in [
            (0xfff, false),
            (0x1000, true),
            (0x1fff, true),
            (0x2000, false),
            (0x3fff, true),
            (u64::MAX, false),
        ] {
            assert_eq!(space.covers(address), covered, "{address:#x}");
        }
    }
}
