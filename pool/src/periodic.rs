//! A thread that does something every so often until its handle is dropped.

use std::io;
use std::ops::ControlFlow;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::fork;

/// A running thread: ends when dropped.
#[derive(Debug)]
pub(crate) struct Periodic {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// In a child of a fork there is no such thread.
    generation: u32,
}

impl Periodic {
    /// Calls `work` every `period`, the first time after one period, until it says `Break` or the
    /// handle is dropped.
    ///
    /// # Errors
    /// The system starts no thread.
    pub(crate) fn spawn(
        thread_name: &str,
        period: Duration,
        mut work: impl FnMut() -> ControlFlow<()> + Send + 'static,
    ) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = thread::Builder::new()
            .name(thread_name.to_owned())
            .spawn(move || {
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(period) {
                    if work().is_break() {
                        return;
                    }
                }
            })?;
        Ok(Periodic {
            stop: Some(stop),
            thread: Some(thread),
            generation: fork::generation(),
        })
    }
}

impl Drop for Periodic {
    fn drop(&mut self) {
        if self.generation != fork::generation() {
            // The channel's locks may be a vanished thread's, and nobody could be waited for.
            std::mem::forget((self.stop.take(), self.thread.take()));
            return;
        }
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // If what owns the handle is dropped by the thread itself, it must not wait for itself.
            if thread.thread().id() != thread::current().id() {
                // A panic in there has been reported by the panic hook.
                let _ = thread.join();
            }
        }
    }
}
