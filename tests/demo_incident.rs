//! `tailcut demo --incident go` as a user meets it: without Go, with a Go that fails, with a real one.
//!
//! Those that need a Go are skipped, aloud, where there is none; with `TAILCUT_REQUIRE_GO=1` that is a failure. Nothing is
//! asserted about how fast anything was.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The demo, in a folder of its own, with `go` found in `path` only where that is given.
fn demo(folder: &Path, path: Option<&Path>, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tailcut"));
    command
        .args(["demo", "--incident", "go"])
        .args(more)
        .current_dir(folder)
        // Compiled once for all tests, and not into anybody's own cache.
        .env(
            "GOCACHE",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("gocache"),
        );
    if let Some(path) = path {
        command.env("PATH", path);
    }
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether there is a Go to try the real thing with.
fn there_is_a_go() -> bool {
    let there = Command::new("go")
        .arg("version")
        .output()
        .is_ok_and(|output| output.status.success());
    assert!(
        there || std::env::var_os("TAILCUT_REQUIRE_GO").is_none(),
        "TAILCUT_REQUIRE_GO is set, and there is no Go on the PATH"
    );
    if !there {
        eprintln!("SKIPPED: there is no Go on the PATH");
    }
    there
}

/// A `go` that says it is of this version, and then does what the script says.
fn fake_go(folder: &Path, version: &str, script: &str) -> PathBuf {
    let bin = folder.join("bin");
    fs::create_dir(&bin).unwrap();
    let go = bin.join("go");
    let text =
        format!("#!/bin/sh\nif [ \"$1\" = env ]; then echo '{version}'; exit 0; fi\n{script}\n");
    fs::write(&go, text).unwrap();
    fs::set_permissions(&go, fs::Permissions::from_mode(0o755)).unwrap();
    bin
}

#[test]
fn without_go_it_names_what_to_install_and_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(folder.path(), Some(Path::new("/nonexistent")), &[])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    for way in ["golang-go", "dnf install golang", "go.dev", "sudo env"] {
        assert!(said.contains(way), "{said}");
    }
    assert!(output.stdout.is_empty());
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn a_go_that_is_too_old_is_refused_with_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let bin = fake_go(folder.path(), "go1.18.10", "exit 0");
    let output = demo(folder.path(), Some(&bin), &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains("1.19 or newer") && said.contains("go1.18.10"),
        "{said}"
    );
}

