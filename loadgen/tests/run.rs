//! Whole runs on the real clock. Nothing is asserted about how fast anything was.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tailcut_loadgen::scenario::{Arrivals, Shard, WarmUp};
use tailcut_loadgen::workload::{Verdict, Workload};
use tailcut_loadgen::{
    Form, LoadError, Nanos, Rate, RunOutcome, RunPlan, Service, available_cpus, expected_checksum,
    run, run_workload,
};
use tailcut_report::recording::{Mark, RESPONSE, Recording, RecordingError, SERVICE, State};

/// One test at a time: while one runs, the others' threads are kept off its cores and would count
/// fewer of them.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn plan(service: Service, dir: &Path) -> RunPlan {
    RunPlan {
        rate: Rate::per_second(20_000).unwrap(),
        duration: Nanos::from_millis(1_500),
        warmup: WarmUp::Fixed(Nanos::from_millis(100)),
        window: 2_000,
        workers: 1,
        ..RunPlan::new(service, dir.join("recording"))
    }
}

fn complete(plan: &RunPlan) -> RunOutcome {
    run(plan, &AtomicBool::new(false), &mut |_| ()).unwrap()
}

#[test]
fn all_forms_of_the_service_give_the_same_checksum() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let checksum = |service: Service, form: Form, workers: u32| {
        let mut plan = plan(service, dir.path());
        plan.out_dir = dir.path().join(format!("{service:?}-{form:?}"));
        plan.duration = Nanos::from_millis(200);
        plan.form = form;
        plan.workers = workers;
        complete(&plan).meta.result.unwrap().checksum
    };
    let expected = checksum(Service::Heap, Form::Inline, 1);
    assert_eq!(expected.len(), 16);
    let without_a_run = expected_checksum(&plan(Service::Pool, dir.path())).unwrap();
    assert_eq!(without_a_run, expected);
    assert_eq!(checksum(Service::HeapPreshaped, Form::Inline, 1), expected);
    assert_eq!(checksum(Service::Pool, Form::Inline, 1), expected);
    if available_cpus() >= 2 {
        assert_eq!(checksum(Service::Heap, Form::Handoff, 2), expected);
        assert_eq!(checksum(Service::Pool, Form::Handoff, 2), expected);
        assert_eq!(checksum(Service::HeapPreshaped, Form::Handoff, 2), expected);
    }
}

/// Counts what it is given.
struct Counting(u64);

impl Workload for Counting {
    fn handle(&mut self, _: &[u8]) -> Verdict {
        self.0 += 1;
        Verdict::Accepted
    }

    fn checksum(&self) -> u64 {
        self.0
    }

    fn settled_windows(&self) -> u64 {
        0
    }
}

#[test]
fn a_workload_of_ones_own_is_run_on_one_thread() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let mut plan = plan(Service::Noop, dir.path());
    plan.duration = Nanos::from_millis(200);
    let outcome = run_workload(&plan, |_| Counting(0), &stop, &mut |_| ()).unwrap();
    let result = outcome.meta.result.unwrap();
    assert_eq!(result.offered, 4_000);
    assert_eq!(result.completed, 4_000);
    // The rehearsal alone: two windows and some.
    assert!(u64::from_str_radix(&result.checksum, 16).unwrap() >= 4_000);

    if available_cpus() >= 2 {
        plan.form = Form::Handoff;
        plan.workers = 2;
        plan.out_dir = dir.path().join("halves");
        let refused = run_workload(&plan, |_| Counting(0), &stop, &mut |_| ());
        assert!(refused.is_err_and(|error| error.to_string().contains("one thread")));
    }
}

#[test]
fn a_recording_holds_every_request_of_the_schedule() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let mut seconds = 0;
    let plan = plan(Service::Pool, dir.path());
    let outcome = run(&plan, &AtomicBool::new(false), &mut |_| seconds += 1).unwrap();
    assert!(seconds >= 1);

    let recording = Recording::read(&outcome.dir).unwrap();
    assert_eq!(recording.meta.state, State::Complete);
    let result = recording.meta.result.clone().unwrap();
    assert_eq!(result.offered, 30_000);
    assert_eq!(result.completed + result.unserved, result.offered);
    assert_eq!(recording.whole(RESPONSE).len(), result.offered);
    assert_eq!(recording.whole(SERVICE).len(), result.completed);
    assert_eq!(recording.whole(RESPONSE), outcome.response);
    assert_eq!(
        recording.series(RESPONSE).count() as u64 + outcome.swaps_missed,
        2
    );
    let last = recording.series(RESPONSE).last().unwrap();
    assert_eq!(last.length_ns % 500_000_000, 0);
    assert!(!recording.slow.is_empty() && recording.slow.len() <= 64);
    for slow in &recording.slow {
        assert!(slow.intended_ns <= slow.start_ns && slow.start_ns <= slow.end_ns);
    }
    assert_eq!(recording.meta.load.form, "inline");
    assert!(recording.meta.load.pool_path.is_some());
}

