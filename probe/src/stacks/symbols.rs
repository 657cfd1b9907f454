//! From places to names: functions, with those inlined into them, and lines.
//!
//! By `blazesym`, from the files that [`Modules`] keeps open, so the process need not live any
//! more. Which file is read, and when lines are left out for their size, is decided in
//! `debug_files.rs`. Names are found for a whole batch of places, module by module, and what was
//! held for a module is dropped before the next one: memory is that of the largest module, not of
//! their sum.
//!
//! Costs (EPYC guest, release build, `examples/stacks_of.rs --file FILE 4000`; peak of resident
//! memory, of which 2.3 MB are the process itself):
//!
//! | file | symbols from | us a place | peak, MB |
//! |---|---|---|---|
//! | libc.so.6 (2 MB) with its debug file | lines, inlined functions | 40 | 38 |
//! | libpython3.13.so with 25 MB of debug information | lines, inlined functions | 63 | 24 |
//! | a release build with line tables, 18 MB of debug information | lines, inlined functions | 79 | 23 |
//! | a debug build with 46 MB of it | table of symbols | 3 | 8 |
//! | librustc_driver.so, 154 MB | table of symbols | 7 | 29 |

use super::debug_files::SymbolFile;
use super::demangle::demangle;
use super::location::Location;
use super::modules::{Image, Module, ModuleId, Modules};
use super::text;
use super::unwind::End;
use super::{kernel, perf_map};
use crate::binary::go::GoProgram;
use blazesym::symbolize::source::{Elf, Source};
use blazesym::symbolize::{CodeInfo, Input, Sym, Symbolized};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Places whose names are remembered; when there are more, all are forgotten.
const MAX_CACHED: usize = 32_768;

/// Functions inlined into one place that are told, from the innermost outward.
const MAX_INLINED: usize = 64;

/// Places of one module that are asked for at a time, sorted. Between two batches nothing is held, so
/// this bounds what is in memory at once.
const BATCH: usize = 4096;

/// The same for a file with much debug information: fewer units of it are touched by one batch. Over
/// a file with 49 MB, the peak was 90 MB with the larger batch and 50 MB with this one.
const SMALL_BATCH: usize = 128;

/// From how many bytes on debug information is much.
const MUCH_DEBUG: u64 = 16 << 20;

/// A function of a stack. Names hold no control characters and at most 512 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    /// The function, demangled; `[libfoo.so]` if only the file is known, `[anon]` for code made at
    /// run time without a name, `[kernel]` where the kernel does not tell.
    pub name: Arc<str>,
    /// The file it lies in, as the target sees it.
    pub module: Arc<str>,
    /// Source file.
    pub file: Option<Arc<str>>,
    /// Line in `file`: of the call to the frame below, or of the event itself.
    pub line: Option<u32>,
    /// Whether the compiler inlined it into the next frame of the stack.
    pub inlined: bool,
}

/// A stack with names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// The number that the profile gave it.
    pub id: u32,
    /// Innermost first.
    pub frames: Vec<Arc<Frame>>,
    /// Why there are no more.
    pub end: End,
}

/// The stacks of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackTable {
    /// By rising number.
    pub stacks: Vec<Stack>,
}

/// Finds names. Remembers them.
#[derive(Debug)]
pub struct Symbolizer {
    modules: Arc<Modules>,
    cache: HashMap<Location, Arc<[Arc<Frame>]>>,
    texts: HashSet<Arc<str>>,
}

impl Symbolizer {
    /// Over the files that unwinders have opened.
    pub fn new(modules: Arc<Modules>) -> Self {
        Self {
            modules,
            cache: HashMap::new(),
            texts: HashSet::new(),
        }
    }

    /// The functions at a place, innermost first: those that were inlined there, then the one that
    /// holds the code. Never empty. For more than one place, [`resolve`](Self::resolve) them
    /// together first: a module is opened and parsed for each batch, not for each place.
    pub fn frames(&mut self, location: Location) -> Arc<[Arc<Frame>]> {
        if !self.cache.contains_key(&location) {
            self.resolve(&[location]);
        }
        self.cache
            .get(&location)
            .cloned()
            .unwrap_or_else(|| Arc::new([]))
    }

    /// Finds the names of many places at once, and remembers them.
    pub fn resolve(&mut self, locations: &[Location]) {
        let new: HashSet<Location> = locations
            .iter()
            .filter(|place| !self.cache.contains_key(*place))
            .copied()
            .collect();
        if !new.is_empty() && self.cache.len() + new.len() > MAX_CACHED {
            self.cache.clear();
            self.texts.clear();
        }
        let (mut files, mut anonymous, mut kernel) = (
            BTreeMap::<ModuleId, Vec<u64>>::new(),
            BTreeMap::<u32, Vec<u64>>::new(),
            Vec::new(),
        );
        for location in new {
            match location {
                Location::Module {
                    module,
                    file_offset,
                } => {
                    files.entry(module).or_default().push(file_offset);
                }
                Location::Anonymous { pid, address } => {
                    anonymous.entry(pid).or_default().push(address);
                }
                Location::Kernel { address } => kernel.push(address),
                Location::Unmapped => self.remember_special(location, "[unmapped]", ""),
            }
        }
        for (module, offsets) in files {
            self.resolve_module(module, offsets);
        }
        for (pid, addresses) in anonymous {
            self.resolve_anonymous(pid, &addresses);
        }
        if !kernel.is_empty() {
            for (address, name) in kernel.iter().zip(kernel::names(&kernel)) {
                let name = name.map_or_else(|| "[kernel]".to_string(), |name| text::clean(&name));
                self.remember_special(Location::Kernel { address: *address }, &name, "[kernel]");
            }
        }
    }

