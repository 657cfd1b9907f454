//! A flag that asks long work to end, and the signals that raise it.
//!
//! `record`, `top` and `serve` run until somebody stops them; each looks at the flag at least a few
//! times a second, detaches, and returns. What a signal does is decided here once: the first asks,
//! and nothing kills, since a killed session could leave its files or the terminal half done. (The
//! kernel detaches programs whose owner was killed; SIGKILL harms nobody but the display.)

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// A request to end, shared by all its clones.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    flag: Arc<AtomicBool>,
    /// Another's request counts as well.
    also: Option<Box<Stop>>,
}

impl Stop {
    /// One that only [`Stop::set`] raises.
    pub fn new() -> Stop {
        Stop::default()
    }

    /// One that SIGINT, SIGTERM and SIGHUP raise from now on, in place of what they did before.
    ///
    /// # Errors
    ///
    /// The handlers could not be installed.
    pub fn on_signals() -> io::Result<Stop> {
        let stop = Stop::new();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&stop.flag))?;
        }
        Ok(stop)
    }

    /// Whether to end.
    pub fn is_set(&self) -> bool {
        // Nothing else is read on its account.
        self.flag.load(Ordering::Relaxed) || self.also.as_ref().is_some_and(|also| also.is_set())
    }

    /// One that is set when either is; setting it sets `other`.
    #[must_use]
    pub fn joined(&self, other: &Stop) -> Stop {
        Stop {
            flag: Arc::clone(&other.flag),
            also: Some(Box::new(self.clone())),
        }
    }

    /// Asks to end.
    pub fn set(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_asks_to_end_and_kills_nobody() {
        let stop = Stop::on_signals().unwrap();
        assert!(!stop.is_set());
        signal_hook::low_level::raise(SIGTERM).unwrap();
        assert!(stop.clone().is_set());
    }
}
