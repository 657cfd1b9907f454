//! Whole runs on the real clock. Nothing is asserted about how fast anything was.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tailcut_loadgen::{
    Form, LoadError, Nanos, Rate, RunOutcome, RunPlan, Service, available_cpus, run,
};
use tailcut_report::recording::{RESPONSE, Recording, RecordingError, SERVICE, State};

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
        warmup: Nanos::from_millis(100),
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
    assert_eq!(checksum(Service::HeapPreshaped, Form::Inline, 1), expected);
    assert_eq!(checksum(Service::Pool, Form::Inline, 1), expected);
    if available_cpus() >= 2 {
        assert_eq!(checksum(Service::Heap, Form::Handoff, 2), expected);
        assert_eq!(checksum(Service::Pool, Form::Handoff, 2), expected);
        assert_eq!(checksum(Service::HeapPreshaped, Form::Handoff, 2), expected);
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
