//! Ctrl-C: what is under way ends in order, its recording is closed, the report is still made.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Shared between the command and its signal thread.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    stop: Arc<AtomicBool>,
    /// The child under way, or 0.
    pub child: Arc<AtomicI32>,
}

impl Interrupt {
    /// From now on SIGINT, SIGTERM and SIGHUP end the command in order; a second one ends it at once.
    pub fn install() -> Result<Interrupt> {
        let interrupt = Interrupt::default();
        let mut signals =
            Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot handle signals")?;
        let shared = interrupt.clone();
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                for _ in signals.forever() {
                    let again = shared.stop.swap(true, Ordering::SeqCst);
                    let child = shared.child.load(Ordering::SeqCst);
                    if child > 0 {
                        // The terminal signals the child too, but `kill` does not.
                        let signal = if again {
                            Signal::SIGKILL
                        } else {
                            Signal::SIGTERM
                        };
                        let _ = kill(Pid::from_raw(child), signal);
                    }
                    if again {
                        std::process::exit(130);
                    }
                }
            })
            .context("cannot start the signal thread")?;
        Ok(interrupt)
    }

    /// Whether the command is to end.
    pub fn requested(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// The same, for whoever waits on it.
    pub fn flag(&self) -> &AtomicBool {
        &self.stop
    }
}
