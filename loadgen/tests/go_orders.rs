//! The order service in Go (`examples/go-orders`) against the one in Rust: same orders, same results.
//!
//! Needs a Go toolchain of 1.19 or newer on the `PATH`. Without one the tests are skipped, aloud; with
//! `TAILCUT_REQUIRE_GO=1` that is a failure.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::Value;
use tailcut_loadgen::order::generate::Corpus;
use tailcut_loadgen::order::reply::REPLY;
use tailcut_loadgen::order::rules::ACCOUNTS;
use tailcut_loadgen::order::wire::{Item, MAX_ORDER, encode};
use tailcut_loadgen::scenario::WarmUp;
use tailcut_loadgen::serve::{ServeOptions, serve};
use tailcut_loadgen::{Nanos, Rate, RunPlan, Service, run};

const FORMS: [&str; 3] = ["heap", "sync-pool", "free-list"];

/// The first release that the service is written for.
const OLDEST: (u32, u32) = (1, 19);

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/go-orders")
}

/// A command of the toolchain that asks no network, and keeps what it builds in the target folder.
fn go(arguments: &[&str]) -> Command {
    let mut command = Command::new("go");
    command
        .args(arguments)
        .current_dir(sources())
        .env(
            "GOCACHE",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-cache"),
        )
        .envs([
            ("GOFLAGS", "-mod=mod"),
            ("GOTOOLCHAIN", "local"),
            ("GOPROXY", "off"),
            ("CGO_ENABLED", "0"), // no C compiler is asked for
        ]);
    command
}

/// What is missing, if there is no Go that could build the service.
fn toolchain() -> Result<(), String> {
    let output = go(&["env", "GOVERSION"])
        .output()
        .map_err(|cause| format!("`go` cannot be started: {cause}"))?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut numbers = version.trim_start_matches("go").split('.');
    let mut number = || numbers.next().and_then(|text| text.parse::<u32>().ok());
    let found = (number().unwrap_or(0), number().unwrap_or(0));
    if found < OLDEST {
        return Err(format!(
            "Go {version} is too old: {}.{} is needed",
            OLDEST.0, OLDEST.1
        ));
    }
    Ok(())
}

/// The program, built once; `None` without a toolchain.
fn program() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        if let Err(missing) = toolchain() {
            let required = std::env::var("TAILCUT_REQUIRE_GO").is_ok_and(|value| value == "1");
            assert!(
                !required,
                "{missing}; TAILCUT_REQUIRE_GO=1 forbids to skip this"
            );
            eprintln!("SKIPPED: {missing}");
            return None;
        }
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-orders");
        let output = go(&["build", "-buildvcs=false", "-o"])
            .arg(&path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        Some(path)
    });
    built.as_deref()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn output<S: AsRef<OsStr>>(program: &Path, arguments: &[S]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}

/// The lines that a run within the Go process prints.
fn in_process(program: &Path, arguments: &str) -> Vec<Value> {
    let words: Vec<&str> = std::iter::once("in-process")
        .chain(arguments.split(' '))
        .collect();
    let output = output(program, &words);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn its_results_are_those_of_the_rust_service_for_the_same_seed_and_window() {
    let Some(program) = program() else { return };
    let dir = tempfile::tempdir().unwrap();
    for (seed, window) in [(1, 2_000), (77, 501)] {
        let plan = RunPlan {
            rate: Rate::per_second(20_000).unwrap(),
            duration: Nanos::from_millis(100),
            warmup: WarmUp::Fixed(Nanos::from_millis(10)),
            window,
            workers: 1,
            pin: false,
            seed,
            ..RunPlan::new(Service::Heap, dir.path().join(format!("recording-{seed}")))
        };
        let outcome = run(&plan, &AtomicBool::new(false), &mut |_| ()).unwrap();
        let expected = outcome.meta.result.unwrap().checksum;
        assert_eq!(expected.len(), 16);
        for form in FORMS {
            let lines = in_process(
                program,
                &format!(
                    "--form {form} --rate 20000 --seconds 0.1 --warmup 0.01 --window {window} --seed {seed}"
                ),
            );
            assert_eq!(
                lines.last().unwrap()["checksum"],
                expected,
                "form {form}, seed {seed}"
            );
        }
    }
}

/// A serving process, ended with the test.
struct Serving {
    process: Child,
    lines: BufReader<ChildStdout>,
    tcp: SocketAddr,
}

impl Serving {
    fn start(program: &Path, form: &str, window: u64) -> Serving {
        let window = window.to_string();
        let mut process = Command::new(program)
            .args(["serve", "--tcp", "0", "--form", form, "--window", &window])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        let first: Value = serde_json::from_str(&first).unwrap();
        assert_eq!(first["kind"], "serving");
        let tcp = first["tcp"].as_str().unwrap().parse().unwrap();
        assert_eq!(first["urls"][0], format!("tcp://{tcp}"));
        Serving {
            process,
            lines,
            tcp,
        }
    }

    /// Ends it as a user would, and gives its last line.
    fn stop(mut self) -> Value {
        let process = nix::unistd::Pid::from_raw(i32::try_from(self.process.id()).unwrap());
        nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGTERM).unwrap();
        let mut last = String::new();
        self.lines.read_line(&mut last).unwrap();
        assert!(self.process.wait().unwrap().success());
        serde_json::from_str(&last).unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends everything in one go, and gives all that is answered until the server closes.
fn answers(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut writer = stream.try_clone().unwrap();
    let mut answers = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // Whoever is hung up on cannot send the rest.
            let _ = writer.write_all(bytes);
            let _ = writer.shutdown(Shutdown::Write);
        });
        stream.read_to_end(&mut answers).unwrap();
    });
    answers
}

