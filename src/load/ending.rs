//! What a run comes to: one word for a script, one for a person.

use tailcut_loadgen::RunOutcome;
use tailcut_loadgen::scenario::{Pacing, Scenario};
use tailcut_report::recording::State;

/// How a run ended. The first that applies, in this order, is what its exit status says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It was interrupted.
    Interrupted,
    /// It was cut short for this reason; what was recorded is readable.
    CutShort(String),
    /// Not all that was due was answered in time: not a run at the rate that was asked for, and its latencies are
    /// lower bounds.
    ScheduleMissed,
    /// So many objectives are broken.
    SloBroken(usize),
    /// As planned.
    Done,
}

impl Ending {
    /// How this run ended.
    pub fn of(scenario: &Scenario, outcome: &RunOutcome) -> Ending {
        let meta = &outcome.meta;
        match (meta.state, meta.state_reason.as_deref()) {
            (State::Complete, _) => {}
            (_, Some("interrupted")) => return Ending::Interrupted,
            (_, reason) => {
                return Ending::CutShort(reason.unwrap_or("for an unknown reason").to_owned());
            }
        }
        let Some(result) = &meta.result else {
            return Ending::CutShort("it has no result".to_owned());
        };
        // A closed loop has no schedule that could be missed.
        if scenario.pacing != Pacing::Closed && !result.schedule_kept {
            return Ending::ScheduleMissed;
        }
        match result.objectives.iter().filter(|one| !one.held).count() {
            0 => Ending::Done,
            broken => Ending::SloBroken(broken),
        }
    }

    /// For scripts.
    pub fn exit_status(&self) -> u8 {
        match self {
            Ending::Done => 0,
            Ending::CutShort(_) => 1,
            Ending::SloBroken(_) => 3,
            Ending::ScheduleMissed => 4,
            Ending::Interrupted => super::EXIT_INTERRUPTED,
        }
    }

    /// The key in JSON.
    pub fn key(&self) -> &'static str {
        match self {
            Ending::Done => "done",
            Ending::CutShort(_) => "cut_short",
            Ending::SloBroken(_) => "slo_broken",
            Ending::ScheduleMissed => "schedule_missed",
            Ending::Interrupted => "interrupted",
        }
    }
}
