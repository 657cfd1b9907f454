//! What a person sees while a run goes on: on a terminal a bar with live figures, else a line now and then.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tailcut_loadgen::scenario::{Scenario, WarmUp};
use tailcut_loadgen::{LiveSecond, Nanos};
use tailcut_report::format;

/// A run that is watched by nobody in particular is told of every second so long, then every tenth.
const SECONDS_TOLD_SINGLY: u64 = 10;

/// Goes to standard error, so that standard output holds results only.
pub struct Live {
    bar: ProgressBar,
    terminal: bool,
    warmup: WarmUp,
    /// Calls so far: about the seconds since the schedule began.
    seconds: u64,
}

impl Live {
    /// For this run. The bar is that of the recorded part.
    pub fn new(scenario: &Scenario) -> Live {
        let terminal = std::io::stderr().is_terminal();
        let length = scenario.duration.0 / 1_000_000;
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{wide_msg}\n{bar:40} {prefix}")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        bar.set_style(style);
        bar.set_message("starting");
        if terminal {
            bar.enable_steady_tick(Duration::from_millis(250));
        }
        Live {
            bar,
            terminal,
            warmup: scenario.warmup,
            seconds: 0,
        }
    }

    /// A second is over.
    pub fn second(&mut self, second: &LiveSecond) {
        self.seconds += 1;
        let place = place(second, self.warmup, self.seconds);
        let figures = figures(second);
        if self.terminal {
            self.bar.set_position(second.elapsed.0 / 1_000_000);
            self.bar.set_prefix(place);
            self.bar.set_message(figures);
        } else if self.seconds <= SECONDS_TOLD_SINGLY || self.seconds.is_multiple_of(10) {
            eprintln!("{place}: {figures}");
        }
    }

    /// The run is over.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Where in the run this is.
fn place(second: &LiveSecond, warmup: WarmUp, seconds: u64) -> String {
    let whole = |nanos: Nanos| (nanos.0 + 500_000_000) / 1_000_000_000;
    match (second.warming_up, warmup) {
        (false, _) => format!("{} of {} s", whole(second.elapsed), whole(second.duration)),
        (true, WarmUp::Fixed(length)) => format!("warm-up, {seconds} of {} s", whole(length)),
        (true, WarmUp::Auto { at_most }) => format!(
            "warm-up, {seconds} s, until latency is stationary (at most {} s)",
            whole(at_most)
        ),
    }
}

/// How the run stands.
#[allow(clippy::cast_precision_loss)] // shown to three digits
fn figures(second: &LiveSecond) -> String {
    let mut text = format::rate(second.rate);
    if let Some(response) = second.response {
        let [p50, p999, max] =
            [response.p50, response.p999, response.max].map(|span| format::nanos(span.0));
        text += &format!("  P50 {p50}  P99.9 {p999}  max {max}");
    }
    if second.failed > 0 {
        text += &format!("  failed {}", format::count(second.failed as f64));
    }
    // The backlog, and what was given up.
    let unanswered = second.due.saturating_sub(second.completed);
    if unanswered > 0 {
        text += &format!("  unanswered {}", format::count(unanswered as f64));
    }
    let taken = second.steal + second.run_queue_wait;
    if taken > Nanos(1_000_000) {
        text += &format!("  machine took {}", format::nanos(taken.0));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use tailcut_loadgen::LivePercentiles;

    fn second() -> LiveSecond {
        LiveSecond {
            elapsed: Nanos(3_020_000_000),
            duration: Nanos(10_000_000_000),
            warming_up: false,
            completed: 1_200_000,
            due: 1_201_500,
            rate: 400_120.0,
            response: Some(LivePercentiles {
                p50: Nanos(84_000),
                p99: Nanos(200_000),
                p999: Nanos(1_200_000),
                max: Nanos(3_000_000),
            }),
            failed: 12,
            steal: Nanos(0),
            run_queue_wait: Nanos(0),
        }
    }

    #[test]
    fn a_second_is_one_line_with_what_matters_and_nothing_that_does_not() {
        assert_eq!(
            figures(&second()),
            "400k/s  P50 84 µs  P99.9 1.2 ms  max 3 ms  failed 12  unanswered 1.5k"
        );
        let quiet = LiveSecond {
            response: None,
            failed: 0,
            due: 5,
            completed: 5,
            steal: Nanos(2_000_000),
            ..second()
        };
        assert_eq!(figures(&quiet), "400k/s  machine took 2 ms");
    }

    #[test]
    fn warm_up_is_told_from_the_run() {
        let fixed = WarmUp::Fixed(Nanos(2_000_000_000));
        let auto = WarmUp::Auto {
            at_most: Nanos(30_000_000_000),
        };
        assert_eq!(place(&second(), fixed, 5), "3 of 10 s");
        let warming = LiveSecond {
            warming_up: true,
            ..second()
        };
        assert_eq!(place(&warming, fixed, 1), "warm-up, 1 of 2 s");
        assert!(
            place(&warming, auto, 4).contains("4 s, until latency is stationary (at most 30 s)")
        );
    }
}
