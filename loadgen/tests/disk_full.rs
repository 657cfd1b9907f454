//! A file size limit stands in for a full disk: writes fail half-way through the run.
//!
//! The limit holds for a whole process and for whatever file its output goes to, so the run has a
//! process of its own: this test program again, told by [`RECORD_INTO`] to record.

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use tailcut_loadgen::scenario::WarmUp;
use tailcut_loadgen::{LoadError, Nanos, Rate, RunPlan, Service, run};
use tailcut_report::recording::{RESPONSE, Recording, State};

const RECORD_INTO: &str = "TAILCUT_TEST_RECORD_INTO";
const RATE: u64 = 5_000;
const SECONDS: u64 = 60;

#[test]
fn a_full_disk_ends_the_run_and_the_recording_says_why() {
    if let Some(dir) = std::env::var_os(RECORD_INTO) {
        let recorded = record_with_little_room(Path::new(&dir));
        // Not by way of the test harness: its report might not fit, either.
        std::process::exit(i32::from(recorded.is_err()));
    }
    let dir = tempfile::tempdir().unwrap();
    let recording = dir.path().join("recording");
    let status = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_full_disk_ends_the_run_and_the_recording_says_why",
        ])
        .env(RECORD_INTO, &recording)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");

    let recording = Recording::read(&recording).unwrap();
    assert_eq!(recording.meta.state, State::Partial);
    let reason = recording.meta.state_reason.clone().unwrap();
    assert!(reason.contains("append to"), "{reason}");
    let result = recording.meta.result.clone().unwrap();
    assert!(result.offered < RATE * SECONDS, "the run went on");
    // What was written before is whole.
    let written = recording.whole(RESPONSE).len();
    assert!(
        written > 0 && written < result.offered,
        "{written} of {}",
        result.offered
    );
}

fn record_with_little_room(dir: &Path) -> Result<(), LoadError> {
    // SAFETY: ignoring a signal installs no handler; this process does nothing else.
    unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }.unwrap();
    // Room for the metadata and for a few seconds of histograms, not for sixty.
    setrlimit(Resource::RLIMIT_FSIZE, 8 << 10, 8 << 10).unwrap();
    let plan = RunPlan {
        rate: Rate::per_second(RATE).unwrap(),
        duration: Nanos(SECONDS * 1_000_000_000),
        warmup: WarmUp::Fixed(Nanos(0)),
        window: 1_000,
        workers: 1,
        ..RunPlan::new(Service::Noop, dir)
    };
    run(&plan, &AtomicBool::new(false), &mut |_| ()).map(drop)
}