/// Orders of all kinds: good ones, one account's until it is refused, an account that nobody knows, a
/// price of nothing, bytes that are no order, and one that is too long to be any.
fn orders_of_all_kinds() -> (Vec<u8>, usize) {
    let corpus = Corpus::generate(5);
    let mut bytes = Vec::new();
    let mut sent = 0;
    for n in 0..400 {
        bytes.extend_from_slice(corpus.request(n));
        bytes.extend_from_slice(corpus.request(5));
        sent += 2;
    }
    let item = |price_cents, quantity| Item {
        sku: 3,
        quantity,
        price_cents,
    };
    encode(&mut bytes, 1, ACCOUNTS, &[item(5, 1)], &[]).unwrap();
    encode(&mut bytes, 2, 0, &[item(0, 1)], &[]).unwrap();
    encode(&mut bytes, 3, 0, &[item(5, 100_001)], &[("note", "é")]).unwrap();
    let mut no_items = corpus.request(8).to_vec();
    no_items[3] = 0;
    bytes.extend_from_slice(&no_items);
    let mut endless = corpus.request(9).to_vec();
    endless.resize(MAX_ORDER + 5_000, 0xee);
    let length = u16::try_from(endless.len()).unwrap();
    endless[..2].copy_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&endless);
    bytes.extend_from_slice(corpus.request(10));
    (bytes, sent + 6)
}

#[test]
fn its_answers_over_tcp_are_those_of_the_rust_server() {
    const WINDOW: u64 = 150;
    let Some(program) = program() else { return };
    let (bytes, orders) = orders_of_all_kinds();

    let options = ServeOptions {
        tcp: Some(ServeOptions::ANY_LOCAL_PORT),
        window: WINDOW,
        ..ServeOptions::new(Service::Heap)
    };
    let stop = Arc::new(AtomicBool::new(false));
    let (ready, address) = channel();
    let server = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || serve(&options, |found| ready.send(found.tcp).unwrap(), &stop)
    });
    let expected = answers(address.recv().unwrap().unwrap(), &bytes);
    stop.store(true, Ordering::Relaxed);
    let outcome = server.join().unwrap().unwrap();
    assert_eq!(expected.len(), orders * REPLY);
    assert!(outcome.counts.refused > 3 && outcome.counts.malformed == 2);

    for form in FORMS {
        let serving = Serving::start(program, form, WINDOW);
        assert!(answers(serving.tcp, &bytes) == expected, "form {form}");
        // Another protocol is hung up on.
        assert_eq!(answers(serving.tcp, b"GET / HTTP/1.1\r\n\r\n"), b"");
        let last = serving.stop();
        assert_eq!(last["orders"], outcome.counts.orders, "form {form}");
        assert_eq!(last["refused"], outcome.counts.refused, "form {form}");
        assert_eq!(last["malformed"], outcome.counts.malformed, "form {form}");
        assert_eq!(
            last["settled_windows"], outcome.settled_windows,
            "form {form}"
        );
    }
}

#[test]
fn bad_arguments_are_refused_with_exit_status_2_and_a_message() {
    let Some(program) = program() else { return };
    for (arguments, says) in [
        (&["in-process", "--form", "slab"][..], "slab"),
        (&["in-process", "--form", "heap", "--rate", "0"], "rate"),
        (
            &["serve", "--form", "heap", "--tcp", "0.0.0.0:0"],
            "allow-remote",
        ),
        (&["stress", "--depth", "deep"], "deep"),
        (&["work"], "in-process"),
    ] {
        let refused = output(program, arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        let message = text(&refused.stderr);
        assert!(message.contains(says), "{arguments:?}: {message}");
        assert!(refused.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn it_passes_its_own_tests_and_is_formatted_and_vetted() {
    if program().is_none() {
        return;
    }
    for arguments in [&["vet", "./..."][..], &["test", "-buildvcs=false", "./..."]] {
        let output = go(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "go {arguments:?}\n{}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
    }
    let Ok(unformatted) = Command::new("gofmt")
        .args(["-l", "."])
        .current_dir(sources())
        .output()
    else {
        eprintln!("SKIPPED: gofmt is not installed");
        return;
    };
    assert_eq!(text(&unformatted.stdout), "", "not formatted by gofmt");
}
