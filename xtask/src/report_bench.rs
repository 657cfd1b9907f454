//! `cargo xtask bench report`: time, memory and size of the report of a long recording.
//!
//! The recordings are invented (`report/examples/hour.rs`), with everything at its bound. Each
//! row is the best of three runs of `tailcut report` on one recording: noise of the machine only adds.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::cargo;

/// Seconds, and requests a second, of the recordings; the target is judged by the first.
const RECORDINGS: [(u64, u64); 4] = [
    (3_600, 2_400_000),
    (3_600, 240_000),
    (600, 2_400_000),
    (60, 2_400_000),
];
/// Runs of each.
const ROUNDS: usize = 3;
/// Of the first row, in seconds.
const MOST_TIME: Duration = Duration::from_secs(2);
/// Of the first row, in bytes of resident memory.
const MOST_MEMORY: u64 = 200_000_000;
/// Of the first row, in bytes of the page.
const MOST_PAGE: u64 = 5_000_000;

/// What one run took.
struct Cost {
    time: Duration,
    /// The largest resident set, in bytes.
    memory: u64,
    page: u64,
}

/// Builds, invents recordings, measures, prints a table, and fails where a target is missed.
pub fn run() -> Result<()> {
    let program = cargo::build_executable(&["--package", "tailcut", "--bin", "tailcut"])?;
    let inventor = cargo::build_executable(&["--package", "tailcut-report", "--example", "hour"])?;
    let folder = tempfile::tempdir()?;
    println!("| seconds | requests/s | recording | time | peak memory | page |");
    println!("|---:|---:|---:|---:|---:|---:|");
    let mut first = None;
    for (seconds, rate) in RECORDINGS {
        let dir = folder.path().join(format!("{seconds}-{rate}"));
        let status = Command::new(&inventor)
            .arg(&dir)
            .args([seconds.to_string(), rate.to_string()])
            .stdout(Stdio::null())
            .status()?;
        ensure!(status.success(), "no recording of {seconds} s: {status}");
        let cost = best(&program, &dir)?;
        println!(
            "| {seconds} | {rate} | {:.1} MB | {:.2} s | {:.0} MB | {:.2} MB |",
            size(&dir.join("run"))? as f64 / 1e6,
            cost.time.as_secs_f64(),
            cost.memory as f64 / 1e6,
            cost.page as f64 / 1e6,
        );
        first.get_or_insert(cost);
        fs::remove_dir_all(&dir)?;
    }
    let cost = first.context("there is a first row")?;
    ensure!(
        cost.time < MOST_TIME,
        "the first row takes over {MOST_TIME:?}"
    );
    ensure!(cost.memory < MOST_MEMORY, "the first row takes over 200 MB");
    ensure!(cost.page < MOST_PAGE, "the first row's page has over 5 MB");
    Ok(())
}

/// The run of the least time.
fn best(program: &Path, dir: &Path) -> Result<Cost> {
    let runs: Result<Vec<Cost>> = (0..ROUNDS).map(|_| once(program, dir)).collect();
    let runs = runs?.into_iter();
    runs.min_by_key(|cost| cost.time).context("there were runs")
}

fn once(program: &Path, dir: &Path) -> Result<Cost> {
    let page = dir.join("page.html");
    let begin = Instant::now();
    let mut command = Command::new(program);
    command
        .arg("report")
        .arg(dir)
        .arg("-o")
        .arg(&page)
        .stdout(Stdio::null());
    let memory = peak_memory(&mut command)?;
    Ok(Cost {
        time: begin.elapsed(),
        memory,
        page: fs::metadata(&page)?.len(),
    })
}

/// Runs a command to its end; says its largest resident set, in bytes.
fn peak_memory(command: &mut Command) -> Result<u64> {
    let child = command.spawn()?;
    let pid = libc::pid_t::try_from(child.id())?;
    let mut status = 0;
    // SAFETY: all zeros are a value of this structure of numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live variables of the types that the call writes. The child is
    // ours and has not been waited for; `child` is not waited for afterwards.
    let waited = unsafe { libc::wait4(pid, &mut status, 0, &mut usage) };
    ensure!(waited == pid, io::Error::last_os_error());
    ensure!(status == 0, "{command:?} ended with {status:#x}");
    // Linux counts in kibibytes.
    Ok(u64::try_from(usage.ru_maxrss)? << 10)
}

fn size(dir: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(dir)? {
        sum += entry?.metadata()?.len();
    }
    Ok(sum)
}
