//! How a worker waits: spinning where that costs nobody anything, else asleep.
//!
//! Asleep, a thread wakes up 50 to 100 us late on a virtual machine, which would be the lateness of the
//! next send, or stand in the latency of the next answer. Spinning, it takes a core that the server may
//! need. So a worker that has a core for itself spins when the next request is due within [`SPIN_AHEAD`],
//! and while answers are under way for [`SPIN_AFTER`] after the last one came (a server that takes longer
//! than that is measured to within a tenth of it by an interrupted sleep). Otherwise it sleeps in `epoll`
//! until an answer, or an alarm that is early enough. A worker that shares its core with the target never
//! spins: it would wait for what it keeps from happening.

use super::Worker;
use crate::clock::{Clock, Nanos};
use crate::network::NetworkError;
use crate::network::connection::State;
use crate::network::session::MakeSession;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// A request due within this is waited for awake.
const SPIN_AHEAD: Nanos = Nanos(150_000);
/// For so long after the last answer the next one is waited for awake.
const SPIN_AFTER: Nanos = Nanos(1_000_000);
/// A sleep ends so long before a request is due.
const WAKE_EARLY: Nanos = Nanos(100_000);
/// No sleep is longer than this: timeouts and the ends of seconds are looked after.
const LONGEST: Nanos = Nanos(20_000_000);

/// What the alarm's event carries.
const ALARM: Token = Token(usize::MAX);
/// What the waker's event carries.
pub(super) const WAKER: Token = Token(usize::MAX - 1);

/// Ends a sleep to the microsecond, where `epoll_wait` knows milliseconds only.
pub(super) struct Alarm {
    timer: TimerFd,
}

impl Alarm {
    pub(super) fn new(registry: &Registry) -> io::Result<Alarm> {
        let timer = TimerFd::new(
            ClockId::CLOCK_MONOTONIC,
            TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC,
        )?;
        let descriptor = timer.as_fd().as_raw_fd();
        registry.register(&mut SourceFd(&descriptor), ALARM, Interest::READABLE)?;
        Ok(Alarm { timer })
    }

    /// Goes off at `at`; once, even if that is past.
    fn set(&self, at: Nanos) -> io::Result<()> {
        let at = TimeSpec::from_duration(Duration::from_nanos(at.0.max(1)));
        let once = Expiration::OneShot(at);
        self.timer
            .set(once, TimerSetTimeFlags::TFD_TIMER_ABSTIME)
            .map_err(Into::into)
    }
}

impl<C: Clock, M: MakeSession> Worker<'_, C, M> {
    /// Until when the thread may sleep; nothing if it must look again at once.
    pub(super) fn wait_until(&self, now: Nanos) -> Option<Nanos> {
        let longest = now + LONGEST;
        // What is due but has no place waits for an event, not for the clock.
        let next = match &self.run {
            Some(run) if !run.is_due(now) && run.source.intended(now) < run.end => {
                run.source.intended(now)
            }
            _ => longest,
        };
        if !self.settings.spin {
            return Some(next.min(longest));
        }
        let awake = now + SPIN_AHEAD > next
            || (self.under_way > 0 && now.saturating_sub(self.last_event) < SPIN_AFTER);
        if awake {
            return None;
        }
        Some(next.saturating_sub(WAKE_EARLY).min(longest))
    }

    /// Asks the kernel what has happened, and deals with it: at once, or until `wait`. Returns whether
    /// anything had.
    pub(super) fn turn_of_events(&mut self, wait: Option<Nanos>) -> Result<bool, NetworkError> {
        let timeout = match wait {
            None => Some(Duration::ZERO),
            Some(until) => {
                self.alarm.set(until).map_err(NetworkError::EventLoop)?;
                None
            }
        };
        if let Err(error) = self.poll.poll(&mut self.events, timeout)
            && error.kind() != io::ErrorKind::Interrupted
        {
            return Err(NetworkError::EventLoop(error));
        }
        let mut worked = self.read_on();
        // Taken out while connections are dealt with; put back for its memory.
        let events = std::mem::replace(&mut self.events, mio::Events::with_capacity(0));
        for event in &events {
            let Token(index) = event.token();
            let Some(connection) = self.connections.get(index) else {
                continue; // the alarm, or the waker
            };
            worked = true;
            if connection.state == State::Connecting {
                self.try_to_stand(index);
            } else {
                if event.is_writable() {
                    self.write_on(index);
                }
                if event.is_readable() || event.is_read_closed() || event.is_error() {
                    let closed = event.is_read_closed() || event.is_error();
                    self.read(index, closed);
                }
            }
        }
        self.events = events;
        Ok(worked)
    }
}
