//! Stacks of programs in C, built here without frame pointers, that wait at the end of a known chain
//! of calls: in the ways that programs are linked, and in the places where stacks are hard to walk.
//!
//! A thread that waits in a system call shows its stack pointer and instruction pointer in
//! `/proc/PID/syscall`, and its stack in `/proc/PID/mem`: all that the kernel side sends, but `rbp`.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use proptest::prelude::*;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tailcut_probe::stacks::{
    End, Location, Mapping, Modules, Profile, Registers, Symbolizer, Unwinder, Walk, Weight,
    WeightKind, folded, mappings,
};
use tempfile::TempDir;

const OPTIMISED: [&str; 2] = ["-O2", "-fomit-frame-pointer"];

/// A program that waits in `read`.
struct Waiting {
    child: Child,
    modules: Arc<Modules>,
    unwinder: Unwinder,
    registers: Registers,
    stack: Vec<u8>,
    path: PathBuf,
    _folder: TempDir,
}

impl Waiting {
    fn start(source: &str, flags: &[&str]) -> Self {
        Self::start_with(source, flags, &[], &[])
    }

    fn start_with(
        source: &str,
        flags: &[&str],
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = compile(folder.path(), source, flags);
        let child = Command::new(&path)
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = child.id();
        let registers = wait_for_read(pid);
        let stack = copy_stack(pid, registers.sp);
        let modules = Arc::new(Modules::default());
        let unwinder = Unwinder::new(pid, Arc::clone(&modules)).unwrap();
        Self {
            child,
            modules,
            unwinder,
            registers,
            stack,
            path,
            _folder: folder,
        }
    }

    fn walk(&mut self) -> Walk {
        self.unwinder
            .unwind(self.registers, self.registers.sp, &self.stack)
    }

    fn names(&mut self) -> (Vec<String>, Walk) {
        let walk = self.walk();
        (
            names(&walk, &mut Symbolizer::new(Arc::clone(&self.modules))),
            walk,
        )
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(format!("/tmp/perf-{}.map", self.child.id()));
    }
}

fn compile(folder: &Path, source: &str, flags: &[&str]) -> PathBuf {
    let program = folder.join(source.replace(".c", ""));
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
    let status = Command::new("cc")
        .args(OPTIMISED)
        .args(flags)
        .arg("-o")
        .arg(&program)
        .arg(sources.join(source))
        .status()
        .expect("these tests need a C compiler, cc");
    assert!(status.success());
    program
}

/// Waits until the first thread is within `read`, whose number is 0.
fn wait_for_read(pid: u32) -> Registers {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let text = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
        let fields: Vec<&str> = text.split_whitespace().collect();
        if fields.len() == 9 && fields[0] == "0" {
            let number =
                |field: &str| u64::from_str_radix(field.trim_start_matches("0x"), 16).unwrap();
            return Registers {
                ip: number(fields[8]),
                sp: number(fields[7]),
                bp: 0,
            };
        }
        assert!(
            Instant::now() < deadline,
            "the program never came to wait: {text:?}"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn copy_stack(pid: u32, sp: u64) -> Vec<u8> {
    let mut stack = vec![0; 16 << 10];
    let length = File::open(format!("/proc/{pid}/mem"))
        .unwrap()
        .read_at(&mut stack, sp)
        .unwrap();
    stack.truncate(length);
    stack
}

fn names(walk: &Walk, symbolizer: &mut Symbolizer) -> Vec<String> {
    let frames = walk
        .locations
        .iter()
        .flat_map(|place| symbolizer.frames(*place).to_vec());
    frames.map(|frame| frame.name.to_string()).collect()
}

/// The names of interest, in order.
fn of(names: &[String], wanted: &[&str]) -> Vec<String> {
    names
        .iter()
        .filter(|name| wanted.contains(&name.as_str()))
        .cloned()
        .collect()
}

const CHAIN: [&str; 4] = ["three", "two", "one", "main"];

#[test]
fn the_chain_is_walked_to_its_root_however_the_program_is_linked() {
    for flags in [
        &["-pie"][..],
        &["-no-pie"],
        &["-static"],
        &["-static-pie"],
        &["-Wl,--no-eh-frame-hdr"],
    ] {
        let (names, walk) = Waiting::start("chain.c", flags).names();
        assert_eq!(of(&names, &CHAIN), CHAIN, "{flags:?}: {names:?}");
        assert_eq!(
            (walk.end, walk.assumed),
            (End::Root, 0),
            "{flags:?}: {names:?}"
        );
        assert!(names[0].contains("read"), "{flags:?}: {names:?}");
    }
}

#[test]
fn a_stripped_program_has_the_same_stack_under_the_name_of_its_file() {
    let (named, whole) = Waiting::start("chain.c", &[]).names();
    let (names, walk) = Waiting::start("chain.c", &["-s"]).names();
    assert_eq!(walk.addresses.len(), whole.addresses.len());
    assert_eq!(walk.end, End::Root);
    let own = names.iter().filter(|name| *name == "[chain]").count();
    assert_eq!(
        own,
        of(&named, &[&CHAIN[..], &["_start"]].concat()).len(),
        "{names:?}"
    );
}

#[test]
fn inlined_functions_and_lines_come_from_debug_information() {
    let mut waiting = Waiting::start("chain.c", &["-g"]);
    let walk = waiting.walk();
    let mut symbolizer = Symbolizer::new(Arc::clone(&waiting.modules));
    let frames: Vec<_> = walk
        .locations
        .iter()
        .flat_map(|place| symbolizer.frames(*place).to_vec())
        .collect();
    let at = frames
        .iter()
        .position(|frame| &*frame.name == "inlined")
        .expect("an inlined frame");
    let (inlined, holder) = (&frames[at], &frames[at + 1]);
    assert!(inlined.inlined && !holder.inlined);
    assert_eq!(&*holder.name, "two");
    let source = include_str!("programs/chain.c");
    let line_of =
        |text: &str| 1 + source.lines().position(|line| line.contains(text)).unwrap() as u32;
    assert_eq!(inlined.line, Some(line_of("return three(pipe, byte) + 1")));
    assert_eq!(holder.line, Some(line_of("return inlined(pipe, byte) + 2")));
    assert!(holder.file.as_ref().unwrap().ends_with("programs/chain.c"));
    assert_eq!(&*holder.module, waiting.path.to_str().unwrap());
}

#[test]
fn names_are_found_after_the_program_has_exited_and_its_file_is_gone() {
    let mut waiting = Waiting::start("chain.c", &["-g"]);
    let walk = waiting.walk();
    waiting.kill();
    fs::remove_file(&waiting.path).unwrap();
    let mut profile = Profile::new();
    profile.add(
        &walk,
        "read",
        Weight {
            count: 1,
            bytes: 1,
            nanos: 7,
        },
    );
    let table = profile.symbolized(&mut Symbolizer::new(Arc::clone(&waiting.modules)));
    let lines = folded::lines(&profile, &table, Some("read"), WeightKind::Time);
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].contains(";main;one;two;inlined;three;") && lines[0].ends_with(" 7"),
        "{lines:?}"
    );
}