    fn resolve_module(&mut self, id: ModuleId, mut offsets: Vec<u64>) {
        let Some(module) = self.modules.get(id) else {
            return;
        };
        offsets.sort_unstable();
        let source = module
            .image
            .as_ref()
            .map(|image| (image, SymbolFile::of(image)));
        let much = source
            .as_ref()
            .is_some_and(|(_, file)| file.debug_bytes > MUCH_DEBUG);
        for offsets in offsets.chunks(if much { SMALL_BATCH } else { BATCH }) {
            match &source {
                Some((image, file)) => self.resolve_batch(id, &module, image, file, offsets),
                None => self.remember_unnamed(id, &module, offsets),
            }
        }
    }

    fn resolve_batch(
        &mut self,
        id: ModuleId,
        module: &Module,
        image: &Image,
        file: &SymbolFile,
        offsets: &[u64],
    ) {
        // A place without an address gets one that has no symbol.
        let addresses: Vec<u64> = offsets
            .iter()
            .map(|offset| image.layout.address_of(*offset).unwrap_or(u64::MAX))
            .collect();
        // The parsers of symbols meet hostile files here. Should one panic, it costs the module its
        // names, not the recording.
        let found = catch_unwind(AssertUnwindSafe(|| {
            let symbolizer = blazesym::symbolize::Symbolizer::builder().build();
            let source = Elf {
                debug_syms: file.debug_bytes > 0,
                ..Elf::new(&file.path)
            };
            let symbols = symbolizer
                .symbolize(&Source::Elf(source), Input::VirtOffset(&addresses))
                .ok()?;
            let mut unknown = Vec::new();
            for (offset, symbol) in offsets.iter().zip(&symbols) {
                let location = Location::Module {
                    module: id,
                    file_offset: *offset,
                };
                match symbol {
                    Symbolized::Sym(symbol) => self.remember_symbol(location, module, symbol),
                    Symbolized::Unknown(..) => unknown.push(*offset),
                }
            }
            Some(unknown)
        }));
        let unknown = match &found {
            Ok(Some(unknown)) => unknown,
            _ => offsets,
        };
        if !unknown.is_empty() {
            self.remember_by_go(id, module, image, unknown);
            self.remember_unnamed(id, module, unknown);
        }
    }

    /// A Go program that is stripped of symbols still has the table of functions that its runtime needs.
    fn remember_by_go(&mut self, id: ModuleId, module: &Module, image: &Image, offsets: &[u64]) {
        let names = catch_unwind(AssertUnwindSafe(|| {
            let program = GoProgram::of_file(&image.path()).ok()??;
            let name = |offset: &u64| {
                let address = image.layout.address_of(*offset)?;
                Some((*offset, program.function_at(address)?.name))
            };
            Some(offsets.iter().filter_map(name).collect::<Vec<_>>())
        }));
        for (file_offset, name) in names.ok().flatten().unwrap_or_default() {
            let location = Location::Module {
                module: id,
                file_offset,
            };
            self.remember_special(location, &text::clean(&name), &module.name);
        }
    }

    fn resolve_anonymous(&mut self, pid: u32, addresses: &[u64]) {
        let map = self.modules.perf_map(pid);
        let names = map
            .map(|map| perf_map::names(&map, addresses))
            .unwrap_or_default();
        for address in addresses {
            let name = names.get(address).map_or("[anon]", String::as_str);
            self.remember_special(
                Location::Anonymous {
                    pid,
                    address: *address,
                },
                name,
                "[anon]",
            );
        }
    }

    fn remember_symbol(&mut self, location: Location, module: &Module, symbol: &Sym<'_>) {
        let module = self.text(&module.name);
        let mut frames = Vec::with_capacity(symbol.inlined.len().min(MAX_INLINED) + 1);
        for function in symbol.inlined.iter().rev().take(MAX_INLINED) {
            let place = function.code_info.as_ref();
            frames.push(self.frame(&function.name, &module, place, true));
        }
        frames.push(self.frame(&symbol.name, &module, symbol.code_info.as_deref(), false));
        self.cache.insert(location, frames.into());
    }

    fn frame(
        &mut self,
        symbol: &str,
        module: &Arc<str>,
        place: Option<&CodeInfo<'_>>,
        inlined: bool,
    ) -> Arc<Frame> {
        let file = place.map(|place| text::clean(&place.to_path().to_string_lossy()));
        Arc::new(Frame {
            name: self.text(&demangle(symbol)),
            module: Arc::clone(module),
            file: file.map(|file| self.text(&file)),
            line: place.and_then(|place| place.line).filter(|line| *line != 0),
            inlined,
        })
    }

    /// A function whose name is not known bears that of its file, without its offset: so a profile
    /// holds it once.
    fn remember_unnamed(&mut self, id: ModuleId, module: &Module, offsets: &[u64]) {
        let base = module.name.rsplit('/').next().unwrap_or_default();
        let name = if base.starts_with('[') {
            base.to_string()
        } else {
            format!("[{base}]")
        };
        for offset in offsets {
            let location = Location::Module {
                module: id,
                file_offset: *offset,
            };
            if !self.cache.contains_key(&location) {
                self.remember_special(location, &name, &module.name);
            }
        }
    }

    fn remember_special(&mut self, location: Location, name: &str, module: &str) {
        let (name, module) = (self.text(name), self.text(module));
        let frame = Arc::new(Frame {
            name,
            module,
            file: None,
            line: None,
            inlined: false,
        });
        self.cache.insert(location, Arc::new([frame]));
    }

    /// One copy of each text.
    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&text));
        text
    }
}

#[cfg(test)]
#[path = "symbols_tests.rs"]
mod tests;
