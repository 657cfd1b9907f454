//! A program that a check has started, which ends with the check, however that ends.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(3);

/// A process that is ended when this is dropped: by SIGTERM, after three seconds by SIGKILL.
pub struct Running(pub Child);

impl Running {
    /// Its number.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Whether it has ended by itself.
    pub fn is_over(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(Some(_)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_over() {
            return;
        }
        let pid = self.pid().to_string();
        // A check may have frozen it.
        for signal in ["-CONT", "-TERM"] {
            let _ = Command::new("kill").args([signal, &pid]).status();
        }
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if self.is_over() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_program_ends_with_its_owner() {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id().to_string();
        let mut stop = Command::new("kill");
        assert!(stop.args(["-STOP", &pid]).status().unwrap().success());
        drop(Running(child));
        assert!(!std::path::Path::new("/proc").join(pid).exists());
    }
}
