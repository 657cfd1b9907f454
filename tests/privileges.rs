//! What `tailcut record` may still do while it records, and what the program that it starts may do.

#![cfg(target_os = "linux")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const CAP_DAC_OVERRIDE: u64 = 1 << 1;
const CAP_NET_ADMIN: u64 = 1 << 12;
const CAP_SYS_MODULE: u64 = 1 << 16;
const CAP_PERFMON: u64 = 1 << 38;

fn is_skipped() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        assert!(
            std::env::var("TAILCUT_REQUIRE_BPF").as_deref() != Ok("1"),
            "TAILCUT_REQUIRE_BPF is set, but tracing takes root"
        );
        let message = b"SKIPPED: tracing takes root\n";
        std::io::stderr().write_all(message).unwrap();
    }
    !is_root
}

/// The effective capabilities of a process's first thread.
fn capabilities(status: &str) -> u64 {
    let line = status.lines().find(|line| line.starts_with("CapEff:"));
    u64::from_str_radix(line.unwrap()[7..].trim(), 16).unwrap()
}

fn of_process(pid: u32) -> u64 {
    capabilities(&std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap())
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(
            begin.elapsed() < Duration::from_secs(30),
            "{what} does not happen"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn record(out: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tailcut"));
    command.arg("record").arg("-o").arg(out);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::null());
    command
}

#[test]
fn a_tracer_keeps_no_capability_that_tracing_has_no_use_for() {
    if is_skipped() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("recording");
    let mut target = Command::new("sleep").arg("60").spawn().unwrap();
    let mut tracer = record(&out)
        .args(["-p", &target.id().to_string()])
        .spawn()
        .unwrap();
    wait_until("a recording", || out.join("meta.json").exists());
    let held = of_process(tracer.id());
    target.kill().unwrap();
    target.wait().unwrap();
    let ended = tracer.wait().unwrap();
    assert!(ended.success());
    let useless = CAP_DAC_OVERRIDE | CAP_NET_ADMIN | CAP_SYS_MODULE;
    assert_eq!(held & useless, 0, "{held:x}");
    assert_ne!(held & CAP_PERFMON, 0, "{held:x}");
}

#[test]
fn a_program_that_is_started_to_be_traced_keeps_what_it_was_given() {
    if is_skipped() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("status");
    let script = format!("cat /proc/self/status > {}", seen.display());
    let ended = record(&folder.path().join("recording"))
        .args(["--", "sh", "-c", &script])
        .status()
        .unwrap();
    assert!(ended.success());
    let program = capabilities(&std::fs::read_to_string(seen).unwrap());
    assert_eq!(program, of_process(std::process::id()));
}
