//! Making the runs of a comparison, in their order, whatever a run is.
//!
//! [`run`] decides when each side's turn comes and what becomes of a failure; how one run is made it leaves to
//! its caller: a scenario, a process of its own, a simulation.
//!
//! A failed run ends the session, since a comparison whose runs failed now and then would be one of survivors.
//! Whatever was recorded before stays where it is, and is handed back.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use tailcut_report::compare::order::{Turn, order};
use tailcut_report::compare::{Run, Side};

/// What a session came to.
#[derive(Debug)]
pub struct Session<E> {
    /// Complete runs of A, in the order in which they were made.
    pub a: Vec<Run>,
    /// Complete runs of B.
    pub b: Vec<Run>,
    /// How it ended.
    pub ended: Ended<E>,
}

/// How a session ended.
#[derive(Debug)]
pub enum Ended<E> {
    /// All runs were made.
    Complete,
    /// It was told to stop. A run that was under way is partial, and not among the complete ones.
    Interrupted,
    /// A run could not be made.
    Failed {
        /// Which.
        turn: Turn,
        /// Why.
        cause: E,
    },
    /// A run ended before its time, though nobody told it to.
    CutShort {
        /// Which.
        turn: Turn,
        /// What its recording says of it.
        reason: String,
    },
}

/// Makes `runs` runs of each side, each by a call of `run_once` with its turn and its folder, a new one in `dir`
/// that is not there yet.
///
/// Setting `stop` ends the session after the run under way; `run_once` should see to it that this one ends
/// early.
pub fn run<E>(
    runs: u32,
    dir: &Path,
    stop: &AtomicBool,
    mut run_once: impl FnMut(&Turn, &Path) -> Result<Run, E>,
) -> Session<E> {
    let mut session = Session {
        a: Vec::new(),
        b: Vec::new(),
        ended: Ended::Complete,
    };
    for turn in order(runs) {
        if stop.load(Ordering::SeqCst) {
            session.ended = Ended::Interrupted;
            break;
        }
        match run_once(&turn, &dir.join(turn.folder())) {
            Ok(run) if run.is_complete() => match turn.side {
                Side::A => session.a.push(run),
                Side::B => session.b.push(run),
            },
            // A run that is told to stop may fail, or be cut short, for that very reason.
            _ if stop.load(Ordering::SeqCst) => {
                session.ended = Ended::Interrupted;
                break;
            }
            Ok(run) => {
                let reason = run.meta.state_reason;
                session.ended = Ended::CutShort {
                    turn,
                    reason: reason.unwrap_or_else(|| "it has no result".to_owned()),
                };
                break;
            }
            Err(cause) => {
                session.ended = Ended::Failed { turn, cause };
                break;
            }
        }
    }
    session
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::interval;
    use tailcut_report::recording::{Meta, RunResult, State};

    fn made(turn: &Turn, dir: &Path) -> Run {
        Run {
            dir: dir.to_path_buf(),
            meta: Meta {
                state: State::Complete,
                sequence: turn.sequence,
                result: Some(RunResult::default()),
                ..Meta::default()
            },
            response: interval::histogram(),
        }
    }

    #[test]
    fn every_turn_gets_a_folder_of_its_own_and_its_side() {
        let mut folders = Vec::new();
        let session = run(4, Path::new("out"), &AtomicBool::new(false), |turn, dir| {
            folders.push(dir.display().to_string());
            Ok::<_, String>(made(turn, dir))
        });
        assert!(matches!(session.ended, Ended::Complete));
        assert_eq!((session.a.len(), session.b.len()), (4, 4));
        assert_eq!(
            folders[..4],
            ["out/00-a-1", "out/01-b-1", "out/02-b-2", "out/03-a-2"]
        );
    }

    #[test]
    fn a_run_that_fails_ends_the_session_and_keeps_those_before_it() {
        let session = run(
            5,
            Path::new("out"),
            &AtomicBool::new(false),
            |turn, dir| match turn.sequence {
                4 => Err("no server"),
                _ => Ok(made(turn, dir)),
            },
        );
        assert_eq!((session.a.len(), session.b.len()), (2, 2));
        match session.ended {
            Ended::Failed { turn, cause } => assert_eq!((turn.side, cause), (Side::B, "no server")),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_interruption_keeps_whole_runs_and_leaves_out_the_one_that_it_cut() {
        let stop = AtomicBool::new(false);
        let session = run(5, Path::new("out"), &stop, |turn, dir| {
            let mut run = made(turn, dir);
            if turn.sequence == 3 {
                stop.store(true, Ordering::SeqCst);
                run.meta.state = State::Partial;
            }
            Ok::<_, String>(run)
        });
        assert!(matches!(session.ended, Ended::Interrupted));
        assert_eq!((session.a.len(), session.b.len()), (1, 2));
    }

    #[test]
    fn a_run_that_was_cut_short_by_something_else_is_no_measurement() {
        let session = run(5, Path::new("out"), &AtomicBool::new(false), |turn, dir| {
            let mut run = made(turn, dir);
            run.meta.state = State::Partial;
            run.meta.state_reason = Some("disk full".to_owned());
            Ok::<_, String>(run)
        });
        assert!(matches!(session.ended, Ended::CutShort { reason, .. } if reason == "disk full"));
        assert!(session.a.is_empty());
    }
}
