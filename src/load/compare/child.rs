//! One run: a server if one is to be started, `tailcut load run` in a process of its own, and what it recorded.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tailcut_loadgen::compare::server::Server;
use tailcut_report::compare::{Run, Turn};

use super::plan::Plan;
use super::progress::Progress;
use crate::interrupt::Interrupt;

/// What `load run` ends with when its recording is whole: done, an objective broken, the schedule missed.
const RECORDED: [i32; 3] = [0, 3, 4];
/// Lines of a failed run that are told.
const TOLD_LINES: usize = 5;
/// The longest line that is read from a run.
const LONGEST_LINE: u64 = 4_096;

/// Makes the run of `turn` into `dir`.
pub fn run_once(
    plan: &Plan,
    turn: &Turn,
    dir: &Path,
    interrupt: &Interrupt,
    progress: &mut Progress,
) -> Result<Run> {
    if turn.sequence > 0 {
        wait(plan.pause, interrupt);
    }
    progress.begin(turn);
    let side = plan.side(turn.side);
    let server = side.server.as_ref().map(|server| {
        let log = dir.with_extension("server.log");
        let (command, within) = (&server.command, plan.start_within);
        Server::start(command, &server.endpoint, &log, within, interrupt.flag())
    });
    let server = server.transpose()?;
    let ended = load_run(plan, turn, dir, interrupt, progress);
    // A server that died explains whatever its run says.
    server.map_or(Ok(()), Server::stop)?;
    ended?;
    let run = Run::read(dir)?;
    progress.end(turn, &run);
    Ok(run)
}

fn load_run(
    plan: &Plan,
    turn: &Turn,
    dir: &Path,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<()> {
    let mut child = start(plan, turn, dir)?;
    let shared = &interrupt.child;
    shared.store(child.id().cast_signed(), Ordering::SeqCst);
    // An interruption just before the child was known has not reached it.
    if interrupt.requested() {
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(child.id().cast_signed()),
            nix::sys::signal::Signal::SIGTERM,
        );
    }
    let said = listen(&mut child, turn, progress);
    let status = child.wait();
    shared.store(0, Ordering::SeqCst);
    let status = status.context("cannot wait for the run's process")?;
    if recorded(status) {
        return Ok(());
    }
    bail!("{}", reason(status, &said))
}

/// What a failed run says of itself: from its error on, else its last lines.
fn reason(status: ExitStatus, said: &VecDeque<String>) -> String {
    const ERROR: &str = "error: ";
    let error = said.iter().position(|line| line.starts_with(ERROR));
    let lines: Vec<&str> = said
        .iter()
        .skip(error.unwrap_or(0))
        .map(|line| line.strip_prefix(ERROR).unwrap_or(line))
        .collect();
    if lines.is_empty() {
        return format!("its process ended with {status}, and said nothing");
    }
    match error {
        Some(_) => lines.join("\n  "),
        None => format!("its process ended with {status}: {}", lines.join("\n  ")),
    }
}

fn recorded(status: ExitStatus) -> bool {
    status.code().is_some_and(|code| RECORDED.contains(&code))
}

fn start(plan: &Plan, turn: &Turn, dir: &Path) -> Result<Child> {
    let this = std::env::current_exe().context("cannot find this program's own executable")?;
    let out = dir.parent().unwrap_or(Path::new("."));
    let mut command = Command::new(this);
    command
        .args(["load", "run"])
        .arg(Plan::scenario_file(out, turn.side))
        .arg("--out")
        .arg(dir)
        .args(["--seed", &plan.seed(turn.side, turn.repetition).to_string()])
        .args(["--repetition", &turn.repetition.to_string()])
        .args(["--sequence", &turn.sequence.to_string()])
        .args(
            plan.side(turn.side)
                .label
                .iter()
                .flat_map(|label| ["--label", label]),
        )
        .arg("--json")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // Ctrl-C on a terminal goes to a whole group; this one is told once, by us.
        .process_group(0);
    // SAFETY: between fork and exec only `prctl` is called, a system call without locks or allocation.
    unsafe {
        command.pre_exec(|| {
            nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM)?;
            Ok(())
        });
    }
    command.spawn().context("cannot start a process for a run")
}

/// Shows what the run says while it goes on; returns its last lines.
fn listen(child: &mut Child, turn: &Turn, progress: &Progress) -> VecDeque<String> {
    let mut last = VecDeque::new();
    let Some(stderr) = child.stderr.take() else {
        return last;
    };
    let mut lines = BufReader::new(stderr);
    loop {
        let mut line = Vec::new();
        match lines
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
        {
            Ok(0) | Err(_) => return last,
            Ok(_) => {}
        }
        let line = tailcut_report::printable_text(String::from_utf8_lossy(&line).trim_end());
        progress.says(turn, &line);
        if last.len() == TOLD_LINES {
            last.pop_front();
        }
        last.push_back(line);
    }
}

fn wait(pause: Duration, interrupt: &Interrupt) {
    let end = Instant::now() + pause;
    while !interrupt.requested() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20).min(pause));
    }
}
