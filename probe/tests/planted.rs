//! Known truth: a process makes pauses of known kind, length and time, and a session must find each,
//! name it rightly, on the right thread, with its length; and must find nothing else.
//!
//! The target is this executable again (`targets/planted.rs`), so this test has a `main` of its own.
//! Nothing here depends on how fast or how busy the machine is: lengths are compared with what the
//! target's thread measured around them, delays with the scheduler's own account of the same thread,
//! faults with the kernel's count. Where a loaded machine puts another wait beside a planted one, the
//! other wait must have been seen, too: together they must make up what the thread measured.

#![cfg(target_os = "linux")]

mod common;
#[path = "targets/planted.rs"]
mod target;

use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, gettid};
use tailcut_probe::Options;
use tailcut_probe::tick::SlowEvent;

use self::common::{Seen, Talker, trace};
use self::target::{Line, Planted};

/// From here on events are sent: shorter than any planted pause, so that what lies beside one is seen.
const THRESHOLD: Duration = Duration::from_micros(20);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, scenario] = arguments.as_slice()
        && word == "target"
    {
        target::main(scenario);
        return ExitCode::SUCCESS;
    }
    let mut arguments = Arguments::from_args();
    // They compete for CPUs, and some take one for themselves.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, tests()).exit_code()
}

fn tests() -> Vec<Trial> {
    let test = |name: &str, check: fn()| {
        Trial::test(name, move || {
            if !common::is_skipped() {
                check();
            }
            Ok(())
        })
    };
    vec![
        test("memory_that_is_unmapped_is_a_pause_of_its_length", || {
            each_is_found("munmap", 3);
        }),
        test("pages_given_back_are_a_pause_of_its_length", || {
            each_is_found("madvise", 3);
        }),
        test("changed_rights_are_a_pause_of_its_length", || {
            each_is_found("mprotect", 2);
        }),
        test("a_lock_held_by_another_thread_is_a_futex_wait", || {
            each_is_found("futex", 5);
        }),
        test("running_without_a_pause_is_reported", || {
            each_is_found("long", 3);
        }),
        test(
            "every_page_fault_is_counted_once",
            every_page_fault_is_counted_once,
        ),
        test("waiting_for_work_is_no_pause", waiting_for_work_is_no_pause),
        test(
            "a_stopped_process_is_stopped_for_that_long",
            a_stopped_process_is_stopped_for_that_long,
        ),
        test(
            "a_wait_that_goes_on_after_a_stop_keeps_its_name",
            a_wait_that_goes_on_after_a_stop_keeps_its_name,
        ),
        test(
            "a_stolen_cpu_is_preemption_by_the_thief",
            a_stolen_cpu_is_preemption_by_the_thief,
        ),
        test(
            "waking_up_late_is_time_in_the_run_queue",
            waking_up_late_is_time_in_the_run_queue,
        ),
        test(
            "waiting_for_the_memory_map_is_named",
            waiting_for_the_memory_map_is_named,
        ),
        test("an_idle_process_has_no_pauses", || {
            only_the_scheduler_is_to_blame("idle");
        }),
        test("a_busy_process_has_no_pauses_but_lost_cpus", || {
            only_the_scheduler_is_to_blame("busy");
        }),
        test(
            "a_child_is_traced_if_it_is_followed",
            a_child_is_traced_if_it_is_followed,
        ),
        test(
            "a_child_is_not_traced_unless_it_is_followed",
            a_child_is_not_traced_unless_it_is_followed,
        ),
        test(
            "a_storm_of_threads_leaves_room_for_others",
            a_storm_of_threads_leaves_room_for_others,
        ),
        test(
            "a_storm_of_processes_leaves_room_for_others",
            a_storm_of_processes_leaves_room_for_others,
        ),
    ]
}

/// What the target said and what the session saw.
struct Run {
    pid: u32,
    seen: Seen,
    planted: Vec<Planted>,
    figures: Vec<u64>,
    /// Of the kernel, for what happened while the session was attached.
    minor_faults: u64,
    run_delay_ns: u64,
}

