//! Everything that the screen knows: the last interval, the time since the start, ten minutes back.
//!
//! It takes ticks and answers questions; it draws nothing and knows no keys. All that grows with
//! the target's activity is bounded: events, messages, seconds of history. A paused display is a
//! copy of it, so it can be cloned.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use super::history::History;
use super::period::{Figures, Period};
use super::sites::Sites;
use super::source::TargetDescription;
use crate::catalogue::Series;
use crate::tick::{Cost, SeriesTick, SlowEvent, Tick};

/// Slow events kept for the screen.
const EVENTS: usize = 500;
/// Messages of the target's life kept.
const LIVES: usize = 50;

/// What is known of the target.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) target: TargetDescription,
    pub(crate) rows: Vec<Row>,
    pub(crate) sites: Sites,
    /// Newest last.
    pub(crate) events: VecDeque<SlowEvent>,
    /// Newest last.
    pub(crate) lives: VecDeque<String>,
    pub(crate) cost: Cost,
    /// The probe's own CPU time, as a share of one CPU.
    pub(crate) own_cpu_share: f64,
    /// The target's, likewise: several for several threads.
    pub(crate) target_cpu_share: f64,
    pub(crate) target_rss_bytes: u64,
    pub(crate) threads: u32,
    /// What was lost since the start, by name.
    pub(crate) lost: BTreeMap<&'static str, u64>,
    /// For each of the last intervals, whether a window of tracing ended in it; newest last.
    pub(crate) windows: VecDeque<bool>,
    /// End of the last interval, `CLOCK_MONOTONIC`.
    pub(crate) now_ns: u64,
    pub(crate) ended: bool,
    /// Start of the first interval.
    began_ns: Option<u64>,
    index: HashMap<String, usize>,
}

/// One series.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) series: Series,
    pub(crate) floor_ns: u64,
    pub(crate) history: History,
    /// Intervals since its hooks were last attached: 0 if they were in the last one.
    pub(crate) age: u32,
    last: Period,
    since_start: Period,
}

/// Which time figures are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Span {
    /// The last interval; of a series traced in windows, the last one that had a window.
    #[default]
    LastSecond,
    SinceStart,
}

impl Row {
    pub(crate) fn figures(&self, span: Span) -> &Figures {
        match span {
            Span::LastSecond => self.last.figures(),
            Span::SinceStart => self.since_start.figures(),
        }
    }
}

impl Model {
    /// Takes one interval.
    pub(crate) fn absorb(&mut self, tick: Tick, target: TargetDescription) {
        self.target = target;
        self.began_ns.get_or_insert(tick.start_ns);
        self.now_ns = tick.start_ns.saturating_add(tick.length_ns);
        self.ended = tick.ended;
        self.cost = tick.cost;
        self.threads = tick.threads;
        self.target_rss_bytes = tick.target_rss_bytes;
        let share = |ns: u64| match tick.length_ns {
            0 => 0.0,
            length => ns as f64 / length as f64,
        };
        self.target_cpu_share = share(tick.target_cpu_ns);
        self.own_cpu_share = share(tick.cost.own_cpu_ns);
        for (what, number) in &tick.lost {
            self.lose(what, *number);
        }
        keep_last(
            &mut self.windows,
            super::history::LENGTH,
            [!tick.windows.is_empty()],
        );
        self.sites
            .absorb(tick.call_sites, &tick.series, tick.length_ns);
        self.absorb_series(&tick.series, tick.length_ns);
        keep_last(&mut self.events, EVENTS, tick.events);
        keep_last(&mut self.lives, LIVES, tick.lives);
    }

    /// Counts what could not be shown.
    pub(crate) fn lose(&mut self, what: &'static str, number: u64) {
        if number > 0 {
            let lost = self.lost.entry(what).or_default();
            *lost = lost.saturating_add(number);
        }
    }

    /// Forgets everything but what the last interval said of the target as a whole.
    pub(crate) fn reset(&mut self) {
        self.rows.clear();
        self.index.clear();
        self.events.clear();
        self.lives.clear();
        self.lost.clear();
        self.windows.clear();
        self.sites.reset();
        self.began_ns = Some(self.now_ns);
    }

    /// How long the figures since the start span.
    pub(crate) fn span(&self) -> Duration {
        let began = self.began_ns.unwrap_or(self.now_ns);
        Duration::from_nanos(self.now_ns.saturating_sub(began))
    }

    /// The row of a series.
    pub(crate) fn row(&self, name: &str) -> Option<&Row> {
        self.index.get(name).map(|index| &self.rows[*index])
    }

