//! A session: one process traced, from attaching to detaching.
//!
//! The programs count in the kernel. Once an interval, [`Session::next`] reads what they have added
//! and gives it as a [`Tick`]; in between it only takes slow events from the ring buffer. Dropping
//! the session detaches everything, and so does the kernel if this process is killed: nothing of a
//! session outlives it.

mod attached;
mod counters;
mod incoming;
mod lives;
mod options;
pub(crate) mod usage;

use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aya::maps::{MapData, RingBuf};
use tailcut_probe_ebpf::records::{Event, Lost};

use self::attached::Attached;
use self::counters::Counters;
use self::incoming::Record;
use self::lives::Lives;
pub use self::options::Options;
use self::usage::Watched;
use crate::catalogue::{self, Series};
use crate::programs::{Programs, ProgramsError, Settings};
use crate::system_calls;
use crate::tick::{Cost, SeriesTick, SlowEvent, Tick};

/// Why a session cannot begin, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The target is not there.
    #[error("there is no process {pid}: {source}")]
    NoProcess {
        /// Its number.
        pid: u32,
        /// What the kernel says.
        source: io::Error,
    },
    /// The kernel refuses.
    #[error(transparent)]
    Programs(#[from] ProgramsError),
    /// Waiting for events failed.
    #[error("cannot wait for events: {0}")]
    Wait(#[source] io::Error),
}

/// A process that is traced.
pub struct Session {
    options: Options,
    pid: u32,
    watched: Watched,
    /// Before `programs`: hooks go before the maps that they use.
    attached: Attached,
    records: RingBuf<MapData>,
    programs: Programs,
    counters: Counters,
    series: Vec<Series>,
    lives: Lives,
    events: Vec<SlowEvent>,
    /// When the current interval began.
    since_ns: u64,
    deadline: Instant,
    before: Readings,
    ended: bool,
}

/// What is only known as a sum since the beginning.
#[derive(Debug, Clone, Copy, Default)]
struct Readings {
    target_cpu_ns: u64,
    own_cpu_ns: u64,
    runs: u64,
    programs_ns: u64,
    losses: [u64; tailcut_probe_ebpf::records::LOST as usize],
}

impl Session {
    /// Attaches to process `pid`. The first interval begins when this returns.
    ///
    /// # Errors
    /// [`SessionError::NoProcess`] if there is none; [`SessionError::Programs`] if the kernel takes
    /// none of the programs: without privileges, say.
    pub fn attach(pid: u32, options: Options) -> Result<Session, SessionError> {
        let watched =
            Watched::open(pid).map_err(|source| SessionError::NoProcess { pid, source })?;
        let mut programs = Programs::load(&Settings {
            target: pid,
            follow: options.follow,
            stacks: options.stacks,
            long_running_ns: options.long_running.as_nanos() as u64,
            lifetime_mask: options.lifetime_fraction.next_power_of_two() - 1,
        })?;
        let series: Vec<Series> = catalogue::all()
            .into_iter()
            .filter(|series| options.series.has(series.group))
            .filter(|series| series.allocator.is_none())
            .collect();
        for series in &series {
            programs.set_threshold(series.number, options.threshold_of(series))?;
        }
        let records = programs.take_records()?;
        let attached = Attached::attach(&mut programs, &options.series)?;
        let before = Readings {
            target_cpu_ns: watched.cpu_ns(),
            own_cpu_ns: usage::own_cpu_ns(),
            ..Readings::default()
        };
        Ok(Session {
            deadline: Instant::now() + options.interval,
            options,
            pid,
            watched,
            attached,
            records,
            programs,
            counters: Counters::new(),
            series,
            lives: Lives::default(),
            events: Vec::new(),
            since_ns: usage::now(),
            before,
            ended: false,
        })
    }

    /// The target's process number.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Hooks that this kernel does not have, with the reason.
    pub fn left_out(&self) -> &[String] {
        &self.attached.left_out
    }

    /// Waits for the end of the interval, of the target, or until `stop` is set, and says what was
    /// seen. After a tick that [ended](Tick::ended) there are none.
    ///
    /// # Errors
    /// [`SessionError`] if the kernel no longer answers.
    pub fn next(&mut self, stop: &AtomicBool) -> Result<Option<Tick>, SessionError> {
        if self.ended {
            return Ok(None);
        }
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || stop.load(Ordering::Relaxed) {
                break;
            }
            // Woken by a signal, `stop` may be set before the wait begins: so it is a short one.
            let gone = self.wait(left.min(Duration::from_millis(100)))?;
            self.take_records();
            if gone {
                self.ended = true;
                break;
            }
        }
        self.take_records();
        let tick = self.tick()?;
        // A late reader gets a longer interval, not a burst of short ones.
        self.deadline = (self.deadline + self.options.interval).max(Instant::now());
        Ok(Some(tick))
    }

    /// Waits for records or for the target's end. Says whether the target has ended.
    fn wait(&self, timeout: Duration) -> Result<bool, SessionError> {
        let mut waiting = [
            libc::pollfd {
                fd: self.watched.handle().as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            },
            libc::pollfd {
                fd: self.records.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            },
        ];
        let milliseconds = timeout.as_millis().max(1) as i32;
        // SAFETY: the array outlives the call, which is told its length.
        let ready = unsafe { libc::poll(waiting.as_mut_ptr(), waiting.len() as u64, milliseconds) };
        if ready < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::Interrupted => Ok(false),
                _ => Err(SessionError::Wait(error)),
            };
        }
        Ok(waiting[0].revents != 0)
    }

    fn take_records(&mut self) {
        let Session {
            records,
            lives,
            events,
            pid,
            ..
        } = self;
        incoming::drain(records, |record| match record {
            Record::Slow(event) => events.extend(slow_event(&event)),
            Record::Life(event) => lives.take(*pid, &event),
            Record::Stack(_) => {}
        });
    }

    fn tick(&mut self) -> Result<Tick, SessionError> {
        let now = usage::now();
        let length_ns = now.saturating_sub(self.since_ns);
        let mut series = Vec::with_capacity(self.series.len());
        for one in &self.series {
            let floor_ns = 0;
            let difference = self
                .counters
                .difference(&self.programs, one.number, floor_ns)?;
            series.push(SeriesTick {
                name: one.name.to_owned(),
                series: one.clone(),
                histogram: difference.histogram,
                total: difference.total,
                bytes: difference.bytes,
                sampled: 1.0,
                floor_ns,
                under_floor: difference.under_floor,
            });
        }
        let mut events = std::mem::take(&mut self.events);
        events.sort_by_key(|event| event.end_ns);
        let (runs, programs_ns) = self.programs.runs();
        let readings = Readings {
            // It can no longer be read once the target has ended.
            target_cpu_ns: self.watched.cpu_ns().max(self.before.target_cpu_ns),
            own_cpu_ns: usage::own_cpu_ns(),
            runs,
            programs_ns,
            losses: self.programs.losses()?,
        };
        let before = std::mem::replace(&mut self.before, readings);
        let target_cpu_ns = readings.target_cpu_ns - before.target_cpu_ns;
        let programs_ns = programs_ns.saturating_sub(before.programs_ns);
        let tick = Tick {
            start_ns: self.since_ns,
            length_ns,
            series,
            events,
            call_sites: Vec::new(),
            cost: Cost {
                runs: runs.saturating_sub(before.runs),
                programs_ns,
                hits: 0,
                traps_ns: 0,
                share: programs_ns as f64 / target_cpu_ns.max(1) as f64,
                budget: self.options.budget,
                own_cpu_ns: readings.own_cpu_ns.saturating_sub(before.own_cpu_ns),
                own_rss_bytes: usage::own_rss_bytes(),
            },
            threads: self.watched.threads(),
            target_cpu_ns,
            target_rss_bytes: self.watched.rss_bytes(),
            lost: lost(&readings.losses, &before.losses),
            windows: Vec::new(),
            lives: self.lives.take_all(),
            ended: self.ended,
        };
        self.since_ns = now;
        Ok(tick)
    }
}