fn run(scenario: &str, options: Options, on: impl FnMut(u32, &Line) + Send) -> Run {
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

fn said(target: &mut Talker) -> Option<Line> {
    target
        .line()
        .map(|line| serde_json::from_str(&line).unwrap())
}

fn each_is_found(scenario: &str, count: usize) {
    let run = run(scenario, Options::default(), |_, _| {});
    assert_eq!(run.planted.len(), count);
    for planted in &run.planted {
        run.find(planted);
    }
}

fn every_page_fault_is_counted_once() {
    let run = run("touch", Options::default(), |_, _| {});
    let pages = (64 + 1024) << 20 >> 12;
    assert!(
        run.minor_faults >= pages,
        "{} by the kernel",
        run.minor_faults
    );
    let counted = run.seen.sums("page_fault").events;
    assert_eq!(
        counted, run.minor_faults,
        "faults counted; the kernel's count"
    );
}

fn waiting_for_work_is_no_pause() {
    let run = run("waits", Options::default(), |_, _| {});
    for planted in &run.planted {
        let wrong: Vec<_> = run
            .events_during(planted)
            .filter(|event| !is_the_schedulers(event))
            .collect();
        assert!(wrong.is_empty(), "{planted:?} is said to be {wrong:?}");
    }
    // The histogram knows them, though, within the width of its buckets.
    let longest = run.planted.iter().map(Planted::length_ns).max().unwrap();
    let seen = run.seen.sums("sleep").max;
    assert!(is_near(seen, longest, 0.07), "{seen} of {longest}");
}

fn a_stopped_process_is_stopped_for_that_long() {
    let mut tester = Vec::new();
    let run = run("stopped", Options::default(), |pid, line| {
        let Line::Figure(..) = line else { return };
        for milliseconds in [150, 250, 400] {
            thread::sleep(Duration::from_millis(100));
            let target = Pid::from_raw(pid.cast_signed());
            kill(target, Signal::SIGSTOP).unwrap();
            let begin = Instant::now();
            thread::sleep(Duration::from_millis(milliseconds));
            kill(target, Signal::SIGCONT).unwrap();
            tester.push(begin.elapsed());
        }
    });
    assert_eq!(run.planted.len(), tester.len());
    for (planted, outside) in run.planted.iter().zip(tester) {
        let length = run.find(planted).length_ns();
        // What the target finds includes that it was late to run again; what the tester measures
        // does not.
        assert!(
            is_near(length, outside.as_nanos() as u64, 0.05),
            "{length} ns, stopped for {outside:?}"
        );
    }
}

fn a_wait_that_goes_on_after_a_stop_keeps_its_name() {
    let run = run("interrupted", Options::default(), |pid, line| {
        let Line::Figure(..) = line else { return };
        let target = Pid::from_raw(pid.cast_signed());
        thread::sleep(Duration::from_millis(200));
        kill(target, Signal::SIGSTOP).unwrap();
        thread::sleep(Duration::from_millis(200));
        kill(target, Signal::SIGCONT).unwrap();
    });
    let planted = &run.planted[0];
    run.find(planted);
    let kinds: Vec<&str> = run
        .events_during(planted)
        .filter(|event| event.length_ns() > 100_000_000)
        .map(|event| event.name.as_str())
        .collect();
    assert_eq!(kinds, ["futex", "stopped", "futex"]);
}

fn a_stolen_cpu_is_preemption_by_the_thief() {
    let thief = Thief::start(|over| {
        while !over.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    });
    let run = run("stolen", Options::default(), |_, _| {});
    let thief = thief.stop();
    run.delays_are_the_kernels();
    let stolen: u64 = run
        .seen
        .events()
        .filter(|event| event.name == "preempted" && event.by.as_ref() == Some(&thief))
        .map(SlowEvent::length_ns)
        .sum();
    let all = run.seen.sums("preempted").total;
    // Others may steal, too, on a busy machine.
    assert!(stolen > 0 && stolen <= all, "{stolen} of {all} by {thief}");
    let asked = run.figures[1] - run.figures[0];
    assert!(all as f64 > 0.9 * asked as f64, "{all} of {asked}");
}

fn waking_up_late_is_time_in_the_run_queue() {
    let thief = Thief::start(|over| {
        target::real_time();
        while !over.load(Ordering::Relaxed) {
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_millis(10) {
                std::hint::spin_loop();
            }
            thread::sleep(Duration::from_millis(10));
        }
    });
    let run = run("late", Options::default(), |_, _| {});
    drop(thief.stop());
    run.delays_are_the_kernels();
    let late = run
        .seen
        .events()
        .filter(|event| event.name == "run_queue" && event.length_ns() > 1_000_000);
    assert!(
        late.count() > 5,
        "40 times it woke up; half the time the CPU was taken"
    );
}

fn waiting_for_the_memory_map_is_named() {
    let run = run("mmap_lock", Options::default(), |_, _| {});
    let mut found = 0;
    for planted in &run.planted {
        // Its thread may as well have lost its CPU in between; then that must be seen.
        let named = run
            .events_during(planted)
            .any(|event| event.name == "mmap_lock" && event.length_ns() > 1_000_000);
        if named {
            run.find(planted);
            found += 1;
        } else {
            run.explain(planted);
        }
    }
    assert!(found > 0, "no wait among {:?}", run.planted);
}

/// Nothing is planted: the only pauses are those that the scheduler admits to, and page faults.
fn only_the_scheduler_is_to_blame(scenario: &str) {
    let run = run(scenario, Options::default(), |_, _| {});
    run.delays_are_the_kernels();
    assert_eq!(run.seen.sums("page_fault").events, run.minor_faults);
    let delays: Vec<&SlowEvent> = run.seen.events().filter(|e| is_the_schedulers(e)).collect();
    // Faults are the kernel's own count, however long one takes where memory is virtual.
    let claimed = |event: &&SlowEvent| event.pause && event.name != "page_fault";
    for event in run.seen.events().filter(claimed) {
        let delayed: u64 = delays.iter().map(|delay| overlap(event, delay)).sum();
        assert!(
            event.length_ns() - delayed < 100_000,
            "{event:?}, though nothing was planted"
        );
    }
}

fn a_child_is_traced_if_it_is_followed() {
    let options = Options {
        follow: true,
        ..Options::default()
    };
    let run = run("children", options, |_, _| {});
    assert_eq!(run.planted.len(), 3);
    for planted in &run.planted {
        assert_ne!(planted.process, run.pid);
        run.find(planted);
    }
}

fn a_child_is_not_traced_unless_it_is_followed() {
    let run = run("children", Options::default(), |_, _| {});
    assert_eq!(run.planted.len(), 3);
    for event in run.seen.events() {
        assert_eq!(event.process, run.pid, "{event:?}");
    }
    assert_eq!(run.seen.sums("page_fault").events, run.minor_faults);
}

fn a_storm_of_threads_leaves_room_for_others() {
    let run = run("threads", Options::default(), |_, _| {});
    assert_eq!(run.seen.lost().get("threads"), None);
    for planted in &run.planted {
        run.find(planted);
    }
}

fn a_storm_of_processes_leaves_room_for_others() {
    let options = Options {
        follow: true,
        ..Options::default()
    };
    let run = run("processes", options, |_, _| {});
    assert_eq!(run.seen.lost().get("threads"), None);
    assert_eq!(run.planted.len(), 3);
    for planted in &run.planted {
        run.find(planted);
    }
}

impl Run {
    /// Events of a planted pause's thread that lie in it, or share time with it.
    fn events_during(&self, planted: &Planted) -> impl Iterator<Item = &SlowEvent> {
        let (start, end, thread) = (planted.start_ns, planted.end_ns, planted.thread);
        self.seen.events().filter(move |event| {
            event.thread == thread && event.start_ns < end && event.end_ns > start
        })
    }

    /// The event that is `planted`: of its kind and thread, within its time; and with the other
    /// events of that time it makes up its length, within 5% or 50 us.
    fn find(&self, planted: &Planted) -> &SlowEvent {
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
    fn explain(&self, planted: &Planted) {
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
    fn delays_are_the_kernels(&self) {
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
fn slack(planted: &Planted) -> u64 {
    (planted.length_ns() / 20).max(50_000)
}

fn is_near(value: u64, truth: u64, share: f64) -> bool {
    value.abs_diff(truth) as f64 <= (truth as f64 * share).max(50_000.0)
}

fn is_the_schedulers(event: &SlowEvent) -> bool {
    event.name == "preempted" || event.name == "run_queue"
}

fn overlap(one: &SlowEvent, other: &SlowEvent) -> u64 {
    if one.thread != other.thread {
        return 0;
    }
    let start = one.start_ns.max(other.start_ns);
    one.end_ns.min(other.end_ns).saturating_sub(start)
}

fn minor_faults(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit(") ").next().unwrap_or_default();
    rest.split(' ')
        .nth(7)
        .map_or(0, |field| field.parse().unwrap())
}

fn run_delay_ns(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat"));
    text.map_or(0, |text| text.split(' ').nth(1).unwrap().parse().unwrap())
}

/// A thread that takes the first CPU from others.
struct Thief {
    over: std::sync::Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
    id: std::sync::Arc<AtomicI32>,
}

impl Thief {
    fn start(work: fn(&AtomicBool)) -> Thief {
        let over = std::sync::Arc::new(AtomicBool::new(false));
        let id = std::sync::Arc::new(AtomicI32::new(0));
        let (its_over, its_id) = (over.clone(), id.clone());
        let thread = thread::Builder::new()
            .name("thief".to_owned())
            .spawn(move || {
                its_id.store(gettid().as_raw(), Ordering::Relaxed);
                target::pin_to_first_cpu();
                work(&its_over);
            })
            .unwrap();
        Thief { over, thread, id }
    }

    /// Its name, as events have it.
    fn stop(self) -> String {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        format!("thief/{}", self.id.load(Ordering::Relaxed))
    }
}
