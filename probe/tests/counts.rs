//! Counts, bytes and latencies of a program that knows what it called, beside bpftrace on the same run.
//!
//! Counts must be exact where the probes stood all the time, for each allocator that can be preloaded;
//! where they stood in windows, what they saw scaled up must come near. Latencies are compared where
//! they are far longer than what either tracer adds to them.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::bpftrace::{self, Bpftrace};
use common::{OwnLibrary, Seen, Talker};
use tailcut_probe::{Options, Session};
use tempfile::TempDir;

/// Two tests at one time would be each other's disturbance.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The program `calls`, ready to go.
struct Calls {
    talker: Talker,
    malloc: u64,
    free: u64,
    je_malloc: u64,
    _folder: TempDir,
    _library: OwnLibrary,
}

impl Calls {
    fn start(arguments: &[&str], preload: Option<&str>) -> Calls {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/calls.c");
        let built = Command::new("cc")
            .args(["-O2", "-fno-builtin", "-o"])
            .args([&path, &source])
            .status()
            .expect("these tests take a C compiler");
        assert!(built.success());
        let mut command = Command::new(&path);
        command.args(arguments);
        let library = OwnLibrary::copy(preload.unwrap_or(C_LIBRARY));
        match preload {
            Some(_) => command.env("LD_PRELOAD", library.path()),
            None => command.env("LD_LIBRARY_PATH", library.folder()),
        };
        let mut talker = Talker::start(&mut command);
        let addresses: Vec<u64> = talker
            .line()
            .unwrap()
            .split(' ')
            .map(|word| u64::from_str_radix(&word[2..], 16).unwrap())
            .collect();
        talker.wait_until_idle();
        Calls {
            talker,
            malloc: addresses[0],
            free: addresses[1],
            je_malloc: addresses[2],
            _folder: folder,
            _library: library,
        }
    }

    /// The file whose code is at `address`.
    fn module_at(&self, address: u64) -> PathBuf {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.talker.pid())).unwrap();
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        let line = maps.lines().find(|line| {
            let range = line.split(' ').next().unwrap();
            let (start, end) = range.split_once('-').unwrap();
            (number(start)..number(end)).contains(&address)
        });
        line.unwrap()
            .split_ascii_whitespace()
            .last()
            .unwrap()
            .into()
    }

    /// Lets it work under a session; gives its own account, too.
    fn work(&mut self, session: &mut Session) -> (Seen, String) {
        assert_eq!(session.left_out(), &[] as &[String]);
        let talker = &mut self.talker;
        common::watch(session, || {
            talker.send("go");
            let account = talker.line().unwrap();
            talker.wait_until_idle();
            account
        })
    }
}

const C_LIBRARY: &str = "/lib/x86_64-linux-gnu/libc.so.6";

/// A session whose windows stand open, and have for a whole interval.
fn session_of(pid: u32, series: &str, budget: f64) -> Session {
    let options = Options {
        series: series.parse().unwrap(),
        budget,
        interval: Duration::from_millis(500),
        ..Options::default()
    };
    let mut session = Session::attach(pid, options).unwrap();
    for _ in 0..2 {
        session.next(&AtomicBool::new(false)).unwrap().unwrap();
    }
    session
}

/// No budget is used up.
const WITHOUT_LIMIT: f64 = 1e6;

/// Counts and bytes of `series`, of whichever allocator.
fn counted(seen: &Seen, series: &str) -> (u64, u64) {
    let mut counted = (0, 0);
    for tick in &seen.ticks {
        for one in &tick.series {
            if one.series.name == series {
                assert_eq!(one.sampled, 1.0, "{series} was not seen all the time");
                counted.0 += one.histogram.len();
                counted.1 += one.bytes;
            }
        }
    }
    counted
}

/// `malloc 10 1675 free 10 0`: what was called, how often, and its bytes.
fn account(text: &str) -> Vec<(&str, u64, u64)> {
    let words: Vec<&str> = text.split(' ').collect();
    words
        .chunks(3)
        .map(|one| (one[0], one[1].parse().unwrap(), one[2].parse().unwrap()))
        .collect()
}

fn known_calls(preload: Option<&str>, family: &str) {
    if common::is_skipped() {
        return;
    }
    if let Some(path) = preload.filter(|path| !Path::new(path).exists()) {
        return common::skip(&format!("{path} is not installed"));
    }
    let _alone = alone();
    let mut calls = Calls::start(&["known", "1500", "200"], preload);
    let pid = calls.talker.pid();
    let opinion = (!bpftrace::is_skipped()).then(|| {
        let library = calls.module_at(calls.malloc);
        // Some implement one by another, by their public names: only outer calls count.
        let program = "uprobe:LIB:realloc { @inner = 1; } uretprobe:LIB:realloc { @inner = 0; } \
             uprobe:LIB:malloc /!@inner/ { @malloc = count(); @bytes = sum(arg0); } \
             uprobe:LIB:free /!@inner/ { @free = count(); }"
            .replace("LIB", library.to_str().unwrap());
        Bpftrace::start(pid, &program, &[calls.malloc, calls.free])
    });
    let mut session = session_of(pid, "malloc,free", WITHOUT_LIMIT);
    let (seen, text) = calls.work(&mut session);
    let account = account(&text);
    assert_eq!(account.len(), 5);
    for (series, count, bytes) in account {
        assert_eq!(
            counted(&seen, series),
            (count, bytes),
            "{series} of {family}"
        );
        // This allocator's, not another's that is in the process, too.
        let own = seen.sums(&format!("{series}@{family}")).events;
        assert_eq!(own, count, "{series} of {family}");
    }
    if let Some(opinion) = opinion.map(Bpftrace::stop) {
        assert_eq!(
            counted(&seen, "malloc"),
            (opinion.of("malloc"), opinion.of("bytes"))
        );
        assert_eq!(counted(&seen, "free").0, opinion.of("free"));
    }
}

