//! The two sides in words: what each is called, and what it showed.

use crate::compare::Comparison;
use crate::compare::verdict::fewest_runs;
use crate::evidence::logs;
use crate::format;
use crate::statistics::median_of;
use crate::variant::{POOL, Variant};

/// The two sides in words.
pub(super) struct Effect<'a> {
    pub(super) before: &'a Variant,
    pub(super) after: &'a Variant,
    /// Heap allocators of which before is the best; 0 where before was asked for by name.
    pub(super) heaps: usize,
}

impl Effect<'_> {
    pub(super) fn best(&self) -> String {
        match self.heaps {
            0 => self.before.spoken().to_owned(),
            1 => format!("the heap ({})", self.before.spoken()),
            heaps => format!(
                "{}, the best of {} heaps",
                self.before.spoken(),
                number(heaps)
            ),
        }
    }

    fn at_least(&self) -> &'static str {
        if self.before.lower_bound() {
            "at least "
        } else {
            ""
        }
    }

    /// The load under which both ran.
    pub(super) fn rate(&self) -> String {
        match crate::measures::closed(self.after) {
            true => "the rate of a closed loop".to_owned(),
            false => format!(
                "{} requests/s",
                format::count(self.after.summary.rate_target)
            ),
        }
    }

    /// The medians of the runs, as in the table of before and after.
    fn medians(&self, quantile: f64) -> (f64, f64) {
        let of = |variant: &Variant| {
            let by_run = variant.summary.percentile_by_run(quantile);
            median_of(&logs(by_run)).exp()
        };
        (of(self.before), of(self.after))
    }

    /// `P99.9 fell from 31.2 ms (jemalloc, the best of three heaps) to 84 µs with the pool: 371×`.
    pub(super) fn fell(&self, quantile: f64, percentile: &str) -> String {
        let (before, after) = self.medians(quantile);
        let whose = match self.after.name.as_str() {
            POOL => "with the pool".to_owned(),
            _ => format!("({})", self.after.label()),
        };
        format!(
            "{percentile} fell from {least}{} ({}) to {} {whose}: {least}{}",
            format::duration(before),
            self.best(),
            format::duration(after),
            format::ratio(before / after.max(1.0)),
            least = self.at_least(),
        )
    }

    pub(super) fn figures(&self) -> String {
        let (before, after) = self.medians(0.999);
        format!(
            "P99.9 was {}{} with {} and {} with {}, at {}",
            self.at_least(),
            format::duration(before),
            self.best(),
            format::duration(after),
            self.after.spoken(),
            self.rate(),
        )
    }

    /// How many runs would do.
    pub(super) fn enough(&self, comparison: &Comparison) -> String {
        let judged = comparison.rows.iter().filter(|row| row.is_judged()).count();
        let needed = fewest_runs(judged, 0.05);
        format!("{needed} + {needed} runs are enough for a test that assumes nothing on the noise")
    }
}

pub(super) fn schedules(effect: &Effect<'_>) -> String {
    let Effect { before, after, .. } = effect;
    let all = |runs: u32| match runs {
        2 => "both runs".to_owned(),
        runs => format!("all {runs} runs"),
    };
    if crate::measures::closed(after) {
        return "there was no schedule to keep, so that both suffer coordinated omission"
            .to_owned();
    }
    if after.summary.schedule_kept && before.summary.schedule_kept {
        return format!(
            "schedule kept in all {} runs",
            before.summary.runs + after.summary.runs
        );
    }
    let kept = if after.summary.schedule_kept {
        format!(
            "{} kept its schedule in {}",
            after.spoken(),
            all(after.summary.runs)
        )
    } else {
        format!(
            "whether {} kept its schedule was not recorded",
            after.spoken()
        )
    };
    if before.lower_bound() {
        format!(
            "{kept}, {} missed it in {} of {}",
            before.spoken(),
            before.summary.missed_runs,
            before.summary.runs
        )
    } else {
        kept
    }
}

/// `29.8 ms to 33 ms`: from the lowest to the highest run.
pub(super) fn over(runs: &[u64]) -> String {
    let low = runs.iter().min().copied().unwrap_or(0);
    let high = runs.iter().max().copied().unwrap_or(0);
    format!("{} to {}", format::nanos(low), format::nanos(high))
}

fn number(number: usize) -> String {
    match number {
        2 => "two".to_owned(),
        3 => "three".to_owned(),
        4 => "four".to_owned(),
        other => other.to_string(),
    }
}
