//! Stacks of slow calls and pauses that are the allocator's, with what they weigh.
//!
//! Only calls and pauses over the probe's threshold have stacks, so all of this is of the slow ones. Bounded, whatever a
//! recording holds: some thousand stacks of at most 64 frames.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::recording::{Frame, Pause, Stack, StackTable};
use crate::text;

/// Pairs of stack and series that are told apart at most.
const MOST_PAIRS: usize = 20_000;
/// Stacks that are kept, the heaviest of them.
const MOST_STACKS: usize = 2_000;
/// Frames that are kept of a stack: the outermost of deeper ones are left out.
const MOST_FRAMES: usize = 64;

/// A stack and what was spent in it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WeighedStack {
    /// Place of the series in the digest's list.
    pub(crate) series: usize,
    pub(crate) weight: StackWeight,
    /// The innermost first.
    pub(crate) frames: Vec<StackFrame>,
    /// Frames that there were.
    pub(crate) depth: usize,
    /// It does not reach its root.
    pub(crate) cut: bool,
}

/// What some calls weigh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StackWeight {
    pub(crate) count: u64,
    pub(crate) ns: u64,
    pub(crate) bytes: u64,
}

/// One function of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct StackFrame {
    pub(crate) name: String,
    pub(crate) place: Place,
}

/// Whose code a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Program,
    Library,
    Allocator,
    Kernel,
}

/// All of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct WeighedStacks {
    /// The heaviest by time first.
    pub(crate) stacks: Vec<WeighedStack>,
    /// What is in none of them.
    pub(crate) left_out: StackWeight,
}

impl StackWeight {
    pub(crate) fn add(&mut self, more: StackWeight) {
        self.count = self.count.saturating_add(more.count);
        self.ns = self.ns.saturating_add(more.ns);
        self.bytes = self.bytes.saturating_add(more.bytes);
    }
}

/// Takes pauses one at a time.
#[derive(Debug, Default)]
pub(crate) struct StackWeigher {
    weights: HashMap<(u32, usize), StackWeight>,
    left_out: StackWeight,
}

impl StackWeigher {
    /// Takes a call or pause of the allocator's; `has_bytes` says that its detail is a number of bytes.
    pub(crate) fn pause(&mut self, pause: &Pause, series: usize, has_bytes: bool) {
        let Some(stack) = pause.stack else {
            return;
        };
        let weight = StackWeight {
            count: 1,
            ns: pause.length_ns(),
            bytes: pause.detail.filter(|_| has_bytes).unwrap_or(0),
        };
        let full = self.weights.len() >= MOST_PAIRS;
        match self.weights.entry((stack, series)) {
            std::collections::hash_map::Entry::Vacant(_) if full => self.left_out.add(weight),
            entry => entry.or_default().add(weight),
        }
    }

    /// Whether [`StackWeigher::finish`] has a use for the stacks.
    pub(crate) fn points_to_stacks(&self) -> bool {
        !self.weights.is_empty()
    }

    pub(crate) fn finish(self, table: &StackTable) -> WeighedStacks {
        let by_id: HashMap<u32, &Stack> =
            table.stacks.iter().map(|stack| (stack.id, stack)).collect();
        let mut left_out = self.left_out;
        let mut weights: Vec<_> = self.weights.into_iter().collect();
        weights.sort_unstable_by_key(|(key, weight)| (Reverse(weight.ns), *key));
        let mut stacks = Vec::new();
        for ((id, series), weight) in weights {
            match by_id.get(&id) {
                Some(stack) if stacks.len() < MOST_STACKS => {
                    stacks.push(weighed(stack, series, weight));
                }
                _ => left_out.add(weight),
            }
        }
        WeighedStacks { stacks, left_out }
    }
}

fn weighed(stack: &Stack, series: usize, weight: StackWeight) -> WeighedStack {
    // A stack that does not reach its root ends in a frame that says why.
    let outermost = stack.frames.last();
    let cut = outermost.is_some_and(|frame| frame.module.is_empty() && frame.name.starts_with('['));
    let depth = stack.frames.len() - usize::from(cut);
    WeighedStack {
        series,
        weight,
        frames: stack.frames[..depth]
            .iter()
            .take(MOST_FRAMES)
            .map(|frame| StackFrame {
                name: match text::name(&frame.name) {
                    name if name.is_empty() => "[unknown]".to_owned(),
                    name => name,
                },
                place: place(frame),
            })
            .collect(),
        depth,
        cut,
    }
}

/// Whose code it is, by the names of file and function: a guess for the colour, and for where the program begins.
fn place(frame: &Frame) -> Place {
    const ALLOCATORS: [&str; 5] = ["jemalloc", "mimalloc", "tcmalloc", "hoard", "rpmalloc"];
    const FUNCTIONS: [&str; 12] = [
        "malloc",
        "calloc",
        "realloc",
        "free",
        "cfree",
        "memalign",
        "posix_memalign",
        "aligned_alloc",
        "sysmalloc",
        "brk",
        "sbrk",
        "malloc_consolidate",
    ];
    const PREFIXES: [&str; 26] = [
        "je_",
        "_rjem_",
        "mi_",
        "_mi_",
        "_int_",
        "__libc_malloc",
        "__libc_free",
        "__libc_calloc",
        "__libc_realloc",
        "__libc_memalign",
        "__GI___libc_",
        "tcache_",
        "arena_",
        "systrim",
        "extent_",
        "ehooks_",
        "pac_",
        "hpa_",
        "operator new",
        "operator delete",
        "__rust_",
        "__rdl_",
        // Redis's own layer, and the wrappers that programs in C have.
        "zmalloc",
        "zcalloc",
        "xmalloc",
        "g_malloc",
    ];
    const RUST: [&str; 4] = [
        "alloc::alloc::",
        "alloc::raw_vec::",
        "<alloc::raw_vec::",
        "core::alloc::",
    ];
    let (name, module) = (frame.name.as_str(), frame.module.as_str());
    let begins = |all: &[&str]| all.iter().any(|prefix| name.starts_with(prefix));
    if module.starts_with("[kernel") {
        Place::Kernel
    } else if ALLOCATORS
        .iter()
        .any(|allocator| module.contains(allocator))
        || FUNCTIONS.contains(&name)
        || begins(&PREFIXES)
        || begins(&RUST)
        || of_go(name)
    {
        Place::Allocator
    } else if module.contains(".so") || module.starts_with('[') {
        Place::Library
    } else {
        Place::Program
    }
}

