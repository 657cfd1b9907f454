//! A timer that epoll can wait for, in nanoseconds of CLOCK_MONOTONIC. Epoll's own timeouts are of whole
//! milliseconds, and subject to the thread's timer slack.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::clock::Nanos;

/// The timer, and what it is set to.
#[derive(Debug)]
pub(super) struct Timer {
    descriptor: TimerFd,
    set_to: Option<Nanos>,
}

impl Timer {
    /// A timer whose expiry is an event for `token`.
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Timer> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let descriptor = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        let raw = descriptor.as_fd().as_raw_fd();
        registry.register(&mut SourceFd(&raw), token, Interest::READABLE)?;
        Ok(Timer {
            descriptor,
            set_to: None,
        })
    }

    /// Expires at `at`, and no more at what it was set to before. An instant in the past expires at once.
    pub(super) fn set(&mut self, at: Nanos) -> io::Result<()> {
        if self.set_to == Some(at) {
            return Ok(());
        }
        // Zero would switch it off.
        let at_least_one = std::time::Duration::from_nanos(at.0.max(1));
        let expiration = Expiration::OneShot(TimeSpec::from_duration(at_least_one));
        // Setting it anew also makes it unexpired, so that the next expiry is a new edge for epoll.
        self.descriptor
            .set(expiration, TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
        self.set_to = Some(at);
        Ok(())
    }

    /// It has expired: the same instant can be set again.
    pub(super) fn note_expired(&mut self) {
        self.set_to = None;
    }
}
