//! What a person sees while runs are made: on a terminal a bar and what the run says, else a line a run.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tailcut_report::compare::{Percentile, Run, Side, Turn};
use tailcut_report::format;

use super::plan::Plan;

/// Goes to standard error, so that standard output holds results only.
pub struct Progress {
    bar: ProgressBar,
    terminal: bool,
    runs: u32,
    names: [String; 2],
}

impl Progress {
    /// For all runs of a plan.
    pub fn new(plan: &Plan) -> Progress {
        let terminal = std::io::stderr().is_terminal();
        let runs = 2 * plan.runs;
        let bar =
            ProgressBar::with_draw_target(Some(u64::from(runs)), ProgressDrawTarget::stderr());
        let template = format!(
            "{{wide_msg}}\n{{bar:40}} {{pos}} of {{len}} runs, {{elapsed}} of about {} s",
            plan.about_seconds()
        );
        let style = ProgressStyle::with_template(&template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        bar.set_style(style);
        if terminal {
            bar.enable_steady_tick(Duration::from_millis(250));
        }
        let name = |side| plan.side(side).scenario.name.clone();
        Progress {
            bar,
            terminal,
            runs,
            names: [name(Side::A), name(Side::B)],
        }
    }

    /// A run begins.
    pub fn begin(&mut self, turn: &Turn) {
        self.bar
            .set_message(format!("{}: starting", self.title(turn)));
    }

    /// It says something.
    pub fn says(&self, turn: &Turn, line: &str) {
        self.bar
            .set_message(format!("{}: {line}", self.title(turn)));
    }

    /// It is over.
    pub fn end(&mut self, turn: &Turn, run: &Run) {
        self.bar.inc(1);
        let [p50, p99, p999] =
            Percentile::JUDGED.map(|percentile| format::nanos(percentile.of(&run.response)));
        let missed = if run.kept_its_schedule() {
            ""
        } else {
            "  SCHEDULE MISSED"
        };
        let line = format!(
            "{}: P50 {p50}  P99 {p99}  P99.9 {p999}  max {}{missed}",
            self.title(turn),
            format::nanos(run.response.max())
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

    /// `[3/10] B pool`.
    fn title(&self, turn: &Turn) -> String {
        format!(
            "[{}/{}] {} {}",
            turn.sequence + 1,
            self.runs,
            turn.side,
            self.names[usize::from(turn.side == Side::B)]
        )
    }
}