#[test]
fn calls_of_glibc_are_counted_exactly() {
    known_calls(None, "glibc");
}

#[test]
fn calls_of_a_preloaded_mimalloc_are_counted_exactly() {
    known_calls(
        Some("/usr/lib/x86_64-linux-gnu/libmimalloc.so.2.0"),
        "mimalloc",
    );
}

#[test]
fn calls_of_a_preloaded_tcmalloc_are_counted_exactly() {
    known_calls(
        Some("/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4"),
        "tcmalloc",
    );
}

#[test]
fn calls_of_a_preloaded_jemalloc_are_counted_exactly() {
    known_calls(
        Some("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"),
        "jemalloc",
    );
}

#[test]
fn calls_that_change_the_memory_map_are_counted_exactly() {
    if common::is_skipped() {
        return;
    }
    let _alone = alone();
    let mut calls = Calls::start(&["system", "2000", "100"], None);
    let mut session = session_of(calls.talker.pid(), "syscalls", WITHOUT_LIMIT);
    let (seen, text) = calls.work(&mut session);
    for (series, count, bytes) in account(&text) {
        let (events, of_bytes) = counted(&seen, series);
        assert_eq!(events, count, "{series}");
        // The argument of brk is an address.
        assert!(
            series == "brk" || of_bytes == bytes,
            "{series}: {of_bytes} of {bytes}"
        );
    }
}

/// A window's share of the target's work is estimated from CPU time and the cost of a hit, and cannot
/// be better than that cost is known, where the target does little else between two hits.
#[test]
fn windows_scaled_up_come_near_the_truth() {
    if common::is_skipped() {
        return;
    }
    let _alone = alone();
    let mut calls = Calls::start(&["pairs", "1200000", "15000"], None);
    let mut session = session_of(calls.talker.pid(), "malloc,free", 0.05);
    let (seen, text) = calls.work(&mut session);
    let windows: usize = seen.ticks.iter().map(|tick| tick.windows.len()).sum();
    assert!(windows >= 4, "{windows} windows");
    // A call or a life that begins in one window does not end in another.
    let closed = seen.ticks.iter().flat_map(|tick| &tick.windows);
    let longest = closed.map(|one| one.end_ns - one.start_ns).max().unwrap();
    for name in ["malloc@glibc", "free@glibc", "lifetime"] {
        let max = seen.sums(name).max;
        // A bucket is 3% wide; the last window has not been closed.
        let allowed = (longest + longest / 16).max(200_000_000);
        assert!(
            max <= allowed,
            "{name} of {max} ns in windows of {longest} ns"
        );
    }
    for (series, count, _) in account(&text) {
        let (mut events, mut seen_work, mut work) = (0, 0.0, 0.0);
        for tick in &seen.ticks {
            let of_tick = tick.target_cpu_ns.saturating_sub(tick.cost.traps_ns) as f64;
            work += of_tick;
            let own = |name: &str| name == format!("{series}@glibc");
            for one in tick.series.iter().filter(|one| own(&one.name)) {
                events += one.histogram.len();
                seen_work += one.sampled * of_tick;
            }
        }
        let estimate = events as f64 * work / seen_work;
        let ratio = estimate / count as f64;
        println!("{series}: {events} seen, {estimate:.0} estimated of {count}, {windows} windows");
        assert!(
            (0.5..2.0).contains(&ratio),
            "{series}: {ratio} of the truth"
        );
    }
}

#[test]
fn latencies_are_those_that_the_program_and_bpftrace_measure() {
    if common::is_skipped() || bpftrace::is_skipped() {
        return;
    }
    let _alone = alone();
    let mut calls = Calls::start(&["slow", "1500", "100"], None);
    let pid = calls.talker.pid();
    let program = "uprobe:EXE:je_malloc { @begin = nsecs; } \
         uretprobe:EXE:je_malloc /@begin/ { printf(\"took %llu\\n\", nsecs - @begin); @calls = count(); }"
        .replace("EXE", calls.module_at(calls.je_malloc).to_str().unwrap());
    let tracer = Bpftrace::start(pid, &program, &[calls.je_malloc]);
    let mut session = session_of(pid, "malloc", WITHOUT_LIMIT);
    let (seen, own) = calls.work(&mut session);
    let opinion = tracer.stop();
    let ours = seen.histogram("malloc@jemalloc");
    let numbers = |texts: Vec<&str>| {
        let mut numbers: Vec<u64> = texts.iter().map(|text| text.parse().unwrap()).collect();
        numbers.sort_unstable();
        numbers
    };
    let own = numbers(own.split(' ').collect());
    let theirs = opinion.lines.iter();
    let theirs = numbers(
        theirs
            .filter_map(|line| line.strip_prefix("took "))
            .collect(),
    );
    assert_eq!(ours.len(), 1500);
    assert_eq!((own.len(), theirs.len()), (1500, 1500));
    let probes_ns = own[750].saturating_sub(theirs[750]);
    for quantile in [0.01, 0.1, 0.25, 0.5, 0.75, 0.9] {
        let at = (1500.0 * quantile) as usize;
        let seen = ours.value_at_quantile(quantile);
        // A bucket's width; and the probes, of which each measures those within it: the program's own
        // clock stands around both tracers, bpftrace's around ours.
        for (whose, other) in [("the program", own[at]), ("bpftrace", theirs[at])] {
            let allowed = other / 32 + 3 * probes_ns.max(10_000);
            assert!(
                seen.abs_diff(other) <= allowed,
                "P{}: {seen} ns, {whose} measured {other} ns",
                quantile * 100.0
            );
        }
    }
}