/// Whether Go's runtime allocates there, or does what a compiler makes of `make`, `append`, a map and a conversion.
fn of_go(name: &str) -> bool {
    const STARTS: [&str; 4] = ["main", "goexit", "rt0_go", "gcBgMarkWorker"];
    let start = |name: &str| STARTS.iter().any(|start| name.starts_with(start));
    name.strip_prefix("runtime.")
        .is_some_and(|name| !start(name))
}

impl WeighedStack {
    /// The innermost function that is neither the allocator's, nor a library's, nor the kernel's; without one, the
    /// innermost of all.
    pub(crate) fn site(&self) -> &str {
        let own = self
            .frames
            .iter()
            .find(|frame| frame.place == Place::Program);
        let site = own.or(self.frames.first());
        site.map_or("[unknown]", |frame| frame.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(stack: u32, ns: u64) -> Pause {
        Pause {
            start_ns: 1_000,
            end_ns: 1_000 + ns,
            stack: Some(stack),
            detail: Some(64),
            ..Pause::default()
        }
    }

    fn table(frames: &[(&str, &str)]) -> StackTable {
        let frame = |(name, module): &(&str, &str)| Frame {
            name: (*name).to_owned(),
            module: (*module).to_owned(),
            ..Frame::default()
        };
        StackTable {
            stacks: vec![Stack {
                id: 7,
                frames: frames.iter().map(frame).collect(),
            }],
        }
    }

    #[test]
    fn the_site_is_the_innermost_function_of_the_program_itself() {
        let mut weigher = StackWeigher::default();
        weigher.pause(&pause(7, 5_000), 0, true);
        weigher.pause(&pause(7, 6_000), 0, true);
        let found = weigher.finish(&table(&[
            ("__libc_malloc", "libc.so.6"),
            ("_int_malloc", "libc.so.6"),
            ("alloc::alloc::alloc", "app"),
            ("settle", "app"),
            ("__libc_start_main_impl", "libc.so.6"),
        ]));
        let stack = &found.stacks[0];
        assert_eq!((stack.site(), stack.depth, stack.cut), ("settle", 5, false));
        assert_eq!(
            (stack.weight.count, stack.weight.ns, stack.weight.bytes),
            (2, 11_000, 128)
        );
    }

    #[test]
    fn wrappers_of_malloc_are_the_allocators_and_the_start_of_a_program_is_not() {
        let of = |name: &str, module: &str| {
            place(&Frame {
                name: name.to_owned(),
                module: module.to_owned(),
                ..Frame::default()
            })
        };
        assert_eq!(of("zmalloc_usable", "redis-server"), Place::Allocator);
        assert_eq!(of("je_arena_decay", "redis-server"), Place::Allocator);
        assert_eq!(of("anything", "libjemalloc.so.2"), Place::Allocator);
        assert_eq!(of("__libc_start_main_impl", "libc.so.6"), Place::Library);
        assert_eq!(of("mallocate_orders", "orders"), Place::Program);
        assert_eq!(of("do_munmap", "[kernel]"), Place::Kernel);
        assert_eq!(of("runtime.mallocgc", "orders"), Place::Allocator);
        assert_eq!(of("runtime.makemap_small", "orders"), Place::Allocator);
        assert_eq!(of("main.(*service).handle", "orders"), Place::Program);
        assert_eq!(of("runtime.goexit", "orders"), Place::Program);
    }

    #[test]
    fn a_stack_that_was_cut_or_is_not_there_is_said_to_be_so() {
        let mut weigher = StackWeigher::default();
        weigher.pause(&pause(7, 5_000), 0, false);
        weigher.pause(&pause(8, 900), 0, false);
        let found = weigher.finish(&table(&[("free", "libc.so.6"), ("[stack cut]", "")]));
        assert_eq!((found.stacks[0].depth, found.stacks[0].cut), (1, true));
        assert_eq!(found.stacks[0].site(), "free");
        assert_eq!((found.left_out.count, found.left_out.ns), (1, 900));
    }

    #[test]
    fn no_recording_makes_more_stacks_than_a_page_bears() {
        let mut weigher = StackWeigher::default();
        for id in 0..2 * MOST_PAIRS as u32 {
            weigher.pause(&pause(id, u64::MAX - 1_000), 0, true);
        }
        let frames = vec![Frame::default(); 500];
        let stacks = (0..MOST_PAIRS as u32).map(|id| Stack {
            id,
            frames: frames.clone(),
        });
        let found = weigher.finish(&StackTable {
            stacks: stacks.take(3_000).collect(),
        });
        assert_eq!(found.stacks.len(), MOST_STACKS);
        assert!(
            found
                .stacks
                .iter()
                .all(|stack| stack.frames.len() == MOST_FRAMES)
        );
        assert_eq!(
            found.left_out.count,
            2 * MOST_PAIRS as u64 - MOST_STACKS as u64
        );
    }
}
