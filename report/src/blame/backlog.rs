//! How much of a request's waiting is owed to pauses that ended, or began, before it was due.
//!
//! A pause of length L puts the thread L behind. What it is behind shrinks by the time that it would
//! have been idle without the pause: at utilisation rho, by 1 - rho of all time that passes. So
//! t after the pause began, L - (1 - rho) t is still owed (the difference between two queues with the
//! same arrivals, one with the pause; Lindley's recursion for both). During a pause that is the
//! pause's own rest plus the work that came meanwhile; here only the latter counts, since the rest
//! is covered by the pause itself.
//!
//! What is known of the queue goes before what is reckoned:
//!
//! - While a request waited, the thread worked on what was before it, pauses aside: no more than
//!   that time is owed. Who did not wait shows that nothing is.
//! - What it waited beyond what is owed it would have waited without pauses, too: for so long the
//!   thread would not have been idle, and the debt does not shrink.
//! - From when a slow request was due until it was done the thread was never idle. While such times
//!   touch each other, nothing of what pauses added meanwhile is taken off: all of it may be owed. Where
//!   they do not, the reckoning goes on alone.
//!
//! Where utilisation is not known nothing is reckoned, and only unbroken times carry a debt.

use crate::recording::SlowRequest;

use super::cover::Segment;

/// The debt of one thread, followed through time.
#[derive(Debug)]
pub(super) struct Backlog<'a> {
    segments: &'a [Segment],
    /// Segments that ended.
    passed: usize,
    utilisation: Option<f64>,
    now_ns: u64,
    /// What is owed by reckoning.
    reckoned_ns: f64,
    /// What may be owed since the unbroken time began.
    unbroken_ns: u64,
    unbroken_until_ns: u64,
    /// Until then the thread would have worked without any pause, too.
    busy_anyway_until_ns: u64,
}

impl<'a> Backlog<'a> {
    /// `utilisation` is the share of its time that the thread works when it does not pause.
    pub(super) fn new(segments: &'a [Segment], utilisation: Option<f64>) -> Backlog<'a> {
        Backlog {
            segments,
            passed: 0,
            utilisation: utilisation.map(|share| share.clamp(0.0, 1.0)),
            now_ns: 0,
            reckoned_ns: 0.0,
            unbroken_ns: 0,
            unbroken_until_ns: 0,
            busy_anyway_until_ns: 0,
        }
    }

    /// What pauses before the request was due added to its waiting beyond their own time, at most:
    /// no more than `worked_ns`, which is its waiting without pauses. Requests must come in the
    /// order in which they were due.
    pub(super) fn owed_to(&mut self, request: &SlowRequest, worked_ns: u64) -> u64 {
        self.go_on_to(request.intended_ns);
        self.reckoned_ns = self.reckoned_ns.min(worked_ns as f64);
        let reckoned = self.reckoned_ns as u64;
        self.unbroken_ns = if request.intended_ns <= self.unbroken_until_ns {
            self.unbroken_ns.max(reckoned).min(worked_ns)
        } else {
            reckoned
        };
        self.unbroken_until_ns = self.unbroken_until_ns.max(request.end_ns);
        let anyway = worked_ns - self.unbroken_ns;
        let busy_until = request.intended_ns.saturating_add(anyway);
        self.busy_anyway_until_ns = self.busy_anyway_until_ns.max(busy_until);
        self.unbroken_ns
    }

    fn go_on_to(&mut self, to_ns: u64) {
        while self.now_ns < to_ns {
            let Some(segment) = self.segments.get(self.passed) else {
                self.work(to_ns);
                break;
            };
            if segment.end_ns <= self.now_ns {
                self.passed += 1;
            } else if segment.start_ns > self.now_ns {
                self.work(segment.start_ns.min(to_ns));
            } else {
                self.pause(segment.end_ns.min(to_ns));
            }
        }
    }

    fn work(&mut self, to_ns: u64) {
        let gone = self.idle_until(to_ns);
        self.reckoned_ns = (self.reckoned_ns - gone).max(0.0);
        self.now_ns = to_ns;
    }

    fn pause(&mut self, to_ns: u64) {
        let gone = to_ns - self.now_ns;
        if self.utilisation.is_some() {
            self.reckoned_ns += gone as f64 - self.idle_until(to_ns);
        }
        let known = to_ns.min(self.unbroken_until_ns);
        self.unbroken_ns = self
            .unbroken_ns
            .saturating_add(known.saturating_sub(self.now_ns));
        self.now_ns = to_ns;
    }

    /// For how long the thread would have been idle from now on without pauses.
    fn idle_until(&self, to_ns: u64) -> f64 {
        let from = self.now_ns.max(self.busy_anyway_until_ns);
        let idle = 1.0 - self.utilisation.unwrap_or(0.0);
        idle * to_ns.saturating_sub(from) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blame::cover::Cover;

    const MS: u64 = 1_000_000;

    fn pause(start: u64, end: u64) -> Segment {
        Segment {
            start_ns: start * MS,
            end_ns: end * MS,
            span: 0,
        }
    }

    /// Due, taken up, done.
    fn owed(
        pauses: &[Segment],
        utilisation: Option<f64>,
        requests: &[(u64, u64, u64)],
    ) -> Vec<u64> {
        let mut backlog = Backlog::new(pauses, utilisation);
        let cover = Cover::of(pauses.iter());
        let requests = requests.iter().map(|&(due, start, end)| SlowRequest {
            intended_ns: due * MS,
            start_ns: start * MS,
            end_ns: end * MS,
            thread: 1,
            request: 0,
        });
        requests
            .map(|request| {
                let paused = cover.within(request.intended_ns, request.start_ns);
                backlog.owed_to(&request, request.backlog_ns() - paused) / MS
            })
            .collect()
    }

    #[test]
    fn a_debt_shrinks_by_the_time_that_would_have_been_idle() {
        // Half busy: a pause of 20 leaves 10 when it ends, and 4 a dozen later.
        let pauses = [pause(100, 120)];
        assert_eq!(owed(&pauses, Some(0.5), &[(120, 135, 136)]), [10]);
        assert_eq!(owed(&pauses, Some(0.5), &[(132, 150, 151)]), [4]);
        assert_eq!(owed(&pauses, Some(0.5), &[(141, 150, 151)]), [0]);
        // Fully busy: it never shrinks.
        assert_eq!(owed(&pauses, Some(1.0), &[(900, 990, 991)]), [20]);
    }

    #[test]
    fn who_did_not_wait_ends_a_debt_and_who_waited_little_bounds_it() {
        let pauses = [pause(100, 120)];
        let idle = [(122, 122, 123), (124, 130, 131)];
        assert_eq!(owed(&pauses, Some(0.9), &idle), [0, 0]);
        let little = [(121, 124, 125), (126, 150, 151)];
        assert_eq!(owed(&pauses, Some(0.9), &little), [3, 2]);
    }

    #[test]
    fn without_utilisation_only_an_unbroken_wait_is_owed() {
        let pauses = [pause(100, 120)];
        let touching = [(99, 99, 121), (119, 121, 124), (123, 130, 131)];
        assert_eq!(owed(&pauses, None, &touching), [0, 1, 2]);
        let apart = [(99, 99, 121), (123, 130, 131)];
        assert_eq!(owed(&pauses, None, &apart), [0, 0]);
    }
}