#[test]
fn a_build_that_fails_shows_what_the_compiler_says() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo './main.go:7:2: the compiler is unwell' >&2; exit 1";
    let bin = fake_go(folder.path(), "go1.19.8", script);
    let output = demo(folder.path(), Some(&bin), &["--json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("main.go:7:2: the compiler is unwell"),
        "{said}"
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn a_service_that_does_not_speak_as_it_should_is_an_error_and_no_hang() {
    let folder = tempfile::tempdir().unwrap();
    let script = "while [ \"$1\" != -o ]; do shift; done\n\
                  printf '#!/bin/sh\\necho nonsense\\nexec /bin/sleep 1000\\n' > \"$2\"; /bin/chmod +x \"$2\"";
    let bin = fake_go(folder.path(), "go1.19.8", script);
    let output = demo(folder.path(), Some(&bin), &["--rate", "10k"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("line 1 of what the program printed"),
        "{said}"
    );
}

#[test]
fn flags_that_make_no_sense_together_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (flags, reason) in [
        (&["--handoff"][..], "--handoff"),
        (&["--rate", "1000.5"], "whole number"),
        (&["--workers", "4096"], "4096"),
    ] {
        let output = demo(folder.path(), None, flags).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        let said = text(&output.stderr);
        assert!(said.contains(reason), "{said}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}

/// Runs of this length at a rate that a debug build holds beside other tests, recorded in `out`.
fn short(duration: &str) -> Vec<&str> {
    let words = "--rate 10k --window 1000 --allocator jemalloc --runs 2 --no-trace --json --out out --duration";
    words.split(' ').chain([duration]).collect()
}

#[test]
fn all_forms_are_measured_and_stand_side_by_side() {
    if !there_is_a_go() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output: Output = demo(folder.path(), None, &short("2s")).output().unwrap();
    // 4: something else took this machine's cores.
    assert!(
        matches!(output.status.code(), Some(0 | 4)),
        "{}",
        text(&output.stderr)
    );
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let forms = json["incident"]["forms"].as_array().unwrap();
    let names: Vec<&str> = forms
        .iter()
        .map(|form| form["variant"].as_str().unwrap())
        .collect();
    let expected = [
        "noop",
        "go_heap",
        "go_sync_pool",
        "go_free_list",
        "heap_jemalloc",
        "pool",
    ];
    assert_eq!(names, expected);
    let allocations = |form: usize| forms[form]["allocations_per_request"].as_f64().unwrap();
    assert!(allocations(1) > 1.0, "{}", allocations(1));
    assert!(allocations(3) < 0.01, "{}", allocations(3));
    for form in &forms[1..4] {
        assert!(form["cores_in_use"].as_f64().unwrap() > 0.0);
        assert!(form["peak_resident_bytes"].as_u64().unwrap() > 0);
        assert!(
            form["collector"]["runtime"]
                .as_str()
                .unwrap()
                .starts_with("go")
        );
    }
    assert_eq!(json["comparison"]["before"], "go_heap");
    assert_eq!(json["incident"]["rust_against_go"]["after"], "pool");
    let page = fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    assert!(page.contains("The forms side by side"));
    assert_eq!(
        json["alerts"].as_array().map(Vec::len),
        Some(0),
        "{}",
        json["alerts"]
    );
}

#[test]
fn a_service_that_is_killed_leaves_a_partial_recording_and_a_report() {
    if !there_is_a_go() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut demo = begun(folder.path());
    let service = service_of(&mut demo, folder.path());
    signal(service, "-KILL");
    let output = demo.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    assert!(
        said.contains("go_heap could not be recorded to its end"),
        "{said}"
    );
    assert!(state_of_the_first_run_in_go(folder.path()).contains("the program ended"));
    assert!(folder.path().join("out/report.html").is_file());
}

#[test]
fn an_interrupt_ends_the_service_and_reports_what_there_is() {
    if !there_is_a_go() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut demo = begun(folder.path());
    let service = service_of(&mut demo, folder.path());
    signal(demo.id(), "-INT");
    let output = demo.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(!Path::new(&format!("/proc/{service}")).exists());
    assert!(state_of_the_first_run_in_go(folder.path()).contains("interrupted"));
    assert!(folder.path().join("out/report.html").is_file());
}

fn begun(folder: &Path) -> Child {
    demo(folder, None, &short("5s"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The process that serves, as soon as its first second is recorded.
fn service_of(demo: &mut Child, folder: &Path) -> u32 {
    let until = Instant::now() + Duration::from_secs(240);
    let log = folder.join("out/01-go_heap-1/slow.jsonl");
    while fs::metadata(&log).map_or(0, |file| file.len()) == 0 {
        assert!(Instant::now() < until && demo.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(50));
    }
    let children = format!("/proc/{0}/task/{0}/children", demo.id());
    let children = fs::read_to_string(children).unwrap();
    children.split_whitespace().next().unwrap().parse().unwrap()
}

fn signal(process: u32, signal: &str) {
    let sent = Command::new("kill")
        .args([signal, &process.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// Why the recording of the heap form is partial.
fn state_of_the_first_run_in_go(folder: &Path) -> String {
    let meta = fs::read(folder.join("out/01-go_heap-1/meta.json")).unwrap();
    let meta: Value = serde_json::from_slice(&meta).unwrap();
    assert_eq!(meta["state"], "partial");
    meta["state_reason"].as_str().unwrap().to_owned()
}
