//! The longest single requests, each told as a story: due, what paused meanwhile and before, what
//! stood in front of it, done, drained.
//!
//! One story for each spike, not one for each request: of requests of a thread whose times overlap
//! only the slowest is told.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::attribution::{Causes, Group, Reach, Rule};
use super::run::Shown;
use crate::recording::SlowRequest;

/// Spikes that are told of a variant.
const TOLD: usize = 5;
/// Pauses that are told of a spike, those that took most of its time.
const PAUSES: usize = 4;

/// One of the slowest requests, and why it was.
///
/// Instants are in seconds after the start of the run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Spike {
    /// The run that it is of.
    pub run: u32,
    /// The thread that recorded it; within the process, the one that served it.
    pub thread: u32,
    /// Its number in the schedule.
    pub request: u64,
    /// When it was due.
    pub due_s: f64,
    /// When the service took it up.
    pub start_s: f64,
    /// When it was done.
    pub end_s: f64,
    /// From due to done, in nanoseconds.
    pub response_ns: u64,
    /// Of it, what pauses took, or the backlog that they left, in nanoseconds.
    pub by_pauses_ns: u64,
    /// Its own service without pauses, in nanoseconds.
    pub own_service_ns: u64,
    /// What nothing explains, in nanoseconds.
    pub unexplained_ns: u64,
    /// The pauses that took most of it, in the order of time; at most four.
    pub pauses: Vec<SpikePause>,
    /// Further pauses.
    pub more_pauses: u64,
    /// Requests that became due while it waited, about; null where that is not known.
    pub backlog: Option<u64>,
    /// When the backlog was worked off, about, if no pause came in between; null where it is not
    /// known, or would take over a minute.
    pub drained_s: Option<f64>,
}

/// A pause of a spike.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SpikePause {
    /// Its series.
    pub kind: String,
    /// The thread that paused; 0 for all of the process.
    pub thread: u32,
    /// When it began.
    pub start_s: f64,
    /// Its whole length, in nanoseconds.
    pub length_ns: u64,
    /// What it took of the request's time, in nanoseconds.
    pub time_ns: u64,
    /// Who had the CPU, or the lock, meanwhile.
    pub by: Option<String>,
    /// The innermost function of the program itself, where the stack is known.
    pub function: Option<String>,
    /// The functions, the innermost first; at most six.
    pub stack: Vec<String>,
}

/// The slowest of a group, no two of the same time.
pub(super) fn longest(
    group: &Group,
    causes: &Causes,
    shown: &Shown<'_>,
    per_second: f64,
) -> Vec<Spike> {
    let mut order: Vec<usize> = (0..group.requests.len()).collect();
    order.sort_by_key(|place| std::cmp::Reverse(group.requests[*place].response_ns()));
    let mut told: Vec<(u64, u64)> = Vec::new();
    let mut spikes = Vec::new();
    for place in order {
        let (request, reach) = (&group.requests[place], &causes.reaches[place]);
        let time = (reach.from_ns, request.end_ns);
        if told
            .iter()
            .any(|other| time.0 < other.1 && other.0 < time.1)
        {
            continue;
        }
        told.push(time);
        spikes.push(story(group, causes, request, reach, shown, per_second));
        if spikes.len() == TOLD {
            break;
        }
    }
    spikes
}

/// The longest of several groups', the longest first.
pub(super) fn first(mut spikes: Vec<Spike>) -> Vec<Spike> {
    spikes.sort_by_key(|spike| std::cmp::Reverse(spike.response_ns));
    spikes.truncate(TOLD);
    spikes
}

fn story(
    group: &Group,
    causes: &Causes,
    request: &SlowRequest,
    reach: &Reach,
    shown: &Shown<'_>,
    per_second: f64,
) -> Spike {
    let begun = causes
        .segments
        .partition_point(|segment| segment.end_ns <= reach.from_ns);
    let mut times: HashMap<u32, u64> = HashMap::new();
    for segment in &causes.segments[begun..] {
        if segment.start_ns >= request.end_ns {
            break;
        }
        let from = segment.start_ns.max(reach.from_ns);
        *times.entry(segment.span).or_default() += segment.end_ns.min(request.end_ns) - from;
    }
    let mut pauses: Vec<(u32, u64)> = times.into_iter().collect();
    pauses.sort_by_key(|(span, time)| (std::cmp::Reverse(*time), *span));
    let more_pauses = pauses.len().saturating_sub(PAUSES) as u64;
    pauses.truncate(PAUSES);
    pauses.sort_by_key(|(span, _)| group.spans[*span as usize].start_ns);
    let waited = request.backlog_ns() as f64;
    let utilisation = match group.rule {
        Rule::OwnThread { utilisation } => utilisation,
        Rule::Coincides => None,
    };
    let drained = utilisation.filter(|_| waited > 0.0).map(|share| {
        // What came while it waited is worked off by what is left over of the thread's time.
        share * waited / (1.0 - share).max(1e-9)
    });
    Spike {
        run: shown.run,
        thread: request.thread,
        request: request.request,
        due_s: shown.second(request.intended_ns),
        start_s: shown.second(request.start_ns),
        end_s: shown.second(request.end_ns),
        response_ns: request.response_ns(),
        by_pauses_ns: reach.by_pauses_ns,
        own_service_ns: reach.own_ns,
        unexplained_ns: reach.unexplained_ns,
        pauses: pauses
            .into_iter()
            .map(|(place, time_ns)| {
                let span = &group.spans[place as usize];
                SpikePause {
                    kind: shown.kind(span.kind),
                    thread: span.thread,
                    start_s: shown.second(span.start_ns),
                    length_ns: span.length_ns(),
                    time_ns,
                    by: shown.by(span),
                    function: shown.function(span),
                    stack: shown.stack(span),
                }
            })
            .collect(),
        more_pauses,
        backlog: utilisation
            .map(|_| (per_second * waited / 1e9).round() as u64)
            .filter(|requests| *requests > 0),
        drained_s: drained
            .filter(|rest| *rest < 60e9)
            .map(|rest| shown.second(request.end_ns) + rest / 1e9),
    }
}
