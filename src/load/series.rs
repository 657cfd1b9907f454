//! Many runs of one scenario, each into a folder of its own, with time in between for the target to come to
//! rest: what searches and sweeps are made of.

use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tailcut_loadgen::measured::Measured;
use tailcut_loadgen::scenario::{self, Scenario};
use tailcut_loadgen::{LiveSecond, LoadError};
use tailcut_report::format;

use super::labels;
use crate::interrupt::Interrupt;

/// Runs that follow each other.
pub struct Series<'a> {
    dir: &'a Path,
    rest: Duration,
    interrupt: &'a Interrupt,
    bar: ProgressBar,
    done: u32,
}

impl<'a> Series<'a> {
    /// Each run gets a folder in `dir`; after each, the target is left alone for `rest`, so that what is left
    /// in its queues does not count against the next.
    pub fn new(dir: &'a Path, rest: Duration, interrupt: &'a Interrupt) -> Series<'a> {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{spinner} {wide_msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        bar.set_style(style);
        bar.enable_steady_tick(Duration::from_millis(250));
        Series {
            dir,
            rest,
            interrupt,
            bar,
            done: 0,
        }
    }

    /// Runs `scenario` into the folder `name`; `None` if it was interrupted.
    pub fn run(
        &mut self,
        scenario: &Scenario,
        name: &str,
        title: &str,
    ) -> Result<Option<Measured>, LoadError> {
        if self.interrupt.requested() {
            return Ok(None);
        }
        if self.done > 0 {
            self.bar
                .set_message(format!("{title}: waiting for the target to come to rest"));
            self.wait();
        }
        self.bar.set_message(format!("{title}: starting"));
        let labels = labels(1, self.done);
        self.done += 1;
        let bar = &self.bar;
        let mut on_second = |second: &LiveSecond| bar.set_message(live(title, second));
        let dir = self.dir.join(name);
        let ran = scenario::run(
            scenario,
            &dir,
            &labels,
            self.interrupt.flag(),
            &mut on_second,
        )?;
        Ok((!self.interrupt.requested()).then(|| Measured::of(&ran)))
    }

    /// A line that stays.
    pub fn tell(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    /// Everything is over.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn wait(&self) {
        let until = Instant::now() + self.rest;
        while Instant::now() < until && !self.interrupt.requested() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn live(title: &str, second: &LiveSecond) -> String {
    let latency = second.response.map_or_else(String::new, |response| {
        let [p50, p999, max] =
            [response.p50, response.p999, response.max].map(|time| format::nanos(time.0));
        format!("  P50 {p50}  P99.9 {p999}  max {max}")
    });
    let warming = if second.warming_up { " warm-up," } else { "" };
    format!("{title}:{warming} {}{latency}", format::rate(second.rate))
}

/// Why a scenario cannot be run many times over.
pub fn refuse_single_runs(scenario: &Scenario, what: &str) -> anyhow::Result<()> {
    anyhow::ensure!(
        scenario.start_at_unix_ns.is_none() && scenario.shard.is_none(),
        "a {what} makes many runs, one after the other, on this machine: leave out --start-at and --shard"
    );
    Ok(())
}