#[test]
fn a_run_of_the_pool_records_what_it_held_and_what_capacity_that_takes() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let mut plan = plan(Service::Pool, dir.path());
    let outcome = complete(&plan);
    let recording = Recording::read(&outcome.dir).unwrap();
    let samples = &recording.pool;
    // At the beginning, after a second, at the end; one less where the machine was busy for long.
    assert!((2..=3).contains(&samples.len()), "{samples:?}");
    let (first, last) = (&samples[0], &samples[samples.len() - 1]);
    assert!(first.capacity > plan.window && last.capacity == first.capacity);
    assert!(last.high_water >= plan.window && last.high_water <= last.capacity);
    assert!(
        samples
            .iter()
            .all(|sample| sample.in_use_max <= plan.window + 1)
    );
    let sizing = recording.meta.result.unwrap().pool_sizing.unwrap();
    let taken = last.gets - first.gets;
    assert!(taken > 0 && taken <= 32_000, "{taken} of 30,000 requests");
    let mean = sizing.rate * Nanos(sizing.held_ns).as_secs_f64();
    assert!((mean - sizing.in_use).abs() < 1.0, "{sizing:?}");
    assert!(sizing.in_use <= 2_000.0 && sizing.capacity.is_power_of_two());
    assert!(sizing.capacity_for_peak >= 4_096, "{sizing:?}");

    plan.service = Service::Heap;
    plan.out_dir = dir.path().join("heap");
    plan.duration = Nanos::from_millis(200);
    let recording = Recording::read(&complete(&plan).dir).unwrap();
    assert!(recording.pool.is_empty() && !plan.out_dir.join("pool.jsonl").exists());
    assert_eq!(recording.meta.result.unwrap().pool_sizing, None);
}

#[test]
fn several_workers_share_the_schedule_and_the_log_has_one_line_a_second() {
    let _alone = alone();
    if available_cpus() < 2 {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut plan = plan(Service::Noop, dir.path());
    plan.workers = 2;
    let outcome = complete(&plan);
    let result = outcome.meta.result.unwrap();
    assert_eq!(result.offered, 30_000);
    let recording = Recording::read(&outcome.dir).unwrap();
    assert_eq!(recording.whole(RESPONSE).len(), 30_000);
    if outcome.swaps_missed == 0 {
        assert_eq!(recording.series(RESPONSE).count(), 2);
    }
}

#[test]
fn a_pair_of_threads_loses_no_request_between_them() {
    let _alone = alone();
    if available_cpus() < 2 {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut plan = plan(Service::Pool, dir.path());
    plan.form = Form::Handoff;
    plan.workers = 2;
    let outcome = complete(&plan);
    let result = outcome.meta.result.unwrap();
    assert_eq!(result.offered, 30_000);
    assert_eq!(outcome.response.len(), 30_000);
    assert_eq!(outcome.service.len(), result.completed);
}

#[test]
fn a_rate_that_cannot_be_held_is_cut_and_says_so() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let mut plan = plan(Service::Heap, dir.path());
    plan.rate = "1G".parse().unwrap();
    plan.duration = Nanos::from_millis(200);
    let result = complete(&plan).meta.result.unwrap();
    assert_eq!(result.offered, 200_000_000);
    assert_eq!(result.completed + result.unserved, result.offered);
    assert!(result.unserved > 0 && !result.schedule_kept);
    assert!(result.rate_achieved > 0.0 && result.rate_achieved < 1e9);
}

#[test]
fn an_interrupted_run_leaves_a_readable_recording_that_says_partial() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let mut plan = plan(Service::Noop, dir.path());
    plan.duration = Nanos::from_millis(60_000);
    let stop = AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(1_500));
            stop.store(true, Ordering::Relaxed);
        });
        run(&plan, &stop, &mut |_| ()).unwrap()
    });
    let recording = Recording::read(&outcome.dir).unwrap();
    assert_eq!(recording.meta.state, State::Partial);
    assert_eq!(recording.meta.state_reason.as_deref(), Some("interrupted"));
    let result = recording.meta.result.clone().unwrap();
    assert!(result.offered < 20_000 * 60);
    assert_eq!(recording.whole(RESPONSE).len(), result.offered);
}

