//! What the slow requests of the heap form are owed to: the collector's help that the allocating thread must give, or its
//! stopping of the world. From blame alone, which gives each of their nanoseconds to one cause.

use schemars::JsonSchema;
use serde::Serialize;

use super::collector::{is_assist, is_background, is_sweep_assist, stops_the_world};
use crate::blame::{BlameMode, BlameSummary};
use crate::format;

/// Shares of the slow requests' time, each 0 to 1; together they are all of it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Owed {
    /// Slow requests that were judged.
    pub requests: u64,
    /// Their time, in nanoseconds.
    pub time_ns: u64,
    /// Marking for the collector on the thread that served, and the backlog that it left.
    pub mark_assist: f64,
    /// Marking in the background, where that left the service no processor, and the backlog that it left.
    pub background_marking: f64,
    /// Sweeping on the thread that served.
    pub sweep_assist: f64,
    /// The collector stopping all threads.
    pub stop_the_world: f64,
    /// Pauses of other kinds.
    pub other_pauses: f64,
    /// The requests' own service.
    pub own_service: f64,
    /// What nothing explains.
    pub unexplained: f64,
}

impl Owed {
    /// `None` where no request was judged, or by coincidence only.
    pub(super) fn of(blame: &BlameSummary) -> Option<Owed> {
        if blame.requests == 0 || blame.mode != BlameMode::OwnThread {
            return None;
        }
        let of = |wanted: &dyn Fn(&str) -> bool| -> f64 {
            let kinds = blame.kinds.iter().filter(|kind| wanted(&kind.kind));
            // A sum of nothing is −0.
            kinds.map(|kind| blame.share(kind.time_ns)).sum::<f64>() + 0.0
        };
        let collector = |name: &str| {
            is_assist(name) || is_background(name) || is_sweep_assist(name) || stops_the_world(name)
        };
        Some(Owed {
            requests: blame.requests,
            time_ns: blame.time_ns,
            mark_assist: of(&is_assist),
            background_marking: of(&is_background),
            sweep_assist: of(&is_sweep_assist),
            stop_the_world: of(&stops_the_world),
            other_pauses: of(&|name| !collector(name)),
            own_service: blame.share(blame.own_service_ns),
            unexplained: blame.share(blame.unexplained_ns),
        })
    }

    /// In one sentence.
    pub(crate) fn sentence(&self, whose: &str) -> String {
        let parts = [
            (self.mark_assist, "mark assist", true),
            (self.background_marking, "background marking", false),
            (self.stop_the_world, "stop-the-world", true),
            (self.sweep_assist, "sweep assist", false),
            (self.other_pauses, "other pauses", false),
            (self.own_service, "their own service", false),
            (self.unexplained, "unexplained", false),
        ];
        let told: Vec<String> = parts
            .iter()
            .filter(|(share, _, always)| *always || *share >= 0.005)
            .map(|(share, name, _)| format!("{} {name}", rounded(*share)))
            .collect();
        format!(
            "{whose}: of the time of the {} slowest requests kept, {}.",
            format::count(self.requests as f64),
            told.join(", ")
        )
    }
}

/// Shares in whole percent: blame is no more exact than that.
fn rounded(share: f64) -> String {
    match share {
        0.0 => "0%".to_owned(),
        small if small < 0.01 => "under 1%".to_owned(),
        share => format!("{:.0}%", share * 100.0),
    }
}
