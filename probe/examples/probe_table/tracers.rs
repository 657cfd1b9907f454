//! Tracers that are attached while something else is measured, and the programs of the tests.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tailcut_probe::{Options, Session};

use crate::Failure;

/// What is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracer {
    /// Nothing.
    None,
    /// A session of this crate on malloc and free, whose window never closes.
    Tailcut,
    /// Entry and return of malloc and free, with their latency.
    Bpftrace,
}

impl Tracer {
    pub const ALL: [Tracer; 3] = [Tracer::None, Tracer::Tailcut, Tracer::Bpftrace];

    pub fn name(self) -> &'static str {
        match self {
            Tracer::None => "none",
            Tracer::Tailcut => "tailcut, malloc and free",
            Tracer::Bpftrace => "bpftrace, malloc and free",
        }
    }

    /// Why it cannot be used here.
    pub fn lacking(self) -> Option<&'static str> {
        let is_there = Command::new("bpftrace").arg("--version").output().is_ok();
        (self == Tracer::Bpftrace && !is_there).then_some("bpftrace is not installed")
    }

    /// Attaches to a process whose allocator is in `library`.
    pub fn attach(self, pid: u32, library: &Path) -> Result<Attached, Failure> {
        match self {
            Tracer::None => Ok(Attached::None),
            // No budget is used up.
            Tracer::Tailcut => attach_series(pid, "malloc,free", 1e6),
            Tracer::Bpftrace => attach_bpftrace(pid, library),
        }
    }
}

/// A tracer until it is dropped.
pub enum Attached {
    None,
    Tailcut {
        stop: Arc<AtomicBool>,
        thread: Option<JoinHandle<()>>,
    },
    Bpftrace(Child),
}

/// Attaches a session of this crate on `series`, within a budget.
pub fn attach_series(pid: u32, series: &str, budget: f64) -> Result<Attached, Failure> {
    let options = Options {
        series: series.parse()?,
        budget,
        ..Options::default()
    };
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let (ready, is_ready) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let mut session = match Session::attach(pid, options) {
            Ok(session) => session,
            Err(error) => return drop(ready.send(Err(error.to_string()))),
        };
        // The window is judged once, and then stays open.
        let _ = session.next(&AtomicBool::new(false));
        let _ = ready.send(Ok(()));
        while !stopped.load(Ordering::Relaxed) {
            if !matches!(session.next(&stopped), Ok(Some(_))) {
                break;
            }
        }
    });
    is_ready.recv()??;
    Ok(Attached::Tailcut {
        stop,
        thread: Some(thread),
    })
}

fn attach_bpftrace(pid: u32, library: &Path) -> Result<Attached, Failure> {
    const PROGRAM: &str = "\
        uprobe:LIB:malloc /pid == PID/ { @m[tid] = nsecs; } \
        uretprobe:LIB:malloc /@m[tid]/ { @malloc = hist(nsecs - @m[tid]); delete(@m[tid]); } \
        uprobe:LIB:free /pid == PID/ { @f[tid] = nsecs; } \
        uretprobe:LIB:free /@f[tid]/ { @free = hist(nsecs - @f[tid]); delete(@f[tid]); }";
    let program = PROGRAM
        .replace("LIB", library.to_str().ok_or("a path that is no text")?)
        .replace("PID", &pid.to_string());
    let child = Command::new("bpftrace")
        .args(["-p", &pid.to_string(), "-e", &program])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    // It says that it is attaching, not that it is attached.
    std::thread::sleep(Duration::from_secs(3));
    Ok(Attached::Bpftrace(child))
}

impl Drop for Attached {
    fn drop(&mut self) {
        match self {
            Attached::None => {}
            Attached::Tailcut { stop, thread } => {
                stop.store(true, Ordering::Relaxed);
                if let Some(thread) = thread.take() {
                    let _ = thread.join();
                }
            }
            Attached::Bpftrace(child) => {
                let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT);
                let _ = child.wait();
            }
        }
    }
}

/// The C program that calls an allocator as often as it is told.
pub struct Calls {
    child: Child,
    input: ChildStdin,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Calls {
    /// Compiles it into `folder`.
    pub fn compile(folder: &Path) -> Result<PathBuf, Failure> {
        let source = folder.join("calls.c");
        std::fs::write(&source, include_str!("../../tests/programs/calls.c"))?;
        let program = folder.join("calls");
        let built = Command::new("cc")
            .args(["-O2", "-fno-builtin", "-o"])
            .args([&program, &source])
            .status()
            .map_err(|error| format!("no C compiler: {error}"))?;
        if !built.success() {
            return Err("calls.c does not compile".into());
        }
        Ok(program)
    }

    /// Starts it; it waits until it is let go.
    pub fn start(command: &mut Command) -> Result<Calls, Failure> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().ok_or("no pipe")?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no pipe")?).lines();
        lines.next().ok_or("calls ended at once")??;
        Ok(Calls {
            child,
            input,
            lines,
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it make its calls; what it says of them.
    pub fn go(&mut self) -> Result<String, Failure> {
        self.ask("go")
    }

    /// Tells it what to do; what it says when that is done.
    pub fn ask(&mut self, what: &str) -> Result<String, Failure> {
        writeln!(self.input, "{what}")?;
        Ok(self.lines.next().ok_or("calls ended early")??)
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
