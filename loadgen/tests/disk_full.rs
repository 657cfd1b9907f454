//! A file size limit stands in for a full disk: writes fail half-way through the run.

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};
use std::sync::atomic::AtomicBool;
use tailcut_loadgen::{Nanos, Rate, RunPlan, Service, run};
use tailcut_report::recording::{RESPONSE, Recording, State};

#[test]
fn a_full_disk_ends_the_run_and_the_recording_says_why() {
    // SAFETY: ignoring a signal installs no handler; this is the only test of its process.
    unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }.unwrap();
    // Room for the metadata and for a few seconds of histograms, not for sixty.
    setrlimit(Resource::RLIMIT_FSIZE, 8 << 10, 8 << 10).unwrap();

    let dir = tempfile::tempdir().unwrap();
    let plan = RunPlan {
        rate: Rate::per_second(5_000).unwrap(),
        duration: Nanos::from_millis(60_000),
        warmup: Nanos(0),
        window: 1_000,
        workers: 1,
        ..RunPlan::new(Service::Noop, dir.path().join("recording"))
    };
    let outcome = run(&plan, &AtomicBool::new(false), &mut |_| ()).unwrap();

    let recording = Recording::read(&outcome.dir).unwrap();
    assert_eq!(recording.meta.state, State::Partial);
    let reason = recording.meta.state_reason.clone().unwrap();
    assert!(reason.contains("append to"), "{reason}");
    let result = recording.meta.result.clone().unwrap();
    assert!(result.offered < 5_000 * 60, "the run went on");
    // What was written before is whole.
    let written = recording.whole(RESPONSE).len();
    assert!(
        written > 0 && written < result.offered,
        "{written} of {}",
        result.offered
    );
}
