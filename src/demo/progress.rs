//! What a person sees while the demo runs: on a terminal a bar with live figures, else a line a run.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tailcut_report::format;

use super::order::{Answer, Order, Second};

/// Goes to standard error, so that standard output holds results only.
pub struct Progress {
    bar: ProgressBar,
    terminal: bool,
    runs: usize,
    run: usize,
}

impl Progress {
    /// For `runs` runs that take about `seconds` in all.
    pub fn new(runs: usize, seconds: u64) -> Progress {
        let terminal = std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(Some(seconds), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{wide_msg}\n{bar:40} {elapsed} of about {len}s")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        bar.set_style(style);
        if terminal {
            bar.enable_steady_tick(Duration::from_millis(250));
        }
        Progress {
            bar,
            terminal,
            runs,
            run: 0,
        }
    }

    /// A counting run begins.
    pub fn counting(&self, order: &Order) {
        self.bar
            .set_message(format!("counting allocations: {}", order.variant.key()));
    }

    /// A measured run begins.
    pub fn begin(&mut self, order: &Order) {
        self.run += 1;
        self.bar
            .set_message(format!("{}: starting", self.title(order)));
    }

    /// A second of it is over.
    pub fn second(&self, order: &Order, second: &Second) {
        self.bar.inc(1);
        let latency = second
            .response
            .map_or_else(String::new, |[p50, p999, max]| {
                let [p50, p999, max] = [p50, p999, max].map(format::nanos);
                format!("  P50 {p50}  P99.9 {p999}  max {max}")
            });
        let figures = format!(
            "{} {}{latency}",
            if second.warming_up { " warm-up" } else { "" },
            format::rate(second.rate),
        );
        self.bar
            .set_message(format!("{}:{figures}", self.title(order)));
    }

    /// It is over.
    pub fn end(&self, order: &Order, answer: &Answer) {
        let Answer::Measured {
            rate_achieved,
            schedule_kept,
            p999_ns,
            max_ns,
            partial,
        } = answer
        else {
            return;
        };
        let line = format!(
            "{}: {}, P99.9 {}, max {}{}{}",
            self.title(order),
            format::rate(*rate_achieved),
            format::nanos(*p999_ns),
            format::nanos(*max_ns),
            if *schedule_kept {
                ""
            } else {
                "  SCHEDULE MISSED"
            },
            partial
                .as_ref()
                .map_or_else(String::new, |reason| format!("  cut short: {reason}")),
        );
        if self.terminal {
            self.bar.println(line);
        } else {
            eprintln!("{line}");
        }
    }

    /// Everything is over.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn title(&self, order: &Order) -> String {
        format!("[{}/{}] {}", self.run, self.runs, order.variant.key())
    }
}
