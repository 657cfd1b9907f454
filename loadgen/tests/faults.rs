//! Faults on purpose: done in time, marked as they were, undone whatever happens.
//!
//! This program is its own helper, and the program that is killed in the middle of a fault: so it has a
//! `main` of its own.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use tailcut_loadgen::Nanos;
use tailcut_loadgen::scenario::Fault;
use tailcut_loadgen::scenario::fault::{
    FaultError, FaultTargets, Faults, HELPER_COMMAND, SetDelay, run_helper,
};
use tailcut_report::recording::Mark;

/// Becomes a program that does the fault of its second argument to the process of its third, for ever.
const VICTIM_COMMAND: &str = "do-fault";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(HELPER_COMMAND) => return run_helper(&arguments[1..]),
        Some(VICTIM_COMMAND) => return do_fault(&arguments[1..]),
        _ => {}
    }
    let tests: [(&str, fn()); 12] = [
        (
            "a_frozen_target_stands_still_for_as_long_as_was_asked_and_goes_on",
            frozen,
        ),
        ("a_freeze_ends_with_the_run", dropped),
        (
            "a_freeze_ends_with_a_panic_of_the_thread_that_made_it",
            panicked,
        ),
        ("a_target_goes_on_when_its_freezer_is_killed", killed),
        ("a_hog_burns_cpu_in_another_process", hog_cpu),
        ("a_hog_takes_memory_and_gives_it_back", hog_memory),
        ("a_hog_ends_when_its_starter_is_killed", hog_killed),
        (
            "more_memory_than_there_is_is_refused_before_the_run",
            too_much_memory,
        ),
        ("who_cannot_be_frozen_is_told_before_the_run", refused),
        ("a_process_of_another_user_is_refused_by_name", another_user),
        ("a_delay_is_set_in_time_and_taken_back", delayed),
        ("a_start_that_is_decided_late_is_waited_for", late_start),
    ];
    let trials = tests.map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok::<(), Failed>(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code()
}