#[test]
fn a_run_stopped_before_it_began_is_partial_and_empty() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let plan = plan(Service::Pool, dir.path());
    let outcome = run(&plan, &AtomicBool::new(true), &mut |_| ()).unwrap();
    assert_eq!(outcome.meta.state, State::Partial);
    let result = outcome.meta.result.unwrap();
    assert_eq!((result.offered, result.completed), (0, 0));
    assert!(!result.schedule_kept);
    Recording::read(&outcome.dir).unwrap();
}

#[test]
fn a_folder_that_holds_something_is_refused_and_left_alone() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let plan = plan(Service::Pool, dir.path());
    std::fs::create_dir(&plan.out_dir).unwrap();
    std::fs::write(plan.out_dir.join("thesis.txt"), "mine").unwrap();
    let refused = run(&plan, &AtomicBool::new(false), &mut |_| ()).unwrap_err();
    assert!(
        matches!(
            refused,
            LoadError::Recording(RecordingError::AlreadyExists { .. })
        ),
        "{refused}"
    );
    assert_eq!(std::fs::read_dir(&plan.out_dir).unwrap().count(), 1);
}

#[test]
fn a_plan_that_cannot_run_makes_no_folder() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let mut plan = plan(Service::Pool, dir.path());
    plan.workers = 10_000;
    assert!(run(&plan, &AtomicBool::new(false), &mut |_| ()).is_err());
    assert!(!plan.out_dir.exists());
}

#[test]
fn arrivals_at_random_are_the_same_for_the_same_seed_and_named_in_the_recording() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let offered = |name: &str, seed: u64| {
        let mut plan = plan(Service::Noop, dir.path());
        plan.out_dir = dir.path().join(name);
        plan.arrivals = Arrivals::Poisson;
        plan.seed = seed;
        let outcome = complete(&plan);
        assert_eq!(outcome.meta.load.pacing, "poisson");
        assert_eq!(outcome.meta.load.seed, seed);
        outcome.meta.result.unwrap().offered
    };
    let first = offered("first", 3);
    // 30,000 are expected, and 173 more or less are usual.
    assert!(first.abs_diff(30_000) < 800, "{first}");
    assert_eq!(offered("again", 3), first);
    assert_ne!(offered("other", 4), first);
}

#[test]
fn every_kind_of_arrivals_runs_in_every_form() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let trace = [0, 1, 5, 5].map(|at| Nanos(at * 1_000_000));
    for (kind, arrivals) in [
        Arrivals::Poisson,
        Arrivals::Burst { size: 100 },
        Arrivals::Trace(trace.into_iter().collect()),
    ]
    .into_iter()
    .enumerate()
    {
        for (form, workers) in [(Form::Inline, 1), (Form::Handoff, 2)] {
            if workers > available_cpus() {
                continue;
            }
            let mut plan = plan(Service::Pool, dir.path());
            plan.out_dir = dir.path().join(format!("{kind}-{form:?}"));
            plan.duration = Nanos::from_millis(300);
            plan.arrivals = arrivals.clone();
            (plan.form, plan.workers) = (form, workers);
            let outcome = complete(&plan);
            let result = outcome.meta.result.unwrap();
            if arrivals == Arrivals::Poisson {
                assert!(result.offered.abs_diff(6_000) < 400);
            } else {
                assert_eq!(result.offered, 6_000, "{arrivals}");
            }
            assert_eq!(result.completed + result.unserved, result.offered);
            assert_eq!(outcome.response.len(), result.offered);
        }
    }
}

#[test]
fn what_is_offered_is_exact_at_any_rate() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    for rate in [1_000, 100_000, 1_000_000] {
        let mut plan = plan(Service::Noop, dir.path());
        plan.out_dir = dir.path().join(rate.to_string());
        plan.rate = Rate::per_second(rate).unwrap();
        plan.duration = Nanos::SECOND;
        let result = complete(&plan).meta.result.unwrap();
        assert_eq!(result.offered, rate);
        assert_eq!(result.completed + result.unserved, rate);
    }
}

