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
#[path = "targets/run.rs"]
mod run;
#[path = "targets/planted.rs"]
mod target;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, gettid};
use tailcut_probe::Options;
use tailcut_probe::tick::SlowEvent;

use self::run::{is_near, is_the_schedulers, overlap, run};
use self::target::{Line, Planted};

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
                common::within_five_attempts(check);
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
            // Whoever wakes up may touch a page for the first time: that is a pause of its own.
            .filter(|event| event.name != "page_fault")
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
