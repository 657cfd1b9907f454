//! What the tests on live processes share: a target, a session that traces it, and what it saw.
//!
//! Tracing takes root. Without it a test says `SKIPPED` and passes, unless `TAILCUT_REQUIRE_BPF=1`,
//! which makes that a failure.

#![allow(dead_code, reason = "no test uses all of it")]

pub mod bpftrace;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tailcut_probe::tick::{SlowEvent, Tick};
use tailcut_probe::{Options, Session};

/// Says aloud that a test cannot run, if so; or fails if `TAILCUT_REQUIRE_BPF=1`.
///
/// # Panics
/// If it cannot run, and that is not allowed.
pub fn is_skipped() -> bool {
    if nix::unistd::geteuid().is_root() {
        return false;
    }
    skip("tracing takes root");
    true
}

/// Says aloud that a test cannot run.
///
/// # Panics
/// If that is not allowed.
pub fn skip(reason: &str) {
    assert!(
        std::env::var("TAILCUT_REQUIRE_BPF").as_deref() != Ok("1"),
        "TAILCUT_REQUIRE_BPF is set, but {reason}"
    );
    skip_softly(reason);
}

/// Says aloud that a test cannot run, for want of something that is not always required.
pub fn skip_softly(reason: &str) {
    // Not by `eprintln!`, which the test harness keeps to itself when a test passes.
    let message = format!("SKIPPED: {reason}\n");
    std::io::stderr().write_all(message.as_bytes()).unwrap();
}

/// A child that talks by lines.
pub struct Talker {
    child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Talker {
    /// Starts it.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(command: &mut Command) -> Talker {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Talker {
            child,
            input,
            lines,
        }
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a line.
    ///
    /// # Panics
    /// If the child has gone.
    pub fn send(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
        self.input.flush().unwrap();
    }

    /// The next line; `None` when it has closed its output.
    pub fn line(&mut self) -> Option<String> {
        self.lines.next().map(Result::unwrap)
    }

    /// Waits until all its threads sleep, so that nothing more is about to happen in it.
    pub fn wait_until_idle(&self) {
        let sleeps = |task: std::io::Result<std::fs::DirEntry>| {
            let stat = task.map(|task| std::fs::read_to_string(task.path().join("stat")));
            let Ok(Ok(stat)) = stat else { return false };
            stat.rsplit(") ")
                .next()
                .is_some_and(|rest| rest.starts_with('S'))
        };
        for _ in 0..2_000 {
            let mut tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
            if tasks.all(sleeps) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("process {} does not come to rest", self.pid());
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A copy of a shared library, for one process alone: bpftrace's probes are hit by all that use it.
pub struct OwnLibrary {
    folder: tempfile::TempDir,
    path: std::path::PathBuf,
}

impl OwnLibrary {
    /// Copies `library`.
    ///
    /// # Panics
    /// If it cannot be copied.
    pub fn copy(library: &str) -> OwnLibrary {
        let folder = tempfile::tempdir().unwrap();
        let name = std::path::Path::new(library).file_name().unwrap();
        let path = folder.path().join(name);
        std::fs::copy(library, &path).unwrap();
        // A server may run as somebody else.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).unwrap();
        OwnLibrary { folder, path }
    }

    /// The folder, for `LD_LIBRARY_PATH`.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The file, for `LD_PRELOAD`.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }
}

/// All that a session saw.
#[derive(Debug, Default)]
pub struct Seen {
    pub ticks: Vec<Tick>,
}

/// Sums of one series.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sums {
    pub events: u64,
    pub total: u64,
    pub bytes: u64,
    pub max: u64,
}

impl Seen {
    /// All slow events.
    pub fn events(&self) -> impl Iterator<Item = &SlowEvent> {
        self.ticks.iter().flat_map(|tick| &tick.events)
    }

    /// Sums of `series` over all ticks; zeros if there was no such series.
    pub fn sums(&self, series: &str) -> Sums {
        let mut sums = Sums::default();
        for tick in &self.ticks {
            for one in tick.series.iter().filter(|one| one.name == series) {
                sums.events += one.histogram.len();
                sums.total += one.total;
                sums.bytes += one.bytes;
                sums.max = sums.max.max(one.histogram.max());
            }
        }
        sums
    }

    /// The values of `series`.
    pub fn histogram(&self, series: &str) -> tailcut_probe::tick::Values {
        let mut all: Option<tailcut_probe::tick::Values> = None;
        for tick in &self.ticks {
            for one in tick.series.iter().filter(|one| one.name == series) {
                match &mut all {
                    Some(all) => all.add(&one.histogram).unwrap(),
                    None => all = Some(one.histogram.clone()),
                }
            }
        }
        all.unwrap_or_else(|| panic!("no series {series}"))
    }

    /// What was lost, by name.
    pub fn lost(&self) -> BTreeMap<&'static str, u64> {
        let mut lost = BTreeMap::new();
        for (what, count) in self.ticks.iter().flat_map(|tick| &tick.lost) {
            *lost.entry(*what).or_default() += count;
        }
        lost
    }
}

/// Traces process `pid` while `work` goes on, and until what `work` did has been read.
///
/// # Panics
/// If the process cannot be traced.
pub fn trace<T: Send>(pid: u32, options: Options, work: impl FnOnce() -> T + Send) -> (Seen, T) {
    let mut session = Session::attach(pid, options).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(session.left_out(), &[] as &[String], "left out");
    watch(&mut session, work)
}

/// The same for a session that is attached already.
///
/// # Panics
/// If the session fails.
pub fn watch<T: Send>(session: &mut Session, work: impl FnOnce() -> T + Send) -> (Seen, T) {
    let stop = AtomicBool::new(false);
    let mut seen = Seen::default();
    let result = std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            /// Stops the session even if the work panics.
            struct Stop<'a>(&'a AtomicBool);
            impl Drop for Stop<'_> {
                fn drop(&mut self) {
                    self.0.store(true, Ordering::Relaxed);
                }
            }
            let _stop = Stop(&stop);
            work()
        });
        loop {
            // One more interval after the end, so that all of the work is in it.
            let is_last = stop.load(Ordering::Relaxed);
            let Some(tick) = session.next(&stop).unwrap() else {
                break;
            };
            let ended = tick.ended;
            seen.ticks.push(tick);
            if is_last || ended {
                break;
            }
        }
        worker.join()
    });
    match result {
        Ok(result) => (seen, result),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Runs a check of lengths again if it fails, four times at most, and says so: on a shared machine the
/// hypervisor takes a CPU away in the middle of what is measured now and then, and so for a while. What is
/// wrong is wrong five times.
pub fn within_five_attempts(check: impl Fn() + std::panic::RefUnwindSafe) {
    for attempt in 1..5 {
        if std::panic::catch_unwind(&check).is_ok() {
            return;
        }
        eprintln!("attempt {attempt} failed (see above); once more");
    }
    check();
}