#[test]
fn a_warm_up_of_no_given_length_ends_and_the_recording_says_by_which_rule() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    for (form, workers) in [(Form::Inline, 1), (Form::Handoff, 2)] {
        if workers > available_cpus() {
            continue;
        }
        let mut plan = plan(Service::Noop, dir.path());
        plan.out_dir = dir.path().join(format!("{form:?}"));
        (plan.form, plan.workers) = (form, workers);
        plan.duration = Nanos::from_millis(1_500);
        plan.warmup = WarmUp::Auto {
            at_most: Nanos(6 * Nanos::SECOND.0),
        };
        let outcome = complete(&plan);
        let load = &outcome.meta.load;
        // Which of the two depends on how quiet this machine is.
        let rule = &load.warmup_rule;
        assert!(
            rule.starts_with("auto: stationary after ") || rule == "auto: NOT stationary after 6 s",
            "{rule}"
        );
        assert!(
            load.warmup_ns >= 4 * Nanos::SECOND.0 && load.warmup_ns.is_multiple_of(1_000_000_000)
        );
        let result = outcome.meta.result.unwrap();
        assert_eq!(result.offered, 30_000);
        assert_eq!(outcome.response.len(), 30_000);
        let marks = std::fs::read_to_string(outcome.dir.join("marks.jsonl")).unwrap();
        let marks: Vec<Mark> = marks
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(marks.len(), 1);
        assert_eq!(
            (marks[0].kind.as_str(), &marks[0].detail),
            ("warm_up", rule)
        );
        assert_eq!(marks[0].end_ns - marks[0].start_ns, load.warmup_ns);
    }
}

#[test]
fn a_run_stopped_in_a_warm_up_of_no_given_length_is_partial_and_says_so() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let mut plan = plan(Service::Noop, dir.path());
    plan.warmup = WarmUp::Auto {
        at_most: Nanos(30 * Nanos::SECOND.0),
    };
    let stop = AtomicBool::new(false);
    let outcome = run(&plan, &stop, &mut |second| {
        assert!(second.warming_up);
        stop.store(true, Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!(outcome.meta.state, State::Partial);
    assert!(
        outcome
            .meta
            .load
            .warmup_rule
            .contains("before it was decided")
    );
    assert_eq!(outcome.meta.result.unwrap().offered, 0);
    Recording::read(&outcome.dir).unwrap();
}

#[test]
fn shards_share_the_schedule_and_begin_at_the_agreed_instant() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let mut offered = 0;
    for index in 0..3 {
        let mut plan = plan(Service::Noop, dir.path());
        plan.out_dir = dir.path().join(index.to_string());
        plan.shard = Some(Shard { index, of: 3 });
        plan.rate = Rate::per_second(20_001).unwrap();
        plan.duration = Nanos::SECOND;
        let since_1970 = std::time::UNIX_EPOCH.elapsed().unwrap();
        let start_at = u64::try_from(since_1970.as_nanos()).unwrap() + 700_000_123;
        plan.start_at_unix_ns = Some(start_at);
        let outcome = complete(&plan);
        offered += outcome.meta.result.unwrap().offered;
        let load = &outcome.meta.load;
        assert_eq!((load.shard_index, load.shard_of), (Some(index), Some(3)));
        assert_eq!(load.rate_target, 6_667.0);
        let recording = Recording::read(&outcome.dir).unwrap();
        let clock = recording.meta.clock;
        let first = recording
            .series(RESPONSE)
            .next()
            .unwrap()
            .start_monotonic_ns;
        assert_eq!(
            first - clock.monotonic_ns + clock.unix_ns,
            start_at + load.warmup_ns
        );
    }
    assert_eq!(offered, 20_001);
}

#[test]
fn a_start_that_the_run_is_not_ready_for_is_missed_with_a_reason() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let mut plan = plan(Service::Pool, dir.path());
    plan.window = 500_000;
    let since_1970 = std::time::UNIX_EPOCH.elapsed().unwrap();
    // Calibrating the clock alone takes longer than this.
    plan.start_at_unix_ns = Some(u64::try_from(since_1970.as_nanos()).unwrap() + 30_000_000);
    let missed = run(&plan, &AtomicBool::new(false), &mut |_| ()).unwrap_err();
    assert!(
        matches!(missed, LoadError::NotReadyInTime { .. }),
        "{missed}"
    );
    let meta = Recording::read(&plan.out_dir).unwrap().meta;
    assert_eq!(
        (meta.state, meta.state_reason),
        (State::Partial, Some(missed.to_string()))
    );
}
