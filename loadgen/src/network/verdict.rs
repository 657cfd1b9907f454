//! Who was the bottleneck, from what the generator knows of itself.
//!
//! In this order:
//! 1. **Late sends.** The 99.9th percentile of the generator's own lateness is over [`LATE`] and over a tenth
//!    of that of response time, which it therefore distorts. If half of the sends were in time, and other
//!    threads or the hypervisor took [`TAKEN`] or more of the workers' time, which is several times what it
//!    takes to make a thousandth of the sends late, it was the **machine**, else the **generator**.
//! 2. **Too slow.** The schedule was missed, [`WAITED`] of the requests had to wait because all places on
//!    connections were taken, or it is a closed loop. If the workers had nothing to do for some of the
//!    time, they only waited: it was the **target**. If they had something to do for [`SATURATED`] of it, it
//!    was the **machine** if they would have had time to spare without what was taken from them, else the
//!    **generator**.
//! 3. **none**: the schedule was kept, and nobody waited.

use crate::clock::Nanos;
use hdrhistogram::Histogram;
use tailcut_report::recording::Generator;

/// Share of the workers' time that others took from which on lateness is theirs.
const TAKEN: f64 = 0.005;
/// Share of time with something to do from which on a worker has no room left.
const SATURATED: f64 = 0.95;
/// Lateness that is worth a word.
const LATE: Nanos = Nanos(100_000);
/// Share of requests that waited for a place from which on the target is the bottleneck.
const WAITED: f64 = 0.01;

/// What the verdict is about.
pub(super) struct Evidence<'a> {
    /// The generator's own lateness.
    pub(super) lateness: &'a Histogram<u64>,
    pub(super) response: &'a Histogram<u64>,
    pub(super) unsent: u64,
    pub(super) unanswered: u64,
    /// Sends that waited for a place.
    pub(super) waited: u64,
    pub(super) schedule_kept: bool,
    pub(super) closed_loop: bool,
    /// Share of the workers' time in which there was something to do.
    pub(super) busy: f64,
    /// All of it.
    pub(super) worker_time: Nanos,
    /// What others took of it.
    pub(super) taken: Nanos,
}

/// The generator's part in the figures, with the verdict.
#[allow(clippy::cast_precision_loss)] // shares
pub(super) fn judge(evidence: &Evidence<'_>) -> Generator {
    let lateness = |quantile| evidence.lateness.value_at_quantile(quantile);
    let (p999, response) = (
        Nanos(lateness(0.999)),
        Nanos(evidence.response.value_at_quantile(0.999)),
    );
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let taken = share(evidence.taken.0 as f64, evidence.worker_time.0 as f64);
    let waited = share(evidence.waited as f64, evidence.lateness.len() as f64);
    let busy = evidence.busy;
    let late = p999 > LATE && p999.0 > response.0 / 10;
    let missed = !evidence.schedule_kept && !evidence.closed_loop;

    let mostly_in_time = lateness(0.5) <= LATE.0;
    let (bottleneck, reason) = if late && mostly_in_time && taken >= TAKEN {
        (
            "machine",
            format!(
                "other threads or the hypervisor took {} of the generator's time, so that its own sends were \
                 late (P99.9 {p999})",
                percent(taken)
            ),
        )
    } else if late {
        (
            "generator",
            format!(
                "its own sends were late (P99.9 {p999}), which distorts response times (P99.9 {response})"
            ),
        )
    } else if !(missed || waited >= WAITED || evidence.closed_loop) {
        (
            "none",
            format!(
                "the schedule was kept; the generator was busy for {} of the time and its own sends \
                 were late by {p999} at P99.9",
                percent(busy)
            ),
        )
    } else if busy < SATURATED && evidence.closed_loop {
        (
            "target",
            format!(
                "every place on the connections waited for it, and the generator was busy for only {} \
                 of the time",
                percent(busy)
            ),
        )
    } else if busy < SATURATED {
        (
            "target",
            format!(
                "{} of the requests that were sent had to wait for a free place on a connection, {} were \
                 never answered and {} never sent, while the generator was busy for only {} of the time",
                percent(waited),
                evidence.unanswered,
                evidence.unsent,
                percent(busy)
            ),
        )
    } else if busy - taken < SATURATED {
        (
            "machine",
            format!(
                "the generator had something to do for {} of the time, but other threads or the hypervisor \
                 took {} from it",
                percent(busy),
                percent(taken)
            ),
        )
    } else {
        (
            "generator",
            format!(
                "its workers had something to do for {} of the time: give it more workers",
                percent(busy)
            ),
        )
    };
    Generator {
        busy,
        lateness_p50_ns: lateness(0.5),
        lateness_p999_ns: p999.0,
        lateness_max_ns: evidence.lateness.max(),
        waited_for_place: evidence.waited,
        bottleneck: bottleneck.to_owned(),
        reason,
    }
}

fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::interval::histogram;

    fn of(values: &[(u64, u64)]) -> Histogram<u64> {
        let mut made = histogram();
        for &(value, count) in values {
            made.record_n(value, count).unwrap();
        }
        made
    }

    fn verdict(change: impl FnOnce(&mut Evidence<'_>)) -> Generator {
        let lateness = of(&[(500, 9_990), (5_000, 10)]);
        let response = of(&[(100_000, 9_900), (2_000_000, 100)]);
        verdict_on(&lateness, &response, change)
    }

    fn verdict_on(
        lateness: &Histogram<u64>,
        response: &Histogram<u64>,
        change: impl FnOnce(&mut Evidence<'_>),
    ) -> Generator {
        let mut evidence = Evidence {
            lateness,
            response,
            unsent: 0,
            unanswered: 0,
            waited: 0,
            schedule_kept: true,
            closed_loop: false,
            busy: 0.3,
            worker_time: Nanos::SECOND,
            taken: Nanos(0),
        };
        change(&mut evidence);
        judge(&evidence)
    }

    #[test]
    fn a_run_that_kept_its_schedule_has_no_bottleneck() {
        let generator = verdict(|_| ());
        assert_eq!(generator.bottleneck, "none");
        assert!(generator.reason.contains("30.0%"), "{}", generator.reason);
        assert_eq!(generator.lateness_p50_ns, 500);
    }

    #[test]
    fn a_target_that_lets_requests_wait_is_the_bottleneck_while_the_generator_is_idle() {
        let generator = verdict(|evidence| {
            evidence.schedule_kept = false;
            evidence.waited = 6_000;
            evidence.unsent = 1_000;
        });
        assert_eq!(generator.bottleneck, "target");
        assert!(generator.reason.contains("60.0%") && generator.reason.contains("1000 never sent"));
    }

    #[test]
    fn a_generator_without_idle_time_blames_itself() {
        let generator = verdict(|evidence| {
            evidence.schedule_kept = false;
            evidence.waited = 6_000;
            evidence.busy = 0.99;
        });
        assert_eq!(generator.bottleneck, "generator");
    }

    #[test]
    fn late_sends_count_only_if_they_matter_beside_the_response_times() {
        let late = of(&[(500, 9_900), (300_000, 100)]);
        let slow = of(&[(50_000_000, 10_000)]);
        let quick = of(&[(400_000, 10_000)]);
        let of = |response| verdict_on(&late, response, |_| ()).bottleneck;
        assert_eq!(of(&quick), "generator");
        assert_eq!(of(&slow), "none");
    }

    #[test]
    fn when_the_machine_took_the_time_nobody_else_is_blamed() {
        let missed = |busy, taken| {
            verdict(|evidence| {
                evidence.schedule_kept = false;
                evidence.busy = busy;
                evidence.taken = Nanos::from_millis(taken);
            })
        };
        let generator = missed(0.99, 200);
        assert_eq!(generator.bottleneck, "machine");
        assert!(generator.reason.contains("20.0%"), "{}", generator.reason);
        // Without what was taken it would have been full, too; with idle time it was not the generator.
        assert_eq!(missed(0.99, 10).bottleneck, "generator");
        assert_eq!(missed(0.5, 200).bottleneck, "target");

        let late = of(&[(500, 9_900), (300_000, 100)]);
        let quick = of(&[(400_000, 10_000)]);
        let taken = |lateness| {
            verdict_on(lateness, &quick, |evidence| {
                evidence.taken = Nanos::from_millis(60);
            })
        };
        assert_eq!(taken(&late).bottleneck, "machine");
        // What is late all the time is not late for what was taken now and then.
        let always = of(&[(300_000, 10_000)]);
        assert_eq!(taken(&always).bottleneck, "generator");
    }

    #[test]
    fn in_a_closed_loop_the_target_sets_the_pace_unless_the_generator_is_full() {
        let closed = |busy| {
            verdict(|evidence| {
                evidence.closed_loop = true;
                evidence.busy = busy;
            })
        };
        assert_eq!(closed(0.4).bottleneck, "target");
        assert_eq!(closed(0.97).bottleneck, "generator");
    }
}
