//! What a person sees while the demo runs: on a terminal a bar with live figures, else a line a run.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tailcut_report::format;

use super::order::{Measured, Second};

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

    /// Before the first run, for as long as that takes.
    pub fn preparing() -> Progress {
        let terminal = std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{spinner} {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        if terminal {
            bar.enable_steady_tick(Duration::from_millis(250));
        }
        Progress {
            bar,
            terminal,
            runs: 0,
            run: 0,
        }
    }

    /// Something goes on that is not measured; on a terminal it is gone when the next thing begins.
    pub fn note(&self, text: &str) {
        self.bar.set_message(text.to_owned());
    }

    /// Something that is to stay: a line above the bar.
    pub fn line(&self, text: &str) {
        if self.terminal {
            self.bar.println(text);
        } else {
            eprintln!("{text}");
        }
    }

    /// A counting run begins.
    pub fn counting(&self, name: &str) {
        self.note(&format!("counting allocations: {name}"));
    }

    /// A measured run begins.
    pub fn begin(&mut self, name: &str) {
        self.run += 1;
        self.note(&format!("{}: starting", self.title(name)));
    }

    /// A second of it is over.
    pub fn second(&self, name: &str, second: &Second) {
        self.bar.inc(1);
        let latency = second
            .response
            .map_or_else(String::new, |[p50, p999, max]| {
                let [p50, p999, max] = [p50, p999, max].map(format::nanos);
                format!("  P50 {p50}  P99.9 {p999}  max {max}")
            });
        self.note(&format!(
            "{}:{} {}{latency}",
            self.title(name),
            if second.warming_up { " warm-up" } else { "" },
            format::rate(second.rate),
        ));
    }

    /// It is over.
    pub fn end(&self, name: &str, measured: &Measured) {
        let Measured {
            rate_achieved,
            schedule_kept,
            p999_ns,
            max_ns,
            partial,
        } = measured;
        self.line(&format!(
            "{}: {}, P99.9 {}, max {}{}{}",
            self.title(name),
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
        ));
    }

    /// Everything is over.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn title(&self, name: &str) -> String {
        format!("[{}/{}] {name}", self.run, self.runs)
    }
}
