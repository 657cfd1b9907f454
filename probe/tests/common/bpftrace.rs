//! bpftrace on the same process, as a second opinion.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A bpftrace that is attached.
pub struct Bpftrace {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

/// What it printed at its end.
#[derive(Debug, Default)]
pub struct Opinion {
    /// The maps that hold one number.
    pub maps: BTreeMap<String, u64>,
    /// All other lines.
    pub lines: Vec<String>,
}

/// Whether it is there; says aloud if not.
pub fn is_skipped() -> bool {
    if Command::new("bpftrace").arg("--version").output().is_ok() {
        return false;
    }
    super::skip("bpftrace is not installed");
    true
}

impl Bpftrace {
    /// Runs `program` on process `pid`, whose number stands for `PID` in it, and returns when there is
    /// a breakpoint at each of `addresses` in the process. bpftrace asks for the number, too, only to
    /// find static probes: its other probes are hit by all processes that run the probed file.
    ///
    /// # Panics
    /// If that does not happen within half a minute.
    pub fn start(pid: u32, program: &str, addresses: &[u64]) -> Bpftrace {
        let mut child = Command::new("bpftrace")
            .args(["-p", &pid.to_string(), "-e"])
            .arg(program.replace("PID", &pid.to_string()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let begin = Instant::now();
        while !addresses
            .iter()
            .all(|address| has_breakpoint(pid, *address))
        {
            if begin.elapsed() > Duration::from_secs(30) || child.try_wait().unwrap().is_some() {
                let _ = child.kill();
                let output = child.wait_with_output().unwrap();
                let complaint = String::from_utf8_lossy(&output.stderr);
                panic!("bpftrace does not attach to process {pid}: {complaint}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // Return probes are attached after the entries, at the same addresses.
        std::thread::sleep(Duration::from_millis(500));
        Bpftrace { child, output }
    }

    /// Ends it, and takes what it says.
    ///
    /// # Panics
    /// If it fails, or does not end within a minute.
    pub fn stop(self) -> Opinion {
        let Bpftrace { mut child, output } = self;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines() {
                let _ = sender.send(line.unwrap());
            }
        });
        let interrupt = || kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
        interrupt();
        let mut said = Vec::new();
        let begin = Instant::now();
        loop {
            match lines.recv_timeout(Duration::from_secs(5)) {
                Ok(line) => said.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                // It forgets a signal that comes while it still starts. Not sooner: one that comes while it
                // ends kills it.
                Err(RecvTimeoutError::Timeout) if begin.elapsed() < Duration::from_secs(60) => {
                    interrupt();
                }
                Err(RecvTimeoutError::Timeout) => {
                    let _ = child.kill();
                    panic!("bpftrace does not end");
                }
            }
        }
        let mut opinion = Opinion::default();
        for line in said {
            let map = line
                .strip_prefix('@')
                .and_then(|map| map.split_once(": "))
                .and_then(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
            match map {
                Some((name, value)) => drop(opinion.maps.insert(name, value)),
                None => opinion.lines.push(line),
            }
        }
        assert!(child.wait().unwrap().success());
        opinion
    }
}

impl Opinion {
    /// The number in a map; 0 if it was never written.
    pub fn of(&self, map: &str) -> u64 {
        self.maps.get(map).copied().unwrap_or(0)
    }
}

/// Whether the instruction at `address` is a breakpoint now.
pub fn has_breakpoint(pid: u32, address: u64) -> bool {
    code_at(pid, address)[0] == 0xcc
}

/// The bytes at an address of a process.
///
/// # Panics
/// If they cannot be read.
pub fn code_at(pid: u32, address: u64) -> [u8; 16] {
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut bytes = [0; 16];
    memory.read_exact_at(&mut bytes, address).unwrap();
    bytes
}