#[test]
fn a_program_that_was_replaced_on_disk_is_still_read_as_it_runs() {
    let mut waiting = Waiting::start("chain.c", &[]);
    fs::remove_file(&waiting.path).unwrap();
    fs::copy("/proc/self/exe", &waiting.path).unwrap();
    let (names, _) = waiting.names();
    assert_eq!(of(&names, &CHAIN), CHAIN);
}

#[test]
fn a_walk_goes_on_below_a_signal_handler() {
    let (names, walk) = Waiting::start("handler.c", &[]).names();
    let chain = ["handler", "work", "main"];
    assert_eq!(of(&names, &chain), chain, "{names:?}");
    assert_eq!(walk.end, End::Root);
}

#[test]
fn a_walk_goes_through_a_function_that_realigns_its_stack() {
    let mut waiting = Waiting::start("realigned.c", &["-mavx2"]);
    // `/proc/PID/syscall` has no frame pointer. `realigned` keeps one; take what it must be: the
    // word of the stack that points to a saved frame pointer and a return into `caller`.
    let sp = waiting.registers.sp;
    let found = (0..4096u64).step_by(8).find_map(|offset| {
        waiting.registers.bp = sp + offset;
        let walk = waiting.walk();
        (walk.end == End::Root && walk.assumed == 0).then_some(walk)
    });
    let walk = found.expect("a frame pointer with which the stack has a root");
    let names = names(&walk, &mut Symbolizer::new(Arc::clone(&waiting.modules)));
    let chain = ["realigned", "caller", "main"];
    assert_eq!(of(&names, &chain), chain, "{names:?}");
}

#[test]
fn code_made_at_run_time_ends_the_stack_or_is_crossed_by_its_frame_pointer() {
    let mut without = Waiting::start_with("generated.c", &[], &[], &[]);
    let (names, walk) = without.names();
    assert_eq!(names.last().unwrap(), "[anon]", "{names:?}");
    assert_eq!(walk.end, End::NoUnwindInformation);
    assert!(matches!(
        walk.locations.last(),
        Some(Location::Anonymous { .. })
    ));

    let mut with = Waiting::start_with("generated.c", &[], &["frame"], &[]);
    // The code made at run time pushed it last, and `wait_here` and `read` left it alone.
    let anonymous = *with.walk().addresses.last().unwrap();
    let returns = with
        .stack
        .chunks_exact(8)
        .position(|word| word == anonymous.to_le_bytes())
        .unwrap();
    with.registers.bp = with.registers.sp + returns as u64 * 8 + 8;
    let (names, walk) = with.names();
    assert!(
        names.contains(&"[anon]".into()) && names.contains(&"main".into()),
        "{names:?}"
    );
    assert_eq!((walk.end, walk.assumed), (End::Root, 1));
}

