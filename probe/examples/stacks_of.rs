//! The stacks of a process's threads, folded, and what it cost to find them.
//!
//! ```text
//! cargo run --release -p tailcut-probe --example stacks_of -- PID [GRAPH.svg] # as root
//! cargo run --release -p tailcut-probe --example stacks_of -- --file FILE N   # N places of a file
//! ```
//!
//! Each thread is stopped by ptrace for as long as it takes to copy its registers and 16 KiB of its
//! stack, which is what the kernel side sends of a slow event. The second form asks for the names of N places spread over the
//! code of a file, to see what its symbols cost in time and memory.

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--file", file, count] => linux::names_of_a_file(file, count.parse()?),
        [pid] => linux::stacks_of(pid.parse()?, None),
        [pid, graph] => linux::stacks_of(pid.parse()?, Some(graph)),
        _ => Err("usage: stacks_of PID [GRAPH.svg] | --file FILE N".into()),
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::error::Error;
    use std::fs::{self, File};
    use std::os::unix::fs::{FileExt, MetadataExt};
    use std::sync::Arc;
    use std::time::Instant;
    use tailcut_probe::stacks::{
        FlameGraph, Location, Mapping, Modules, Profile, Registers, Symbolizer, Unwinder, Weight,
        WeightKind, folded,
    };

    pub fn stacks_of(pid: u32, graph: Option<&str>) -> Result<(), Box<dyn Error>> {
        let modules = Arc::new(Modules::default());
        let mut unwinder = Unwinder::new(pid, Arc::clone(&modules))?;
        let mut profile = Profile::new();
        let memory = File::open(format!("/proc/{pid}/mem"))?;
        let mut copies = Vec::new();
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let thread = thread?.file_name().to_string_lossy().parse()?;
            let mut stack = vec![0; 16 << 10];
            if let Some((registers, length)) = stopped(thread, |registers| {
                memory.read_at(&mut stack, registers.sp).unwrap_or(0)
            }) {
                stack.truncate(length);
                copies.push((registers, stack));
            }
        }
        let walk_all = |unwinder: &mut Unwinder| {
            let start = Instant::now();
            let walks: Vec<_> = copies
                .iter()
                .map(|(registers, stack)| unwinder.unwind(*registers, registers.sp, stack))
                .collect();
            (walks, start.elapsed())
        };
        let (walks, opening) = walk_all(&mut unwinder);
        let (_, known) = walk_all(&mut unwinder);
        let (_, new) = walk_all(&mut Unwinder::new(pid, Arc::clone(&modules))?);
        let frames: usize = walks.iter().map(|walk| walk.addresses.len()).sum();
        let assumed: usize = walks.iter().map(|walk| walk.assumed).sum();
        let one = Weight {
            count: 1,
            ..Weight::default()
        };
        for walk in &walks {
            profile.add(walk, "threads", one);
        }
        let start = Instant::now();
        for walk in &walks {
            profile.add(walk, "again", one);
        }
        let adding = start.elapsed();
        let before = resident();
        let start = Instant::now();
        let table = profile.symbolized(&mut Symbolizer::new(modules));
        let naming = start.elapsed();
        let lines = folded::lines(&profile, &table, Some("threads"), WeightKind::Count);
        folded::write(&lines, std::io::stdout().lock())?;
        if let Some(graph) = graph {
            let title = format!("Threads of process {pid}");
            FlameGraph::new(&title, WeightKind::Count).write(&lines, File::create(graph)?)?;
        }
        eprintln!(
            "{} different stacks, {frames} frames, {assumed} assumed",
            profile.len()
        );
        eprintln!("walks: {known:?} when their call sites are known, {new:?} when they are new");
        eprintln!("       {opening:?} the first time, with the opening of files");
        eprintln!("adding them to a profile: {adding:?}");
        eprintln!(
            "names: {naming:?}, memory {} -> {}, peak {}",
            before,
            resident(),
            peak()
        );
        Ok(())
    }

    pub fn names_of_a_file(file: &str, count: u64) -> Result<(), Box<dyn Error>> {
        let metadata = fs::metadata(file)?;
        let mapping = Mapping {
            start: 1 << 40,
            end: (1 << 40) + metadata.len(),
            file_offset: 0,
            path: file.into(),
            name: file.into(),
            inode: metadata.ino(),
        };
        let modules = Arc::new(Modules::default());
        let mut unwinder = Unwinder::with_mappings(0, Arc::clone(&modules), vec![mapping]);
        let before = resident();
        let places: Vec<Location> = (0..count)
            .map(|nth| unwinder.locate((1 << 40) + metadata.len() / count * nth))
            .collect();
        let start = Instant::now();
        let mut symbolizer = Symbolizer::new(modules);
        symbolizer.resolve(&places);
        let naming = start.elapsed();
        let frames: Vec<_> = places
            .iter()
            .map(|place| symbolizer.frames(*place))
            .collect();
        let named = frames
            .iter()
            .filter(|frames| !frames[0].name.starts_with('['))
            .count();
        let lines = frames
            .iter()
            .filter(|frames| frames[0].line.is_some())
            .count();
        let inlined: usize = frames.iter().map(|frames| frames.len() - 1).sum();
        eprintln!(
            "{count} places, {named} named, {lines} with a line, {inlined} inlined functions"
        );
        eprintln!("names: {naming:?}, {:?} each", naming / count as u32);
        eprintln!("memory {} -> {}, peak {}", before, resident(), peak());
        Ok(())
    }

    /// Stops a thread, runs `copy`, and lets it go on; `None` if it may not be stopped.
    fn stopped<T>(thread: i32, copy: impl FnOnce(Registers) -> T) -> Option<(Registers, T)> {
        let request = |request: libc::c_uint, data: *mut libc::c_void| {
            // SAFETY: the requests below write at most one `user_regs_struct` to `data`, which is
            // one where it is not null.
            unsafe { libc::ptrace(request, thread, std::ptr::null_mut::<libc::c_void>(), data) }
        };
        if request(libc::PTRACE_SEIZE, std::ptr::null_mut()) != 0 {
            return None;
        }
        request(libc::PTRACE_INTERRUPT, std::ptr::null_mut());
        // SAFETY: `waitpid` may be told nothing about the status.
        unsafe { libc::waitpid(thread, std::ptr::null_mut(), libc::__WALL) };
        // SAFETY: a structure of integers, for which zero is a value.
        let mut user: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        let found = request(libc::PTRACE_GETREGS, (&raw mut user).cast()) == 0;
        let registers = Registers {
            ip: user.rip,
            sp: user.rsp,
            bp: user.rbp,
        };
        let copied = found.then(|| (registers, copy(registers)));
        request(libc::PTRACE_DETACH, std::ptr::null_mut());
        copied
    }

    fn resident() -> String {
        status("VmRSS:")
    }

    fn peak() -> String {
        status("VmHWM:") + " (of files: " + &status("RssFile:") + ")"
    }

    fn status(field: &str) -> String {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        line.unwrap_or_default().trim().to_string()
    }
}
