//! Which resource was at its limit: a pure function of samples.
//!
//! The order is that of certainty. CPU that is used up, by all threads or by the one that does the work,
//! explains a missed schedule by itself. Threads that were ready and did not run say that the machine
//! has too few CPUs for what runs on it, the generator included. Page faults that wait for a device
//! mean memory that is not there. What none of it explains is waiting: locks, disks, other servers; that
//! is not named, because it is not seen.

use tailcut_report::recording::{Generator, ResourceSample};

use crate::clock::Nanos;

/// From this share of a limit on it counts as reached: the rest goes to interrupts and rounding.
const FULL: f64 = 0.95;
/// From this share of ready time spent waiting on there are too few CPUs.
const WAITING: f64 = 0.2;
/// From so many faults a second on that wait for a device, memory is short.
const MAJOR_FAULTS: f64 = 10.0;

/// What a target used between two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TargetUse {
    /// The time between them.
    pub span: Nanos,
    /// CPU time per time: 1 is one core.
    pub cores: f64,
    /// CPUs that it may use; `None` where that is not known.
    pub allowed: Option<f64>,
    /// CPU time per time of its busiest thread; 0 where that was not recorded.
    pub busiest_thread: f64,
    /// Time that its threads were ready and did not run, as a share of that in which they ran or were
    /// ready, 0 to 1.
    pub waiting: f64,
    /// Page faults per second that waited for a device.
    pub major_faults: f64,
}

/// The limit that a target has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strain {
    /// All CPU that it may use.
    Cpu,
    /// One thread does the work, and has no time left.
    Thread,
    /// Its threads wait for CPUs that others use.
    TooFewCpus,
    /// It waits for memory that is on a device.
    Memory,
    /// None that can be seen from outside.
    None,
}

impl TargetUse {
    /// Between the first and the last of `samples`; `None` of fewer than two.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // nanoseconds of a run
    pub fn of(samples: &[ResourceSample]) -> Option<TargetUse> {
        let (first, last) = (samples.first()?, samples.last()?);
        let span = last
            .at_ns
            .checked_sub(first.at_ns)
            .filter(|span| *span > 0)?;
        let used = |of: fn(&ResourceSample) -> u64| of(last).saturating_sub(of(first)) as f64;
        let cpu = used(|sample| sample.cpu_ns);
        let waited = used(|sample| sample.run_queue_wait_ns);
        Some(TargetUse {
            span: Nanos(span),
            cores: cpu / span as f64,
            allowed: (last.allowed_millicpus > 0)
                .then(|| f64::from(last.allowed_millicpus) / 1000.0),
            busiest_thread: used(|sample| sample.busiest_thread_ns) / span as f64,
            waiting: if cpu + waited > 0.0 {
                waited / (cpu + waited)
            } else {
                0.0
            },
            major_faults: used(|sample| sample.major_faults) / Nanos(span).as_secs_f64(),
        })
    }

    /// The limit that was reached.
    #[must_use]
    pub fn strain(&self) -> Strain {
        // A thread that waits for a core would use it: what it lacks is CPU, and not its own.
        if self.waiting >= WAITING {
            return Strain::TooFewCpus;
        }
        if self
            .allowed
            .is_some_and(|allowed| self.cores >= FULL * allowed)
        {
            return Strain::Cpu;
        }
        if self.busiest_thread >= FULL {
            return Strain::Thread;
        }
        if self.major_faults >= MAJOR_FAULTS {
            return Strain::Memory;
        }
        Strain::None
    }

    /// What was found, as half a sentence with its figures.
    #[must_use]
    pub fn describe(&self) -> String {
        let of_allowed = self.allowed.map_or_else(String::new, |allowed| {
            format!(" of the {} CPUs that it may use", trimmed(allowed))
        });
        match self.strain() {
            Strain::Cpu => format!(
                "the target used {} cores{of_allowed}: the target's CPU is the limit",
                trimmed(self.cores)
            ),
            Strain::Thread => format!(
                "one thread of the target was busy {} of the time, while all used {} cores{of_allowed}: \
                 that thread is the limit",
                percent(self.busiest_thread),
                trimmed(self.cores)
            ),
            Strain::TooFewCpus => format!(
                "the target's threads were ready but not running for {} of the time that they wanted to \
                 run: too few CPUs for all that runs here",
                percent(self.waiting)
            ),
            Strain::Memory => format!(
                "the target waited for {} page faults per second from a device: its memory does not fit",
                trimmed(self.major_faults)
            ),
            Strain::None => format!(
                "the target used {} cores{of_allowed}, its busiest thread {} of one",
                trimmed(self.cores),
                percent(self.busiest_thread)
            ),
        }
    }
}