#[test]
fn code_made_at_run_time_is_named_by_the_map_that_its_compiler_writes() {
    let mut waiting = Waiting::start_with("generated.c", &[], &[], &[("PERF_MAP", "1")]);
    let walk = waiting.walk();
    waiting.kill();
    let mut symbolizer = Symbolizer::new(Arc::clone(&waiting.modules));
    let names = names(&walk, &mut symbolizer);
    assert_eq!(names.last().unwrap(), "LazyCompile:generated");
}

#[test]
fn a_file_that_cannot_be_opened_ends_the_stack_and_names_itself() {
    let mut waiting = Waiting::start("chain.c", &["-static"]);
    let hidden: Vec<Mapping> = mappings(waiting.child.id())
        .unwrap()
        .into_iter()
        .map(|mapping| Mapping {
            path: "/nowhere".into(),
            inode: mapping.inode ^ 1,
            ..mapping
        })
        .collect();
    waiting.unwinder =
        Unwinder::with_mappings(waiting.child.id(), Arc::clone(&waiting.modules), hidden);
    let (names, walk) = waiting.names();
    assert_eq!(names, ["[chain]"]);
    assert_eq!(walk.end, End::NoUnwindInformation);
}

#[test]
fn a_library_loaded_later_is_found() {
    let mut waiting = Waiting::start("chain.c", &[]);
    let all = mappings(waiting.child.id()).unwrap();
    let without_library = all
        .into_iter()
        .filter(|mapping| !mapping.name.contains("libc"))
        .collect();
    let modules = Arc::clone(&waiting.modules);
    waiting.unwinder = Unwinder::with_mappings(waiting.child.id(), modules, without_library);
    std::thread::sleep(Duration::from_millis(300));
    let (names, walk) = waiting.names();
    assert_eq!(of(&names, &CHAIN), CHAIN);
    assert_eq!(walk.end, End::Root);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Every byte of a program is its author's to choose: headers, index, call frame information.
    #[test]
    fn a_damaged_program_file_never_panics_or_runs_on(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        in_frames in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        DAMAGED.with(|damaged| damaged.borrow_mut().check(&damage, &in_frames, cut))?;
    }
}

thread_local! {
    static DAMAGED: std::cell::RefCell<Damaged> = std::cell::RefCell::new(Damaged::new());
}

struct Damaged {
    waiting: Waiting,
    file: Vec<u8>,
    /// Where the call frame information and its index are.
    frames: std::ops::Range<usize>,
    mapping: Mapping,
    folder: TempDir,
}

type Change = (prop::sample::Index, u8);

impl Damaged {
    fn new() -> Self {
        let waiting = Waiting::start("chain.c", &["-no-pie", "-g"]);
        let file = fs::read(&waiting.path).unwrap();
        let all = mappings(waiting.child.id()).unwrap();
        let own = waiting.path.to_str().unwrap();
        let mapping = all.into_iter().find(|mapping| mapping.name == own).unwrap();
        // Behind the executable segment come the read-only data, which end with both.
        let start = (mapping.file_offset + mapping.end - mapping.start) as usize;
        let folder = tempfile::tempdir().unwrap();
        Self {
            frames: start..start + 0x140,
            waiting,
            file,
            mapping,
            folder,
        }
    }

    fn check(
        &mut self,
        damage: &[Change],
        in_frames: &[Change],
        cut: Option<prop::sample::Index>,
    ) -> Result<(), TestCaseError> {
        let mut file = self.file.clone();
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = *byte;
        }
        for (at, byte) in in_frames {
            file[self.frames.start + at.index(self.frames.len())] = *byte;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        let path = self.folder.path().join("damaged");
        let _ = fs::remove_file(&path);
        fs::write(&path, &file).unwrap();
        let mapping = Mapping {
            path,
            ..self.mapping.clone()
        };
        let modules = Arc::new(Modules::default());
        let mut unwinder = Unwinder::with_mappings(
            self.waiting.child.id(),
            Arc::clone(&modules),
            vec![mapping.clone()],
        );
        let mut places = Vec::new();
        for ip in (mapping.start..mapping.end).step_by(37) {
            let registers = Registers {
                ip,
                bp: self.waiting.registers.sp + 64,
                ..self.waiting.registers
            };
            let walk = unwinder.unwind(registers, registers.sp, &self.waiting.stack);
            prop_assert!(walk.addresses.len() <= 127);
            places.extend(walk.locations);
        }
        let mut symbolizer = Symbolizer::new(modules);
        symbolizer.resolve(&places);
        for place in places {
            prop_assert!(!symbolizer.frames(place).is_empty());
        }
        Ok(())
    }
}
