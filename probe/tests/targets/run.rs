//! One scenario under a session: what was planted, what was seen, and whether they agree.

use std::process::Command;
use std::time::Duration;

use tailcut_probe::Options;
use tailcut_probe::tick::SlowEvent;

use crate::common::{Seen, Talker, trace};
use crate::target::{Line, Planted};

/// From here on events are sent: shorter than any planted pause, so that what lies beside one is seen.
const THRESHOLD: Duration = Duration::from_micros(20);

/// What the target said and what the session saw.
pub struct Run {
    pub pid: u32,
    pub seen: Seen,
    pub planted: Vec<Planted>,
    pub figures: Vec<u64>,
    /// Of the kernel, for what happened while the session was attached.
    pub minor_faults: u64,
    pub run_delay_ns: u64,
}

pub fn run(scenario: &str, options: Options, on: impl FnMut(u32, &Line) + Send) -> Run {
    let this = std::env::current_exe().unwrap();
    let mut target = Talker::start(Command::new(this).args(["target", scenario]));
    assert_eq!(said(&mut target), Some(Line::Ready));
    target.wait_until_idle();
    let pid = target.pid();
    let faults_before = minor_faults(pid);
    let options = Options {
        threshold: THRESHOLD,
        // What is planted must be seen: no hook may rest.
        budget: 1.0,
        ..options
    };
    let mut on = on;
    let (seen, (lines, delay_before)) = trace(pid, options, || {
        target.send("wake up");
        assert_eq!(said(&mut target), Some(Line::Awake));
        target.wait_until_idle();
        let delay_before = run_delay_ns(pid);
        target.send("go");
        let mut lines = Vec::new();
        while let Some(line) = said(&mut target) {
            if line == Line::Done {
                target.wait_until_idle();
                break;
            }
            on(pid, &line);
            lines.push(line);
        }
        (lines, delay_before)
    });
    let mut run = Run {
        pid,
        seen,
        planted: Vec::new(),
        figures: Vec::new(),
        minor_faults: minor_faults(pid) - faults_before,
        run_delay_ns: run_delay_ns(pid) - delay_before,
    };
    for line in lines {
        match line {
            Line::Planted(planted) => run.planted.push(planted),
            Line::Figure(_, value) => run.figures.push(value),
            Line::Ready | Line::Awake | Line::Done => {}
        }
    }
    run
}

pub fn said(target: &mut Talker) -> Option<Line> {
    target
        .line()
        .map(|line| serde_json::from_str(&line).unwrap())
}

impl Run {
    /// Events of a planted pause's thread that lie in it, or share time with it.
    pub fn events_during(&self, planted: &Planted) -> impl Iterator<Item = &SlowEvent> {
        let (start, end, thread) = (planted.start_ns, planted.end_ns, planted.thread);
        self.seen.events().filter(move |event| {
            event.thread == thread && event.start_ns < end && event.end_ns > start
        })
    }

    /// The event that is `planted`: of its kind and thread, within its time; and with the other
    /// events of that time it makes up its length, within 5% or 50 us.
    pub fn find(&self, planted: &Planted) -> &SlowEvent {
        let slack = slack(planted);
        let found = self
            .events_during(planted)
            .filter(|event| {
                event.name == planted.kind
                    && event.process == planted.process
                    && event.start_ns + slack >= planted.start_ns
                    && event.end_ns <= planted.end_ns + slack
            })
            .max_by_key(|event| event.length_ns());
        let Some(found) = found else {
            let instead: Vec<_> = self.events_during(planted).collect();
            panic!(
                "not found: {planted:?}\ninstead: {instead:?}\nlost: {:?}",
                self.seen.lost()
            );
        };
        assert!(
            planted.bytes == 0 || found.detail == planted.bytes,
            "{planted:?}: {found:?}"
        );
        self.explain(planted);
        found
    }

    /// The events of that time make up its length.
    pub fn explain(&self, planted: &Planted) {
        let mut events: Vec<(u64, u64)> = self
            .events_during(planted)
            .filter(|event| event.pause || event.name == planted.kind)
            .map(|event| (event.start_ns, event.end_ns))
            .collect();
        events.sort_unstable();
        let mut covered = 0;
        let mut until = 0;
        for (start, end) in events {
            covered += end.saturating_sub(start.max(until));
            until = until.max(end);
        }
        assert!(
            planted.length_ns().abs_diff(covered) <= slack(planted),
            "{covered} of {} ns of {planted:?}\n{:?}\nlost: {:?}",
            planted.length_ns(),
            self.events_during(planted).collect::<Vec<_>>(),
            self.seen.lost()
        );
    }

    /// The time that its first thread waited for a CPU is what the kernel says.
    pub fn delays_are_the_kernels(&self) {
        let (preempted, queued) = (self.seen.sums("preempted"), self.seen.sums("run_queue"));
        let all = preempted.total + queued.total;
        // The scheduler reads its clock before or after its tracepoints, and not on every occasion.
        let allowed = self.run_delay_ns / 20 + 50_000 * (preempted.events + queued.events);
        assert!(
            all.abs_diff(self.run_delay_ns) <= allowed,
            "preempted {preempted:?} and run_queue {queued:?}; the kernel says {}",
            self.run_delay_ns
        );
    }
}

/// 5% or 50 us, whichever is more.
pub fn slack(planted: &Planted) -> u64 {
    let usual = (planted.length_ns() / 20).max(50_000);
    // What ran for less than 10 ms before it lost its CPU is not reported.
    match planted.kind.as_str() {
        "long_running" => usual + 10_000_000,
        _ => usual,
    }
}

pub fn is_near(value: u64, truth: u64, share: f64) -> bool {
    value.abs_diff(truth) as f64 <= (truth as f64 * share).max(50_000.0)
}

pub fn is_the_schedulers(event: &SlowEvent) -> bool {
    event.name == "preempted" || event.name == "run_queue"
}

pub fn overlap(one: &SlowEvent, other: &SlowEvent) -> u64 {
    if one.thread != other.thread {
        return 0;
    }
    let start = one.start_ns.max(other.start_ns);
    one.end_ns.min(other.end_ns).saturating_sub(start)
}

pub fn minor_faults(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit(") ").next().unwrap_or_default();
    rest.split(' ')
        .nth(7)
        .map_or(0, |field| field.parse().unwrap())
}

pub fn run_delay_ns(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat"));
    text.map_or(0, |text| text.split(' ').nth(1).unwrap().parse().unwrap())
}