/// Adds to the generator's verdict what is known of the target: its sentence grows by the limit that the
/// target reached, and where threads of the target waited for cores the machine is to blame, not
/// the target. A verdict against the generator stays as it is: it is not the target's use that matters then.
pub fn explain(generator: &mut Generator, target: &TargetUse) {
    let found = target.describe();
    if generator.bottleneck == "target" && target.strain() == Strain::TooFewCpus {
        "machine".clone_into(&mut generator.bottleneck);
    }
    if generator.bottleneck == "generator" {
        return;
    }
    generator.reason = match (generator.reason.is_empty(), generator.bottleneck.as_str()) {
        (true, _) => found,
        (false, "target") if target.strain() == Strain::None => format!(
            "{}; {found}, so it waited for something that is not seen from outside",
            generator.reason
        ),
        (false, _) => format!("{}; {found}", generator.reason),
    };
}

/// Two significant decimals at most, none that are zero.
fn trimmed(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second of a target with two CPUs; times in thousandths of a second.
    fn second(cpu: u64, busiest: u64, waited: u64, major_faults: u64) -> TargetUse {
        let sample = |part: u64| ResourceSample {
            at_ns: 5_000_000_000 + part * 1_000_000_000,
            cpu_ns: 700 + part * cpu * 1_000_000,
            busiest_thread_ns: part * busiest * 1_000_000,
            run_queue_wait_ns: 9 + part * waited * 1_000_000,
            major_faults: 3 + part * major_faults,
            allowed_millicpus: 2000,
            ..ResourceSample::default()
        };
        TargetUse::of(&[sample(0), sample(1)]).expect("two samples")
    }

    #[test]
    fn the_limit_that_was_reached_is_named_with_its_figure() {
        for (used, strain, words) in [
            (
                second(1950, 980, 10, 0),
                Strain::Cpu,
                "used 1.95 cores of the 2 CPUs that it may use",
            ),
            (
                second(1010, 990, 10, 0),
                Strain::Thread,
                "one thread of the target was busy 99%",
            ),
            (
                second(900, 900, 400, 0),
                Strain::TooFewCpus,
                "not running for 31%",
            ),
            // Who waits for cores does not say by its own use how much it would need.
            (
                second(1950, 990, 900, 0),
                Strain::TooFewCpus,
                "too few CPUs",
            ),
            (
                second(100, 90, 1, 250),
                Strain::Memory,
                "250 page faults per second",
            ),
            (
                second(900, 500, 50, 3),
                Strain::None,
                "0.9 cores of the 2 CPUs",
            ),
        ] {
            assert_eq!(used.strain(), strain, "{used:?}");
            assert!(used.describe().contains(words), "{}", used.describe());
        }
    }

    #[test]
    fn samples_that_say_nothing_are_nothing() {
        assert_eq!(TargetUse::of(&[]), None);
        let sample = ResourceSample::default();
        assert_eq!(TargetUse::of(&[sample.clone(), sample]), None);
        // Counters that go back, and limits that are not known, name no limit.
        let mut used = second(0, 0, 0, 0);
        used.allowed = None;
        assert_eq!(used.strain(), Strain::None);
    }

    #[test]
    fn what_is_known_of_the_target_explains_the_verdict_and_never_clears_the_generator() {
        let full = second(1990, 990, 0, 0);
        let idle = second(200, 100, 0, 0);
        let waiting = second(900, 900, 900, 0);
        for (before, target, after, words) in [
            ("generator", &full, "generator", "so it was"),
            (
                "target",
                &full,
                "target",
                "so it was; the target used 1.99 cores",
            ),
            ("target", &waiting, "machine", "too few CPUs"),
            (
                "target",
                &idle,
                "target",
                "waited for something that is not seen",
            ),
            ("none", &full, "none", "the target's CPU is the limit"),
        ] {
            let mut generator = Generator {
                bottleneck: before.to_owned(),
                reason: "so it was".to_owned(),
                ..Generator::default()
            };
            explain(&mut generator, target);
            assert_eq!(generator.bottleneck, after, "{}", generator.reason);
            assert!(generator.reason.contains(words), "{}", generator.reason);
        }
    }
}
