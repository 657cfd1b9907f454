//! What is said of a Go program's collector, beside what the program's own runtime says of the same run.
//!
//! Counts must be exact; times within what the probes themselves take. The Go program is
//! `programs/collected`, built by the `go` on the path: without one these tests say `SKIPPED`, or fail if
//! `TAILCUT_REQUIRE_GO=1`.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod common;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::{Seen, Talker};
use tailcut_probe::tick::SlowEvent;
use tailcut_probe::{Options, Session};
use tempfile::TempDir;

/// Two tests at one time would be each other's disturbance.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says aloud that a test cannot run, if so.
fn is_skipped() -> bool {
    if common::is_skipped() {
        return true;
    }
    let go = Command::new("go").arg("version").output();
    if go.is_ok_and(|output| output.status.success()) {
        return false;
    }
    assert!(
        std::env::var("TAILCUT_REQUIRE_GO").as_deref() != Ok("1"),
        "TAILCUT_REQUIRE_GO is set, but there is no go on the path"
    );
    common::skip_softly("there is no go on the path");
    true
}

/// How a program is built.
#[derive(Debug, Clone, Copy)]
struct Build {
    name: &'static str,
    flags: &'static [&'static str],
    cgo: bool,
}

const PLAIN: Build = Build {
    name: "plain",
    flags: &[],
    cgo: false,
};

const STRIPPED: Build = Build {
    name: "stripped",
    flags: &["-ldflags=-s -w"],
    cgo: false,
};

