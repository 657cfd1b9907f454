//! bpftrace, attached to the static probes of a process of ours.
//!
//! It counts hits, which is the least that a tracer does. It runs on the last core, away from the
//! first one where the measured loop is, and ends with the process that it observes.

use std::io::BufRead;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::companion::Kept;
use crate::placement::Placement;

/// What the tracer prints, once, when every probe was hit.
const SEEN: &str = "seen";

/// A running tracer; killed when dropped, whereupon the kernel takes its probes away.
pub struct Tracer {
    process: Kept,
    seen: Arc<AtomicBool>,
}

impl Tracer {
    /// Starts to attach to the probes of provider `tailcut_pool` in a process.
    ///
    /// # Errors
    /// Why it cannot be started.
    pub fn start(process: u32, probes: [&str; 2], placement: &Placement) -> Result<Tracer, String> {
        let mut program = Command::new("bpftrace");
        program.args(["-B", "line", "-p", &process.to_string(), "-e"]);
        program.arg(counting(process, probes));
        // A process inherits its cores from the thread that starts it.
        let start = || {
            placement.pin(placement.cores().len() - 1);
            Kept::start(program)
        };
        let mut process = thread::scope(|scope| scope.spawn(start).join())
            .map_err(|_| "the thread that starts bpftrace panicked".to_owned())??;
        let output = process.output();
        let seen = Arc::new(AtomicBool::new(false));
        let tell = Arc::clone(&seen);
        // Reads to the end, which comes when the tracer is killed.
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if line == SEEN {
                    tell.store(true, Ordering::Relaxed);
                }
            }
        });
        Ok(Tracer { process, seen })
    }

    /// Whether every probe was hit since it attached.
    ///
    /// # Errors
    /// Why it ended.
    pub fn has_seen_all(&mut self) -> Result<bool, String> {
        self.still_there()?;
        Ok(self.seen.load(Ordering::Relaxed))
    }

    /// Nothing, while it runs.
    ///
    /// # Errors
    /// Why it ended.
    pub fn still_there(&mut self) -> Result<(), String> {
        match self.process.0.try_wait() {
            Ok(None) => Ok(()),
            _ => Err(format!("bpftrace ended: {}", self.process.last_words())),
        }
    }
}

/// The tracer's program.
fn counting(process: u32, [one, other]: [&str; 2]) -> String {
    // By way of the process: the file may have been replaced since it was started.
    let file = format!("/proc/{process}/exe");
    format!(
        "usdt:{file}:tailcut_pool:{one} {{ @one++; }}
         usdt:{file}:tailcut_pool:{other} {{ @other++; }}
         interval:ms:100 /@one > 0 && @other > 0 && @told == 0/ {{
             @told = 1;
             printf(\"{SEEN}\\n\");
         }}"
    )
}

/// Why no tracer can be attached here, if so.
#[must_use]
pub fn obstacle() -> Option<String> {
    // SAFETY: the call has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        return Some("attaching bpftrace takes root".to_owned());
    }
    let version = Command::new("bpftrace").arg("--version").output();
    version
        .err()
        .map(|error| format!("bpftrace does not run: {error}"))
}
