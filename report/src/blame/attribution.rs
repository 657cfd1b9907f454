//! The causes of the time of one group of requests: those of one thread, or, over a network, all.
//!
//! Sums by kind and thread are made pause by pause rather than request by request: how long each
//! pause lasted, times how many requests stood in it ([`Crowd`]). So long runs, in which one request
//! spans thousands of pauses, cost no more than others; and sums are exact, in whole nanoseconds.

use std::collections::HashMap;

use super::backlog::Backlog;
use super::cover::{Cover, Segment, innermost};
use super::spans::Span;
use crate::recording::SlowRequest;

/// What is known of a group, and which rule it is judged by.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    /// The spans are those of the thread that served the requests.
    OwnThread {
        /// The share of its time that the thread works when it does not pause.
        utilisation: Option<f64>,
    },
    /// The spans are those of a server elsewhere.
    Coincides,
}

/// A group of requests with the pauses that may have delayed them.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) rule: Rule,
    /// In the order in which they were due; each ends no earlier than it starts, and starts no
    /// earlier than it was due.
    pub(super) requests: Vec<SlowRequest>,
    pub(super) spans: Vec<Span>,
}

/// The causes of a group's time.
#[derive(Debug)]
pub(super) struct Causes {
    pub(super) time_ns: u64,
    pub(super) own_ns: u64,
    pub(super) unexplained_ns: u64,
    /// By kind and thread of the pause.
    pub(super) pauses: HashMap<(u16, u32), Caused>,
    pub(super) segments: Vec<Segment>,
    /// For each request, in their order.
    pub(super) reaches: Vec<Reach>,
}

/// What pauses of one kind and thread caused.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Caused {
    /// All of it; the sum of all and of the group's other causes is the group's time.
    pub(super) time_ns: u64,
    /// Of it, what requests waited after a pause's end, or for work that came during it.
    pub(super) backlog_ns: u64,
    /// The longest of the pauses, as a place in the group's spans.
    pub(super) longest: u32,
}

/// The time of one request, with that of the pauses whose backlog it waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    /// From here on pauses count as its backlog's cause; when it was due, where none was.
    pub(super) from_ns: u64,
    pub(super) by_pauses_ns: u64,
    pub(super) own_ns: u64,
    pub(super) unexplained_ns: u64,
}

impl Group {
    /// The causes of all its time. (requests + spans) log spans, and for each request as much again
    /// by kind of pause.
    pub(super) fn causes(&self) -> Causes {
        let segments = innermost(&self.spans);
        let all = Cover::of(segments.iter());
        let reaches = self.reaches(&segments, &all);
        let mut causes = Causes {
            time_ns: sum(self.requests.iter().map(SlowRequest::response_ns)),
            own_ns: sum(reaches.iter().map(|reach| reach.own_ns)),
            unexplained_ns: sum(reaches.iter().map(|reach| reach.unexplained_ns)),
            pauses: HashMap::new(),
            segments,
            reaches,
        };
        self.sum_up(&mut causes);
        causes
    }

    fn reaches(&self, segments: &[Segment], all: &Cover) -> Vec<Reach> {
        let mut backlog = match self.rule {
            Rule::OwnThread { utilisation } => Some(Backlog::new(segments, utilisation)),
            Rule::Coincides => None,
        };
        let reach = |request: &SlowRequest| {
            let covered = all.within(request.intended_ns, request.end_ns);
            let Some(backlog) = &mut backlog else {
                return Reach {
                    from_ns: request.intended_ns,
                    by_pauses_ns: covered,
                    own_ns: 0,
                    unexplained_ns: request.response_ns() - covered,
                };
            };
            let in_wait = all.within(request.intended_ns, request.start_ns);
            let worked = request.backlog_ns() - in_wait;
            let owed = backlog.owed_to(request, worked);
            let from_ns = all.reach_back(request.intended_ns, owed);
            // No more can be owed than pauses lasted.
            let owed = all.within(from_ns, request.intended_ns);
            Reach {
                from_ns,
                by_pauses_ns: covered + owed,
                own_ns: request.service_ns() - (covered - in_wait),
                unexplained_ns: worked - owed,
            }
        };
        self.requests.iter().map(reach).collect()
    }

    fn sum_up(&self, causes: &mut Causes) {
        let due = self.requests.iter().map(|request| request.intended_ns);
        let during = Crowd::of(due.zip(self.requests.iter().map(|request| request.end_ns)));
        let before = causes.reaches.iter().zip(&self.requests);
        let before = Crowd::of(before.map(|(reach, request)| (reach.from_ns, request.intended_ns)));
        for segment in &causes.segments {
            let during = during.time_in(segment);
            let before = before.time_in(segment);
            if during + before == 0 {
                continue;
            }
            let span = &self.spans[segment.span as usize];
            let caused = causes.pauses.entry((span.kind, span.thread));
            let caused = caused.or_insert_with(|| Caused {
                longest: segment.span,
                ..Caused::default()
            });
            caused.time_ns = saturating(u128::from(caused.time_ns) + during + before);
            caused.backlog_ns = saturating(u128::from(caused.backlog_ns) + before);
            let longest = &self.spans[caused.longest as usize];
            if span.length_ns() > longest.length_ns() {
                caused.longest = segment.span;
            }
        }
    }