    fn absorb_series(&mut self, series: &[SeriesTick], length_ns: u64) {
        let mut absent: Vec<bool> = vec![true; self.rows.len()];
        for tick in series {
            let index = match self.index.get(&tick.name) {
                Some(index) => {
                    absent[*index] = false;
                    let row = &mut self.rows[*index];
                    row.since_start.add(tick, length_ns);
                    if tick.sampled > 0.0 {
                        row.last = Period::of(tick, length_ns);
                        row.age = 0;
                    } else {
                        row.age = row.age.saturating_add(1);
                    }
                    row.floor_ns = tick.floor_ns;
                    *index
                }
                None => {
                    let period = Period::of(tick, length_ns);
                    self.index.insert(tick.name.clone(), self.rows.len());
                    self.rows.push(Row {
                        name: tick.name.clone(),
                        series: tick.series.clone(),
                        floor_ns: tick.floor_ns,
                        history: History::default(),
                        age: 0,
                        since_start: period.clone(),
                        last: period,
                    });
                    self.rows.len() - 1
                }
            };
            self.rows[index].history.push(Some(tick), length_ns);
        }
        for (row, absent) in self.rows.iter_mut().zip(absent) {
            if absent {
                row.history.push(None, length_ns);
                row.age = row.age.saturating_add(1);
            }
        }
    }
}

/// Adds to the end; what exceeds `limit` goes from the front.
fn keep_last<T>(queue: &mut VecDeque<T>, limit: usize, more: impl IntoIterator<Item = T>) {
    for item in more {
        if queue.len() == limit {
            queue.pop_front();
        }
        queue.push_back(item);
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::SyntheticTarget;
    use super::*;
    use crate::live::Source;

    fn after(ticks: u32) -> Model {
        let mut source = SyntheticTarget::new();
        let mut model = Model::default();
        for _ in 0..ticks {
            let tick = source.tick();
            model.absorb(tick, source.describe());
        }
        model
    }

    #[test]
    fn since_start_joins_all_intervals_and_the_last_second_is_the_last() {
        let mut source = SyntheticTarget::new();
        let mut model = Model::default();
        let mut sum = 0;
        let mut last = 0;
        for _ in 0..5 {
            let tick = source.tick();
            let faults = tick.series.iter().find(|s| s.name == "page_fault").unwrap();
            last = faults.histogram.len();
            sum += last;
            model.absorb(tick, source.describe());
        }
        let row = model.row("page_fault").unwrap();
        assert_eq!(row.figures(Span::LastSecond).count, last);
        assert_eq!(row.figures(Span::SinceStart).count, sum);
    }

    #[test]
    fn a_series_traced_in_windows_keeps_the_figures_of_its_last_window() {
        // The synthetic target has a window in each fourth interval, the first included.
        let model = after(7);
        let row = model.row("malloc@jemalloc").unwrap();
        assert_eq!(row.age, 2);
        assert!(row.figures(Span::LastSecond).count > 0);
        let seen = row.figures(Span::SinceStart).seen;
        assert!(seen > 0.0 && seen < 0.1, "{seen}");
    }

    #[test]
    fn rates_of_call_sites_are_scaled_by_the_time_they_were_seen() {
        let model = after(20);
        let site = &model.sites.rows()[0];
        let malloc = model.row(&site.site.series).unwrap();
        let all: f64 = malloc.figures(Span::SinceStart).rate.unwrap();
        let here = site.since_start.calls.unwrap();
        // The synthetic target's first site makes 60% of the calls.
        assert!((here / all - 0.6).abs() < 0.05, "{here} of {all}");
    }

    #[test]
    fn after_a_reset_nothing_earlier_counts() {
        let mut source = SyntheticTarget::new();
        let mut model = Model::default();
        for _ in 0..8 {
            let tick = source.tick();
            model.absorb(tick, source.describe());
        }
        model.reset();
        assert!(model.rows.is_empty() && model.events.is_empty());
        assert_eq!(model.span(), Duration::ZERO);
        let tick = source.tick();
        let calls = tick.series.iter().map(|s| s.histogram.len()).sum::<u64>();
        model.absorb(tick, source.describe());
        let counted = model
            .rows
            .iter()
            .map(|row| row.figures(Span::SinceStart).count);
        assert_eq!(counted.sum::<u64>(), calls);
    }

    #[test]
    fn what_is_kept_of_events_is_bounded() {
        let mut model = Model::default();
        let mut source = SyntheticTarget::new();
        let mut tick = source.tick();
        let event = tick.events.first().cloned().unwrap_or(SlowEvent {
            series: 0,
            name: String::new(),
            pause: true,
            process: 1,
            thread: 1,
            cpu: 0,
            start_ns: 0,
            end_ns: 1,
            detail: 0,
            bytes: None,
            by: None,
            caller: None,
            stack: None,
        });
        tick.events = vec![event; EVENTS * 3];
        model.absorb(tick, source.describe());
        assert_eq!(model.events.len(), EVENTS);
    }
}
