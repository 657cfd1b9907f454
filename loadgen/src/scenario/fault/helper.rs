//! The process beside ours that burns CPU, takes memory, or thaws what we froze if we die.
//!
//! A process of its own, because threads of ours would be confined to the cores that we keep off the
//! workers', and memory of ours would count as ours. It is this program again (fork without exec would
//! leave every page of ours to be copied in the middle of a run), told by its arguments what to be:
//! `PROGRAM run-fault cpu 2`, `run-fault memory BYTES`, `run-fault guard PID...`.
//!
//! It says `ready` on its standard output, waits for a line on its standard input, does its deed,
//! says `done` when all memory is touched, and ends when its standard input closes: by us, or by the
//! kernel when we are no more.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::{Pid, getppid};

use super::process::Process;

/// The argument by which the program becomes a helper.
pub const HELPER_COMMAND: &str = "run-fault";

/// Memory is touched page by page, in pieces of this size between two looks at what goes on.
const PIECE: usize = 16 << 20;
/// The smallest page that there is.
const PAGE: usize = 4096;

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Says that `program` calls [`run_helper`] when its first argument is [`HELPER_COMMAND`]. Without it
/// hogs are refused, and nobody thaws what was frozen by a program that was killed.
///
/// The first call holds for the life of this process.
pub fn register_helper(program: PathBuf) {
    let _ = PROGRAM.set(program);
}

/// The program that was registered.
pub(super) fn program() -> Option<PathBuf> {
    PROGRAM.get().cloned()
}

/// A helper that is ready.
#[derive(Debug)]
pub(super) struct Helper {
    child: Child,
    // Before its standard input, which ends it.
    output: BufReader<ChildStdout>,
    input: Option<ChildStdin>,
}

impl Helper {
    /// Starts `program` as a helper and waits until it is ready: some milliseconds.
    pub(super) fn start(program: &PathBuf, deed: &[String]) -> io::Result<Helper> {
        let mut child = Command::new(program)
            .arg(HELPER_COMMAND)
            .args(deed)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("it has no standard input and output"));
        };
        let mut helper = Helper {
            child,
            output: BufReader::new(output),
            input: Some(input),
        };
        match helper.line()?.as_str() {
            "ready" => Ok(helper),
            "" => Err(io::Error::other("it ended at once")),
            other => Err(io::Error::other(format!("it said {other:?}"))),
        }
    }

    /// Lets it do its deed.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        let input = self.input.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        input.write_all(b"go\n")?;
        input.flush()
    }

    /// Ends it, and waits until everything that it took is given back.
    pub(super) fn end(&mut self) {
        drop(self.input.take());
        // It may be in the middle of something. A guard only guards, and has nothing to lose.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// One line; a program that is no helper may say anything.
    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        (&mut self.output).take(256).read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.end();
    }
}

/// Is a helper: for `main` of a program that was registered by [`register_helper`]. `arguments` are those
/// behind [`HELPER_COMMAND`].
///
/// Returns when the process that started this one closes its standard input, or has ended.
#[must_use]
pub fn run_helper(arguments: &[String]) -> ExitCode {
    let parent = getppid();
    match run(arguments, parent) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn run(arguments: &[String], parent: Pid) -> io::Result<()> {
    let wrong = || io::Error::from(io::ErrorKind::InvalidInput);
    let (deed, rest) = arguments.split_first().ok_or_else(wrong)?;
    let number = || {
        rest.first()
            .and_then(|text| text.parse::<u64>().ok())
            .ok_or_else(wrong)
    };
    match deed.as_str() {
        "guard" => {
            let guarded = rest
                .iter()
                .map(|number| Process::open(number.parse().map_err(|_| wrong())?))
                .collect::<io::Result<Vec<Process>>>()?;
            guard(&guarded)
        }
        "cpu" => {
            let threads = number()?;
            end_with(parent)?;
            everywhere();
            ready_and_told()?;
            for _ in 0..threads {
                std::thread::Builder::new().spawn(burn)?;
            }
            wait_for_end();
            Ok(())
        }
        "memory" => {
            let bytes = usize::try_from(number()?).map_err(|_| wrong())?;
            end_with(parent)?;
            first_to_go();
            ready_and_told()?;
            let memory = take(bytes)?;
            wait_for_end();
            drop(memory);
            Ok(())
        }
        _ => Err(wrong()),
    }
}

/// Waits for the end of whoever started us, then lets the processes go on. An order to go on that a running
/// process gets changes nothing.
fn guard(guarded: &[Process]) -> io::Result<()> {
    for each in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ] {
        // SAFETY: to ignore a signal installs no handler, so no code of ours runs in one.
        unsafe { signal(each, SigHandler::SigIgn) }?;
    }
    say("ready")?;
    wait_for_end();
    for process in guarded {
        let _ = process.go_on();
    }
    Ok(())
}

/// Whoever started us may be killed: then the kernel kills us.
fn end_with(parent: Pid) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    // It may have ended before that.
    if getppid() == parent {
        Ok(())
    } else {
        Err(io::Error::other("nobody waits for this any more"))
    }
}

/// Undoes the confinement to some cores that was inherited: whoever competes with a service runs anywhere.
fn everywhere() {
    let mut all = CpuSet::new();
    for cpu in 0..CpuSet::count() {
        let _ = all.set(cpu);
    }
    // The kernel leaves out those that there are not, or that may not be used.
    let _ = sched_setaffinity(Pid::from_raw(0), &all);
}

/// When the machine runs out of memory all the same, this is the process to kill.
fn first_to_go() {
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

fn say(word: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{word}")?;
    output.flush()
}

/// Says that we are ready, and waits for the order.
fn ready_and_told() -> io::Result<()> {
    say("ready")?;
    let mut order = [0; 3];
    io::stdin().lock().read_exact(&mut order)
}

/// Until standard input closes.
fn wait_for_end() {
    let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
}

fn burn() {
    static TURNS: AtomicU64 = AtomicU64::new(0);
    loop {
        for _ in 0..1_000_000 {
            std::hint::black_box(());
        }
        // So that there is something to do, and threads do not fight for one line of cache.
        TURNS.fetch_add(1, Ordering::Relaxed);
    }
}

/// Takes memory and touches all of its pages.
fn take(bytes: usize) -> io::Result<Vec<Vec<u8>>> {
    let mut pieces = Vec::new();
    let mut left = bytes;
    while left > 0 {
        let size = left.min(PIECE);
        let mut piece = Vec::new();
        piece
            .try_reserve_exact(size)
            .map_err(|_| io::ErrorKind::OutOfMemory)?;
        piece.resize(size, 0u8);
        for page in piece.chunks_mut(PAGE) {
            // Not zero, so that no page can be shared with others of the same content.
            page[0] = 1;
        }
        pieces.push(piece);
        left -= size;
    }
    say("done")?;
    Ok(pieces)
}