    /// Requests that any time of some of the pauses fell on. Costs requests times log segments.
    pub(super) fn requests_hit(&self, causes: &Causes, is_meant: impl Fn(&Span) -> bool) -> u64 {
        let meant = |segment: &&Segment| is_meant(&self.spans[segment.span as usize]);
        let cover = Cover::of(causes.segments.iter().filter(meant));
        if cover.is_empty() {
            return 0;
        }
        let all = self.requests.iter().zip(&causes.reaches);
        all.filter(|(request, reach)| cover.within(reach.from_ns, request.end_ns) > 0)
            .count() as u64
    }
}

fn sum(values: impl Iterator<Item = u64>) -> u64 {
    values.fold(0, u64::saturating_add)
}

fn saturating(sum: u128) -> u64 {
    u64::try_from(sum).unwrap_or(u64::MAX)
}

/// How many requests are open at each instant, as sums.
struct Crowd {
    begins: Vec<u64>,
    ends: Vec<u64>,
    /// Sums of all begins before a place, and of all ends.
    begin_sums: Vec<u128>,
    end_sums: Vec<u128>,
}

impl Crowd {
    /// Of times that end no earlier than they begin.
    fn of(times: impl Iterator<Item = (u64, u64)>) -> Crowd {
        let (mut begins, mut ends): (Vec<u64>, Vec<u64>) =
            times.filter(|(begin, end)| begin < end).unzip();
        begins.sort_unstable();
        ends.sort_unstable();
        let sums = |values: &[u64]| {
            let mut sum = 0;
            let sums = values.iter().map(|value| {
                sum += u128::from(*value);
                sum
            });
            std::iter::once(0).chain(sums).collect()
        };
        Crowd {
            begin_sums: sums(&begins),
            end_sums: sums(&ends),
            begins,
            ends,
        }
    }

    /// Time of all requests together before an instant.
    fn before(&self, ns: u64) -> u128 {
        let begun = self.begins.partition_point(|begin| *begin < ns);
        let ended = self.ends.partition_point(|end| *end < ns);
        let open = (begun - ended) as u128;
        open * u128::from(ns) + self.end_sums[ended] - self.begin_sums[begun]
    }

    fn time_in(&self, segment: &Segment) -> u128 {
        self.before(segment.end_ns) - self.before(segment.start_ns)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn group(
        utilisation: Option<f64>,
        requests: &[(u64, u64, u64)],
        pauses: &[(u16, u64, u64)],
    ) -> Group {
        let mut requests: Vec<SlowRequest> = requests
            .iter()
            .map(|&(due, waits, takes)| SlowRequest {
                intended_ns: due,
                start_ns: due + waits,
                end_ns: due + waits + takes,
                thread: 1,
                request: due,
            })
            .collect();
        requests.sort_by_key(|request| request.intended_ns);
        let spans = pauses.iter().map(|&(kind, start_ns, length)| Span {
            start_ns,
            end_ns: start_ns + length,
            thread: 1,
            kind,
            stack: None,
            by: None,
        });
        Group {
            rule: Rule::OwnThread { utilisation },
            requests,
            spans: spans.collect(),
        }
    }

    #[test]
    fn a_pause_in_front_of_a_request_and_one_within_it_are_told_apart_from_its_own_work() {
        // Due at 100, stands behind a pause of 50 and work of 30, is served for 40 with a pause of 10.
        let group = group(
            Some(0.0),
            &[(100, 80, 40)],
            &[(0, 90, 60), (1, 190, 10), (2, 500, 9)],
        );
        let causes = group.causes();
        assert_eq!(causes.time_ns, 120);
        assert_eq!(causes.pauses[&(0, 1)].time_ns, 50);
        assert_eq!(causes.pauses[&(1, 1)].time_ns, 10);
        assert!(!causes.pauses.contains_key(&(2, 1)));
        assert_eq!((causes.own_ns, causes.unexplained_ns), (30, 30));
    }

    #[test]
    fn waiting_for_a_pauses_backlog_is_owed_to_the_pause_and_bounded_by_it() {
        // The thread is as good as always busy: what the pause of 50 took is never made good.
        let group = group(Some(1.0), &[(1_000, 30, 5), (2_000, 300, 5)], &[(3, 0, 50)]);
        let causes = group.causes();
        let caused = causes.pauses[&(3, 1)];
        assert_eq!((caused.time_ns, caused.backlog_ns), (30 + 30, 30 + 30));
        assert_eq!((causes.own_ns, causes.unexplained_ns), (10, 270));
    }

    proptest! {
        #[test]
        fn shares_add_up_to_the_time_whatever_the_recording_says(
            requests in proptest::collection::vec((0..500u64, 0..80u64, 0..60u64), 0..20),
            pauses in proptest::collection::vec((0..3u16, 0..500u64, 1..90u64), 0..20),
            utilisation in proptest::option::of(-1.0..2.0f64),
        ) {
            let group = group(utilisation, &requests, &pauses);
            let causes = group.causes();
            let by_pauses: u64 = causes.pauses.values().map(|caused| caused.time_ns).sum();
            prop_assert_eq!(by_pauses + causes.own_ns + causes.unexplained_ns, causes.time_ns);
            let each: u64 = causes.reaches.iter().map(|reach| reach.by_pauses_ns).sum();
            prop_assert_eq!(each, by_pauses);
            for (reach, request) in causes.reaches.iter().zip(&group.requests) {
                let shares = reach.by_pauses_ns + reach.own_ns + reach.unexplained_ns;
                prop_assert_eq!(shares, request.response_ns());
            }
        }
    }
}