/// Builds the program, once for each way; gives its path.
fn built(build: Build) -> PathBuf {
    static DONE: Mutex<Vec<&str>> = Mutex::new(Vec::new());
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = cache.join(format!("collected-{}", build.name));
    if done.contains(&build.name) {
        return path;
    }
    done.push(build.name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/collected");
    let output = Command::new("go")
        .args(["build", "-o"])
        .arg(&path)
        .args(build.flags)
        .arg("main.go")
        .args(build.cgo.then_some("cgo.go"))
        .current_dir(source)
        .env("GOFLAGS", "-mod=mod")
        .env("GOTOOLCHAIN", "local")
        .env("GOPROXY", "off")
        .env("GO111MODULE", "off")
        .env("CGO_ENABLED", if build.cgo { "1" } else { "0" })
        .env("GOCACHE", cache.join("go-cache"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    path
}

/// The Go program, ready to go.
struct Collected {
    talker: Talker,
    stripped: bool,
    folder: TempDir,
}

/// What the runtime counted.
#[derive(Debug, Clone, Copy)]
struct Account {
    collections: u64,
    pauses_ns: u64,
    mallocs: u64,
    latencies: u64,
    stops: u64,
}

/// A line of `GODEBUG=gctrace=1`, in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Traced {
    sweep_termination_ns: f64,
    mark_ns: f64,
    mark_termination_ns: f64,
    assists_ns: f64,
    workers_ns: f64,
}

impl Collected {
    fn start(build: Build) -> Collected {
        Collected::start_with(build, 2)
    }

    fn start_with(build: Build, processors: u32) -> Collected {
        let folder = tempfile::tempdir().unwrap();
        let trace = File::create(folder.path().join("trace")).unwrap();
        let mut command = Command::new(built(build));
        command
            .env("GODEBUG", "gctrace=1")
            .env("GOMAXPROCS", processors.to_string())
            .stderr(Stdio::from(trace));
        let mut talker = Talker::start(&mut command);
        assert_eq!(talker.line().as_deref(), Some("ready"));
        Collected {
            talker,
            stripped: build.flags.iter().any(|flag| flag.contains("-s -w")),
            folder,
        }
    }

    fn attach(&self, series: &str) -> Session {
        let options = Options {
            series: series.parse().unwrap(),
            // No budget is used up.
            budget: 1e6,
            interval: Duration::from_millis(200),
            ..Options::default()
        };
        let mut session = Session::attach(self.talker.pid(), options).unwrap();
        // Without symbols nobody knows where the runtime keeps its own histograms; all else is there.
        let mut left_out = session.left_out().to_vec();
        left_out.retain(|text| !(self.stripped && text.contains("without symbols")));
        assert_eq!(left_out, &[] as &[String]);
        for _ in 0..2 {
            session.next(&AtomicBool::new(false)).unwrap().unwrap();
        }
        session
    }

    /// Lets it work under a session; gives the runtime's account, too.
    fn work(&mut self, session: &mut Session, what: &str) -> (Seen, Account) {
        let talker = &mut self.talker;
        common::watch(session, || account(talker, what))
    }

    /// What the runtime said of its collections, as far as it has been written.
    fn traced(&self) -> Vec<Traced> {
        let text = std::fs::read_to_string(self.folder.path().join("trace")).unwrap();
        text.lines().filter_map(Traced::parse).collect()
    }
}

fn account(talker: &mut Talker, what: &str) -> Account {
    talker.send(what);
    let line = talker.line().expect("the program died while it was traced");
    let numbers: Vec<u64> = line.split(' ').map(|word| word.parse().unwrap()).collect();
    Account {
        collections: numbers[0],
        pauses_ns: numbers[1],
        mallocs: numbers[2],
        latencies: numbers[3],
        stops: numbers[4],
    }
}

impl Traced {
    /// `gc 3 @0.1s 2%: 0.01+0.6+0.02 ms clock, 0.02+0.3/0.4/0+0.04 ms cpu, ...`.
    fn parse(line: &str) -> Option<Traced> {
        let (_, rest) = line.strip_prefix("gc ")?.split_once("%: ")?;
        let (clock, rest) = rest.split_once(" ms clock, ")?;
        let (cpu, _) = rest.split_once(" ms cpu")?;
        let numbers = |text: &str| -> Vec<f64> {
            text.split(['+', '/'])
                .map(|number| number.parse::<f64>().unwrap() * 1e6)
                .collect()
        };
        let (clock, cpu) = (numbers(clock), numbers(cpu));
        Some(Traced {
            sweep_termination_ns: clock[0],
            mark_ns: clock[1],
            mark_termination_ns: clock[2],
            assists_ns: cpu[1],
            workers_ns: cpu[2],
        })
    }

    fn sum(all: &[Traced], of: impl Fn(&Traced) -> f64) -> f64 {
        all.iter().map(of).sum()
    }
}

#[track_caller]
fn assert_near(what: &str, ours: f64, theirs: f64, share: f64, each_ns: f64) {
    println!(
        "{what}: {ours:.0} ns, the runtime says {theirs:.0} ns ({:+.1}%)",
        100.0 * (ours / theirs - 1.0)
    );
    assert!(
        (ours - theirs).abs() <= theirs * share + each_ns,
        "{what}: {ours} ns, the runtime says {theirs} ns"
    );
}

#[test]
fn collections_are_counted_exactly_and_their_pauses_add_up_to_the_runtimes_own() {
    if is_skipped() {
        return;
    }
    let _alone = alone();
    common::within_five_attempts(|| {
        let mut program = Collected::start(PLAIN);
        let before = account(&mut program.talker, "total");
        let traced_before = program.traced().len();
        let mut session = program.attach("gc");
        let (seen, _) = program.work(&mut session, "storm 1500 60");
        let after = account(&mut program.talker, "total");
        let collections = after.collections - before.collections;
        let pauses_ns = after.pauses_ns - before.pauses_ns;
        let traced = program.traced().split_off(traced_before);
        assert!(collections >= 5, "{collections}");
        assert_eq!(traced.len() as u64, collections);
        let of = |name: &str| seen.sums(name);
        assert_eq!(of("gc_cycle").events, collections);
        assert_eq!(of("gc_stw_sweep_termination").events, collections);
        assert_eq!(of("gc_stw_mark_termination").events, collections);
        for (name, of_trace) in [
            (
                "gc_stw_sweep_termination",
                Traced::sum(&traced, |one| one.sweep_termination_ns),
            ),
            (
                "gc_stw_mark_termination",
                Traced::sum(&traced, |one| one.mark_termination_ns),
            ),
        ] {
            println!("{name}: {} ns, gctrace {of_trace:.0} ns", of(name).total);
        }
        let pauses = of("gc_stw_sweep_termination").total + of("gc_stw_mark_termination").total;
        assert_near("pauses", pauses as f64, pauses_ns as f64, 0.05, 0.0);
        let cycles = Traced::sum(&traced, |one| {
            one.sweep_termination_ns + one.mark_ns + one.mark_termination_ns
        });
        assert_near("cycles", of("gc_cycle").total as f64, cycles, 0.05, 0.0);
        // Two calls of ReadMemStats, and whatever else looked.
        assert!(of("gc_stw_other").events >= 1);
    });
}

#[test]
fn the_time_in_assists_is_that_of_the_runtimes_own_trace() {
    if is_skipped() {
        return;
    }
    let _alone = alone();
    common::within_five_attempts(|| {
        let mut program = Collected::start(PLAIN);
        let mut session = program.attach("gc,gc-detail");
        let before = program.traced().len();
        let (seen, _) = program.work(&mut session, "storm 1500 60");
        let traced = program.traced().split_off(before);
        let work = seen.sums("gc_assist_work");
        let assists = seen.sums("gc_assist");
        assert!(work.events > 100, "{work:?}");
        let theirs = Traced::sum(&traced, |one| one.assists_ns);
        assert_near("assists", work.total as f64, theirs, 0.1, 0.0);
        // With waiting for credit they take longer than the work in them.
        assert!(assists.events >= work.events / 2 && assists.total > work.total / 2);
        // Nearly all of it is listed one by one, with the goroutine that it was.
        let listed = seen.events().filter(|event| event.name == "gc_assist");
        let listed_ns: u64 = listed.map(SlowEvent::length_ns).sum();
        assert!(
            listed_ns * 10 >= assists.total * 9,
            "{listed_ns} of {} ns are listed",
            assists.total
        );
        let mut by = seen
            .events()
            .filter(|event| event.name == "gc_assist")
            .map(|event| event.by.as_deref().unwrap_or_default());
        assert!(by.all(|by| by.starts_with("goroutine ")));
    });
}

#[test]
fn marking_in_the_background_is_that_of_the_runtimes_own_trace_and_stops_who_has_one_processor() {
    if is_skipped() {
        return;
    }
    let _alone = alone();
    for processors in [1, 2] {
        common::within_five_attempts(|| {
            let mut program = Collected::start_with(PLAIN, processors);
            let mut session = program.attach("gc");
            let before = program.traced().len();
            let (seen, _) = program.work(&mut session, "storm 1500 60");
            let traced = program.traced().split_off(before);
            let workers = seen.sums("gc_worker");
            // Marking of processors that nobody wanted is neither in ours nor in theirs.
            let theirs = Traced::sum(&traced, |one| one.workers_ns);
            let what = format!("workers, {processors} processors");
            assert_near(&what, workers.total as f64, theirs, 0.1, 0.0);
            let mut of_all = seen.ticks.iter().flat_map(|tick| &tick.series);
            let series = of_all.find(|one| one.name == "gc_worker").unwrap();
            assert_eq!(series.series.process_wide, processors == 1);
        });
    }
}

#[test]
fn other_stops_of_the_world_are_told_apart_from_the_collectors() {
    if is_skipped() {
        return;
    }
    let _alone = alone();
    let mut program = Collected::start(PLAIN);
    let mut session = program.attach("gc");
    let (seen, account) = program.work(&mut session, "read 500");
    // One more when the account is made.
    let others = seen.sums("gc_stw_other").events;
    assert!((500..=502).contains(&others), "{others}");
    assert_eq!(seen.sums("gc_cycle").events, account.collections);
}

#[test]
fn the_runtimes_own_histograms_are_those_of_runtime_metrics() {
    if is_skipped() {
        return;
    }
    let _alone = alone();
    let mut program = Collected::start(PLAIN);
    let before = account(&mut program.talker, "total");
    let mut session = program.attach("gc");
    let (seen, work) = program.work(&mut session, "storm 700 30");
    let after = account(&mut program.talker, "total");
    // The two ask at other moments than the session reads.
    let near = |ours: u64, theirs: u64| ours.abs_diff(theirs) <= 20 + theirs / 20;
    let latencies = seen.sums("go_scheduler_latency").events;
    let theirs = after.latencies - before.latencies;
    assert!(
        theirs > 100 && near(latencies, theirs),
        "{latencies} of {theirs}"
    );
    let stops = seen.sums("go_runtime_gc_pauses");
    assert_eq!(stops.events, after.stops - before.stops, "{work:?}");
    // Buckets are up to a quarter wide.
    let times = (
        stops.total as f64,
        (after.pauses_ns - before.pauses_ns) as f64,
    );
    assert!((0.6..1.6).contains(&(times.0 / times.1)), "{times:?}");
}

#[test]
fn allocations_are_counted_with_their_types() {
    if is_skipped() {
        return;
    }
    let _alone = alone();
    let mut program = Collected::start(PLAIN);
    let mut session = program.attach("go-alloc");
    let (seen, account) = program.work(&mut session, "allocate 20000");
    let calls = seen.sums("go_alloc").events;
    assert!(account.mallocs >= 20_000);
    // Tiny objects share one allocation, which the runtime counts each.
    let near = calls.abs_diff(account.mallocs);
    assert!(near <= account.mallocs / 100 + 50, "{calls} of {account:?}");
    let last = seen.ticks.last().unwrap();
    let orders = last
        .call_sites
        .iter()
        .find(|site| site.symbol.contains("main.order"))
        .unwrap_or_else(|| panic!("no orders among {:?}", last.call_sites));
    assert!((20_000..20_100).contains(&orders.calls), "{orders:?}");
    assert_eq!(orders.bytes / orders.calls, 200);
    let sizes = session.sizes().unwrap();
    let (_, sizes) = sizes.iter().find(|(name, _)| name == "go_alloc").unwrap();
    assert!(sizes[7] >= 20_000, "{sizes:?}");
}

/// A probe that took a moving stack for one that stays would kill it.
fn survives(build: Build, series: &str) {
    let mut program = Collected::start(build);
    let mut session = program.attach(series);
    let (seen, _) = program.work(&mut session, "deep 1500 2000");
    assert!(seen.ticks.iter().all(|tick| !tick.ended));
    drop(session);
    // Nor does it die of what was left behind.
    account(&mut program.talker, "deep 200 500");
}

#[test]
fn deep_recursion_on_thousands_of_goroutines_survives_tracing() {
    if is_skipped() {
        return;
    }
    let _alone = alone();
    survives(PLAIN, "default,gc-detail,go-alloc");
}

#[test]
fn stripped_static_position_independent_and_cgo_builds_are_counted_alike() {
    if is_skipped() {
        return;
    }
    let _alone = alone();
    let builds = [
        STRIPPED,
        Build {
            name: "pie",
            flags: &["-buildmode=pie"],
            cgo: false,
        },
        Build {
            name: "cgo",
            flags: &[],
            cgo: true,
        },
        Build {
            name: "static-cgo",
            flags: &["-ldflags=-linkmode=external -extldflags=-static"],
            cgo: true,
        },
    ];
    for build in builds {
        let mut program = Collected::start(build);
        let mut session = program.attach("gc");
        let (seen, account) = program.work(&mut session, "gc 25");
        assert_eq!(account.collections, 25, "{build:?}");
        assert_eq!(seen.sums("gc_cycle").events, 25, "{build:?}");
        drop(session);
        survives(build, "gc,gc-detail");
    }
}

#[test]
fn a_slow_assist_has_the_stack_of_who_allocated_also_in_a_stripped_program() {
    if is_skipped() {
        return;
    }
    let _alone = alone();
    for build in [PLAIN, STRIPPED] {
        let program = Collected::start(build);
        let options = Options {
            series: "gc".parse().unwrap(),
            stacks: true,
            budget: 1e6,
            interval: Duration::from_millis(200),
            ..Options::default()
        };
        let mut session = Session::attach(program.talker.pid(), options).unwrap();
        let mut talker = program.talker;
        let (seen, _) = common::watch(&mut session, || account(&mut talker, "storm 700 30"));
        let table = session.take_stacks();
        let of_assists: Vec<String> = seen
            .events()
            .filter(|event| event.name == "gc_assist")
            .filter_map(|event| event.stack)
            .filter_map(|id| table.stacks.iter().find(|stack| stack.id == id))
            .map(|stack| {
                let names = stack.frames.iter().map(|frame| frame.name.as_str());
                names.collect::<Vec<_>>().join(" < ")
            })
            .collect();
        assert!(of_assists.len() >= 5, "{of_assists:?}");
        let whole = of_assists.iter().filter(|names| {
            let named = names.starts_with("runtime.mallocgc < runtime.");
            named && names.contains(" < main.storm")
        });
        // A copy that ends in the middle of a frame is honest, but rare.
        assert!(
            whole.count() * 10 >= of_assists.len() * 9,
            "{build:?}: {of_assists:#?}"
        );
    }
}

#[test]
fn a_program_that_is_not_of_go_has_no_such_series_and_hears_nothing_of_them() {
    if is_skipped() {
        return;
    }
    let _alone = alone();
    let mut sleep = Command::new("sleep").arg("60").spawn().unwrap();
    let options = Options {
        series: "default,gc-detail,go-alloc".parse().unwrap(),
        interval: Duration::from_millis(100),
        ..Options::default()
    };
    let mut session = Session::attach(sleep.id(), options).unwrap();
    let tick = session.next(&AtomicBool::new(false)).unwrap().unwrap();
    let names: Vec<&str> = tick.series.iter().map(|one| one.name.as_str()).collect();
    let of_go = |text: &str| text.contains("gc_") || text.contains("go_") || text.contains("Go");
    assert!(!names.iter().any(|name| of_go(name)), "{names:?}");
    let left_out = session.left_out();
    assert!(!left_out.iter().any(|text| of_go(text)), "{left_out:?}");
    sleep.kill().unwrap();
    sleep.wait().unwrap();
}

#[test]
fn a_program_that_ends_while_it_is_attached_to_is_an_error_or_an_end_and_no_panic() {
    if is_skipped() {
        return;
    }
    let _alone = alone();
    for wait_us in [0, 2_000, 20_000, 60_000] {
        let program = Collected::start(PLAIN);
        let pid = program.talker.pid();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(wait_us));
            drop(program);
        });
        let options = Options {
            series: "gc,go-alloc".parse().unwrap(),
            ..Options::default()
        };
        match Session::attach(pid, options) {
            Ok(mut session) => {
                killer.join().unwrap();
                let tick = session.next(&AtomicBool::new(false)).unwrap().unwrap();
                assert!(tick.ended);
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains(&pid.to_string()), "{text}");
                killer.join().unwrap();
            }
        }
    }
}