fn do_fault(arguments: &[String]) -> ExitCode {
    let (Some(fault), Some(process)) = (arguments.first(), arguments.get(1)) else {
        return ExitCode::FAILURE;
    };
    let faults = Faults::start(
        &[fault.parse().expect("a fault")],
        &targets(process.parse().ok()),
        || Some(now()),
    );
    match faults {
        Ok(_faults) => {
            println!("ready");
            std::thread::sleep(Duration::from_secs(120));
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn now() -> Nanos {
    let time = nix::time::ClockId::CLOCK_MONOTONIC
        .now()
        .expect("it is there");
    Nanos(time.num_nanoseconds() as u64)
}

fn this_program() -> PathBuf {
    std::env::current_exe().expect("this program has a path")
}

fn targets(process: Option<u32>) -> FaultTargets {
    FaultTargets {
        processes: process.into_iter().collect(),
        proxy: None,
        helper: Some(this_program()),
    }
}

fn faults(texts: &[&str]) -> Vec<Fault> {
    texts
        .iter()
        .map(|text| text.parse().expect("a fault"))
        .collect()
}

/// Starts faults of a recording that begins now.
fn start(texts: &[&str], targets: &FaultTargets) -> Result<(Faults, Nanos), FaultError> {
    let begin = now();
    Faults::start(&faults(texts), targets, move || Some(begin)).map(|faults| (faults, begin))
}

/// A child that is ended with the test.
struct Running(Child);

impl Running {
    fn sleeper() -> Running {
        Running::of(Command::new("sleep").arg("120"))
    }

    fn of(command: &mut Command) -> Running {
        Running(command.spawn().expect("it can be started"))
    }

    /// A program that does `fault` to `process`, and has begun to wait for its end.
    fn doing(fault: &str, process: u32) -> Running {
        let mut running = Running::of(
            Command::new(this_program())
                .args([VICTIM_COMMAND, fault, &process.to_string()])
                .stdout(Stdio::piped()),
        );
        let output = running.0.stdout.take().expect("it is piped");
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line)
            .expect("it says something");
        assert_eq!(line, "ready\n");
        running
    }

    fn id(&self) -> u32 {
        self.0.id()
    }

    fn kill(&mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ends");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The letter of a process's state; `T` is stopped.
fn state(process: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

fn parent(process: &str) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

fn children(process: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("there is one").flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| parent(name) == Some(process))
        .filter_map(|name| name.parse().ok())
        .collect()
}

fn wait_for(what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits for so many marks.
fn marks(faults: &Faults, number: usize) -> Vec<Mark> {
    let found = Mutex::new(Vec::new());
    wait_for("marks", || {
        let mut found = found.lock().expect("nobody panicked");
        found.extend(faults.take_marks());
        found.len() >= number
    });
    found.into_inner().expect("nobody panicked")
}

fn frozen() {
    let target = Running::sleeper();
    let (faults, begin) =
        start(&["freeze@50ms+300ms"], &targets(Some(target.id()))).expect("it may");
    wait_for("the freeze", || state(target.id()) == Some('T'));
    let marks = marks(&faults, 1);
    wait_for("the thaw", || state(target.id()) == Some('S'));
    let mark = &marks[0];
    assert_eq!(mark.kind, "freeze");
    assert!(
        mark.detail.contains(&format!("process {}", target.id())),
        "{mark:?}"
    );
    // Never early; how late is this machine's business.
    assert!(mark.start_ns >= begin.0 + 50_000_000, "{mark:?}");
    let length = mark.end_ns - mark.start_ns;
    assert!((300_000_000..5_000_000_000).contains(&length), "{length}");
}

fn dropped() {
    let target = Running::sleeper();
    let (faults, _) = start(&["freeze@0s+100s"], &targets(Some(target.id()))).expect("it may");
    wait_for("the freeze", || state(target.id()) == Some('T'));
    assert!(faults.take_marks().is_empty(), "it is not over");
    let marks = faults.finish();
    assert_eq!(state(target.id()), Some('S'));
    assert_eq!(marks.len(), 1);
    assert!(marks[0].end_ns - marks[0].start_ns < 100_000_000_000);
}

/// Notes what it is told, and panics when told of a fault with jitter.
#[derive(Default)]
struct Proxy(Mutex<Vec<(u64, u64)>>);

impl SetDelay for Proxy {
    fn set_delay(&self, by: Nanos, jitter: Nanos) {
        assert!(by.0 != 13, "as was ordered");
        self.0
            .lock()
            .expect("nobody panicked")
            .push((by.0, jitter.0));
    }
}

fn panicked() {
    let target = Running::sleeper();
    let with_proxy = FaultTargets {
        proxy: Some(Arc::new(Proxy::default())),
        ..targets(Some(target.id()))
    };
    let texts = ["freeze@0s+100s", "delay=13ns@200ms+1s"];
    let (faults, _) = start(&texts, &with_proxy).expect("it may");
    wait_for("the freeze", || state(target.id()) == Some('T'));
    wait_for("the thaw", || state(target.id()) == Some('S'));
    drop(faults);
}

fn killed() {
    let target = Running::sleeper();
    let mut freezer = Running::doing("freeze@0s+100s", target.id());
    wait_for("the freeze", || state(target.id()) == Some('T'));
    freezer.kill();
    wait_for("the thaw", || state(target.id()) == Some('S'));
}

fn hog_cpu() {
    let used = || {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("it is known");
        usage.user_time().num_microseconds()
    };
    let before = used();
    let (faults, _) = start(&["hog-cpu=2@0s+500ms"], &targets(None)).expect("it may");
    let marks = marks(&faults, 1);
    assert_eq!(marks[0].kind, "hog_cpu");
    assert!(marks[0].detail.starts_with("2 threads"), "{marks:?}");
    // Ended and waited for, so its time is in ours. On an idle machine it is a whole second.
    assert!(used() - before > 50_000, "{} us", used() - before);
}

fn hog_memory() {
    let (faults, _) = start(&["hog-memory=96MiB@0s+1500ms"], &targets(None)).expect("it may");
    let marks = marks(&faults, 1);
    assert_eq!(marks[0].kind, "hog_memory");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("it is known");
    assert!(usage.max_rss() > 90 << 10, "{} KiB", usage.max_rss());
    drop(faults);
}

fn hog_killed() {
    let mut starter = Running::doing("hog-cpu=1@0s+100s", 0);
    let helpers = children(starter.id());
    assert_eq!(helpers.len(), 1);
    starter.kill();
    wait_for("the helper's end", || {
        matches!(state(helpers[0]), None | Some('Z' | 'X'))
    });
}

fn too_much_memory() {
    let error = start(&["hog-memory=900TiB@0s+1s"], &targets(None)).expect_err("nobody has it");
    assert!(matches!(error, FaultError::Memory { .. }));
    assert!(error.to_string().contains("are available"), "{error}");
}

fn refused() {
    let mut gone = Running::sleeper();
    gone.kill();
    let freeze = |targets: &FaultTargets| {
        start(&["freeze@0s+1s"], targets)
            .expect_err("it cannot")
            .to_string()
    };
    let said = freeze(&targets(Some(gone.id())));
    assert!(
        said.contains(&format!("there is no process {}", gone.id())),
        "{said}"
    );
    assert!(freeze(&targets(Some(u32::MAX))).contains("there is no process"));
    assert!(freeze(&targets(None)).contains("watch the target's process id"));
    assert!(freeze(&targets(Some(std::process::id()))).contains("this process itself"));
    assert!(freeze(&targets(Some(1))).contains("first process"));

    let hog = |helper: Option<PathBuf>| {
        let targets = FaultTargets {
            helper,
            ..targets(None)
        };
        start(&["hog-cpu=1@0s+1s"], &targets).expect_err("nobody does it")
    };
    assert!(matches!(hog(None), FaultError::NoHelper(_)));
    // A program that is no helper, and one that is not there.
    for program in ["/bin/true", "/bin/echo", "/nowhere"] {
        assert!(
            matches!(hog(Some(program.into())), FaultError::Helper { .. }),
            "{program}"
        );
    }
    let error = start(&["delay=1ms@0s+1s"], &targets(None)).expect_err("there is no proxy");
    assert!(matches!(error, FaultError::NoProxy(_)));
}

fn another_user() {
    if !nix::unistd::geteuid().is_root() {
        // Only root can have processes of two users.
        return;
    }
    // What a stranger may not read they cannot run either.
    let dir = tempfile::tempdir().expect("a temporary folder");
    let program = dir.path().join("program");
    std::fs::copy(this_program(), &program).expect("it can be copied");
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(dir.path(), readable).expect("it is ours");
    let target = Running::sleeper();
    let stranger = Command::new(&program)
        .args([VICTIM_COMMAND, "freeze@0s+1s", &target.id().to_string()])
        .uid(65_534)
        .gid(65_534)
        .output()
        .expect("it can be started");
    let said = String::from_utf8_lossy(&stranger.stdout).into_owned();
    let expected = format!("process {} may not be stopped: ", target.id());
    assert!(
        said.contains(&expected) && said.contains("as root"),
        "{said}"
    );
    assert_eq!(state(target.id()), Some('S'));
}

fn delayed() {
    let proxy = Arc::new(Proxy::default());
    let with_proxy = FaultTargets {
        proxy: Some(Arc::clone(&proxy) as Arc<dyn SetDelay>),
        ..targets(None)
    };
    let texts = ["delay=5ms~2ms@1ms+50ms", "delay=7ms@100ms+100s"];
    let (faults, _) = start(&texts, &with_proxy).expect("it may");
    let told = || proxy.0.lock().expect("nobody panicked").clone();
    wait_for("the second", || told().len() == 3);
    let marks = faults.finish();
    let details: Vec<&str> = marks.iter().map(|mark| mark.detail.as_str()).collect();
    assert!(
        details[0].contains("5 ms and up to 2 ms more"),
        "{details:?}"
    );
    assert_eq!(
        told(),
        [(5_000_000, 2_000_000), (0, 0), (7_000_000, 0), (0, 0)]
    );
}

fn late_start() {
    let begin = Arc::new(AtomicU64::new(0));
    let asked = Arc::clone(&begin);
    let proxy = Arc::new(Proxy::default());
    let with_proxy = FaultTargets {
        proxy: Some(Arc::clone(&proxy) as Arc<dyn SetDelay>),
        ..targets(None)
    };
    let known = move || Some(Nanos(asked.load(Ordering::SeqCst))).filter(|begin| begin.0 > 0);
    let faults = Faults::start(&faults(&["delay=1ms@20ms+1ms"]), &with_proxy, known);
    let faults = faults.expect("it may");
    std::thread::sleep(Duration::from_millis(60));
    assert!(proxy.0.lock().expect("nobody panicked").is_empty());
    let start = now();
    begin.store(start.0, Ordering::SeqCst);
    let marks = marks(&faults, 1);
    assert!(marks[0].start_ns >= start.0 + 20_000_000);
}