fn slow_event(event: &Event) -> Option<SlowEvent> {
    let series = catalogue::of_number(event.series)?;
    let by = match event.by_thread {
        0 if series.detail == Some("system call") => {
            let number = event.detail as u32;
            Some(match (number as i32, system_calls::name(number)) {
                (-1, _) => "a page fault or an interrupt".to_owned(),
                (_, Some(name)) => name.to_owned(),
                (_, None) => format!("system call {number}"),
            })
        }
        0 => None,
        thread => Some(format!("{}/{thread}", printable(&event.by_name))),
    };
    Some(SlowEvent {
        series: event.series,
        name: series.name.to_owned(),
        pause: series.pause,
        process: event.process,
        thread: event.thread,
        cpu: event.cpu,
        start_ns: event.start_ns,
        end_ns: event.end_ns,
        detail: event.detail,
        by,
        caller: (event.caller != 0).then_some(event.caller),
        stack: None,
    })
}

/// A thread names itself as it likes.
fn printable(name: &[u8]) -> String {
    let end = name.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&name[..end.unwrap_or(name.len())])
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

fn lost(now: &[u64], before: &[u64]) -> Vec<(&'static str, u64)> {
    const NAMES: [(&str, Lost); 7] = [
        ("events beyond the rate that is sent", Lost::EventsOverRate),
        ("events that found the buffer full", Lost::EventsRingFull),
        ("stacks", Lost::Stacks),
        ("threads", Lost::Threads),
        ("call sites", Lost::Callers),
        ("sampled objects", Lost::Objects),
        ("returns without a beginning", Lost::Returns),
    ];
    NAMES
        .into_iter()
        .map(|(name, kind)| {
            let kind = kind as usize;
            (name, now[kind].saturating_sub(before[kind]))
        })
        .filter(|(_, count)| *count != 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_thread_name_is_made_printable() {
        assert_eq!(printable(b"evil\x1b[2J\0rest"), "evil?[2J");
        assert_eq!(printable(b"0123456789abcdef"), "0123456789abcdef");
    }

    #[test]
    fn only_what_was_lost_in_the_interval_is_said() {
        let mut now = [5; 7];
        now[2] = 9;
        assert_eq!(lost(&now, &[5; 7]), [("stacks", 4)]);
    }
}
