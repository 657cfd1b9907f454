//! The stacks of a process's waiting threads, folded, and what it cost to find them.
//!
//! ```text
//! cargo run --release -p tailcut-probe --example stacks_of -- PID           # as root
//! cargo run --release -p tailcut-probe --example stacks_of -- --file FILE N # N places of a file
//! ```
//!
//! A thread that waits in a system call shows its stack pointer and instruction pointer in
//! `/proc/PID/task/TID/syscall`. The second form asks for the names of N places spread over the
//! code of a file, to see what its symbols cost in time and memory.

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--file", file, count] => linux::names_of_a_file(file, count.parse()?),
        [pid] => linux::stacks_of(pid.parse()?),
        _ => Err("usage: stacks_of PID | --file FILE N".into()),
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::error::Error;
    use std::fs::{self, File};
    use std::os::unix::fs::{FileExt, MetadataExt};
    use std::sync::Arc;
    use std::time::{Duration, Instant};
    use tailcut_probe::stacks::{
        Location, Mapping, Modules, Profile, Registers, Symbolizer, Unwinder, Weight, WeightKind,
        folded,
    };

    pub fn stacks_of(pid: u32) -> Result<(), Box<dyn Error>> {
        let modules = Arc::new(Modules::default());
        let mut unwinder = Unwinder::new(pid, Arc::clone(&modules))?;
        let mut profile = Profile::new();
        let memory = File::open(format!("/proc/{pid}/mem"))?;
        let (mut frames, mut first, mut again) = (0, Duration::ZERO, Duration::ZERO);
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let Some(registers) = registers(&thread?.path()) else {
                continue;
            };
            let mut stack = vec![0; 16 << 10];
            let length = memory.read_at(&mut stack, registers.sp)?;
            stack.truncate(length);
            let start = Instant::now();
            let walk = unwinder.unwind(registers, registers.sp, &stack);
            first += start.elapsed();
            let start = Instant::now();
            for _ in 0..100 {
                std::hint::black_box(unwinder.unwind(registers, registers.sp, &stack));
            }
            again += start.elapsed() / 100;
            frames += walk.addresses.len();
            profile.add(
                &walk,
                "waiting",
                Weight {
                    count: 1,
                    ..Weight::default()
                },
            );
        }
        let before = resident();
        let start = Instant::now();
        let table = profile.symbolized(&mut Symbolizer::new(modules));
        let naming = start.elapsed();
        for line in folded::lines(&profile, &table, None, WeightKind::Count) {
            println!("{line}");
        }
        eprintln!("{} different stacks, {frames} frames", profile.len());
        eprintln!("walks: {first:?} the first time, {again:?} when known");
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

    fn registers(task: &std::path::Path) -> Option<Registers> {
        let text = fs::read_to_string(task.join("syscall")).ok()?;
        let number = |field: &str| u64::from_str_radix(field.trim_start_matches("0x"), 16).ok();
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [.., sp, ip] = fields[..] else {
            return None;
        };
        Some(Registers {
            ip: number(ip)?,
            sp: number(sp)?,
            bp: 0,
        })
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
