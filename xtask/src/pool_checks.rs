//! The pool's tests in other worlds: under models, under sanitizers, with other features, for other
//! platforms.
//!
//! What each can see:
//! - **loom**: every interleaving, and every reordering the memory model allows, of small models;
//! - **shuttle**: thousands of random interleavings of whole pools;
//! - **AddressSanitizer**: use after free and leaks, at native speed, both paths; an object's memory is
//!   mapped, not allocated, so the canaries of checked pools watch over that;
//! - **Valgrind**: uninitialised and freed memory, on the portable path alone: there are no
//!   restartable sequences under it, which is checked;
//! - **stress**: the machine as it is, for minutes.
//!
//! None needs a nightly compiler. AddressSanitizer's flag does by name, but its run-time library
//! comes with stable toolchains, which accept the flag when `RUSTC_BOOTSTRAP` is set.
//! ThreadSanitizer and Miri are not here: the one needs a standard library built for it, and
//! neither knows restartable sequences; loom checks the orders instead.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cargo;

const POOL: &str = "tailcut-pool";

/// Tests that make no sense under a sanitizer, and why.
const NOT_SANITIZED: [(&str, &str); 4] = [
    ("compile_fail", "runs the compiler"),
    (
        "memory",
        "limits the address space, of which the sanitizer takes terabytes",
    ),
    ("no_allocation", "counts the allocator's calls"),
    ("shuttle", "is a model"),
];

/// Tests that forget guards, leak pools to share them, or panic twice (the second panic's message is
/// forgotten). Leaks are looked for in all others.
const LEAK_ON_PURPOSE: [&str; 6] = [
    "fallback",
    "on_return",
    "owned",
    "reentrancy",
    "sizes",
    "waiting_async",
];

/// The loom models.
pub fn loom() -> Result<()> {
    model("loom", &["--lib"])
}

/// Whole pools under random schedules.
pub fn shuttle() -> Result<()> {
    model("shuttle", &["--test", "shuttle"])
}

/// Tests of the library as `--cfg NAME` makes it, in a folder of its own, so that it does not push
/// the usual build out of cargo's.
fn model(name: &str, tests: &[&str]) -> Result<()> {
    let mut command = cargo::command(&["test", "--release", "--package", POOL]);
    command
        .args(tests)
        .args(["--target-dir", &format!("target/{name}")]);
    command.env("RUSTFLAGS", format!("--cfg {name}"));
    // Optimised, since they run for long; what optimises across crates takes longer than it saves.
    command.env("CARGO_PROFILE_RELEASE_LTO", "off");
    command.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    command.env("CARGO_PROFILE_RELEASE_DEBUG", "false");
    cargo::run(command)
}

/// A long stress in the release build, both paths.
pub fn stress(millions: u64) -> Result<()> {
    let mut command = cargo::command(&["test", "--release", "--package", POOL]);
    command.args(["--test", "stress", "--", "--ignored", "--nocapture"]);
    command.env("TAILCUT_OPERATIONS", (millions * 1_000_000).to_string());
    cargo::run(command)
}

/// The library's unit and integration tests under AddressSanitizer.
pub fn address_sanitizer() -> Result<()> {
    let mut tests = integration_tests()?;
    for (name, why) in NOT_SANITIZED {
        eprintln!("without the test {name}, which {why}");
        tests.retain(|test| test != name);
    }
    let (leaking, others): (Vec<String>, Vec<String>) = tests
        .into_iter()
        .partition(|test| LEAK_ON_PURPOSE.contains(&test.as_str()));
    sanitized("detect_leaks=1", &["--lib"], &others)?;
    sanitized("detect_leaks=0", &[], &leaking)
}

fn sanitized(leaks: &str, targets: &[&str], tests: &[String]) -> Result<()> {
    let mut command = cargo::command(&["test", "--package", POOL, "--all-features"]);
    command.args(targets);
    command.args(tests.iter().flat_map(|test| ["--test", test]));
    // A target, so that the flag does not reach build scripts and procedural macros.
    command.args(["--target", &host()?, "--target-dir", "target/asan"]);
    command.env("RUSTC_BOOTSTRAP", "1");
    command.env("RUSTFLAGS", "-Zsanitizer=address");
    // Some tests ask for more memory than there is: refused, as by any allocator.
    command.env(
        "ASAN_OPTIONS",
        format!("allocator_may_return_null=1:{leaks}"),
    );
    cargo::run(command)
}

/// The stress in small, windows and waiting under Valgrind's memcheck.
pub fn valgrind() -> Result<()> {
    if !cargo::is_on_path("valgrind") {
        eprintln!("SKIPPED: valgrind is not installed (apt-get install valgrind)");
        return Ok(());
    }
    // Fair, since a thread of these tests may wait for another one in a loop.
    let memcheck = "valgrind --quiet --error-exitcode=99 --fair-sched=yes";
    let under_memcheck = |tests: &[&str], arguments: &[&str]| -> Result<Command> {
        let variable = host()?.to_uppercase().replace('-', "_");
        let mut command = cargo::command(&["test", "--package", POOL]);
        command.args(tests).arg("--").args(arguments);
        command.env(format!("CARGO_TARGET_{variable}_RUNNER"), memcheck);
        command.env("TAILCUT_OPERATIONS", "20000");
        Ok(command)
    };
    let one = ["--ignored", "--exact", "tells_its_path", "--nocapture"];
    let path = under_memcheck(&["--test", "fallback"], &one)?.output()?;
    let told = String::from_utf8_lossy(&path.stdout);
    ensure!(
        path.status.success() && told.contains("path: portable (the C library registers no"),
        "under valgrind the portable path is expected:\n{told}{}",
        String::from_utf8_lossy(&path.stderr)
    );
    eprintln!("under valgrind the pool takes its portable path, as it should");
    let tests = ["tokens", "windows", "waiting"];
    let tests: Vec<_> = tests.iter().flat_map(|test| ["--test", test]).collect();
    cargo::run(under_memcheck(&tests, &["--test-threads=1"])?)
}

/// The library without its features, with all of them, and with each alone.
pub fn features() -> Result<()> {
    let tests = ["test", "--package", POOL, "--lib", "--tests"];
    for features in ["--no-default-features", "--all-features"] {
        let mut command = cargo::command(&tests);
        command.arg(features);
        cargo::run(command)?;
    }
    cargo::run(cargo::command(&[
        "test",
        "--package",
        POOL,
        "--doc",
        "--all-features",
    ]))?;
    let package = package()?;
    let features = package["features"].as_object().into_iter().flatten();
    for (feature, _) in features.filter(|(feature, _)| *feature != "default") {
        let mut command = cargo::command(&["check", "--package", POOL, "--no-default-features"]);
        command.args(["--features", feature]);
        cargo::run(command)?;
    }
    Ok(())
}

/// Whether the library compiles for each other platform whose standard library is installed here
/// (`rustup target add` installs one); says so if there is none.
pub fn platforms() -> Result<()> {
    let listed = Command::new("rustup")
        .args(["target", "list", "--installed"])
        .output();
    let listed = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let (listed, host) = (listed.unwrap_or_default(), host()?);
    let others: Vec<_> = listed.lines().filter(|target| *target != host).collect();
    if others.is_empty() {
        eprintln!("SKIPPED: no other platform's standard library is installed (rustup target add)");
    }
    for target in others {
        let check = [
            "check",
            "--package",
            POOL,
            "--all-features",
            "--target",
            target,
        ];
        cargo::run(cargo::command(&check))?;
    }
    Ok(())
}

/// Whether the library's public interface, with all features, still has what it had at the commit
/// `baseline`.
pub fn semver(baseline: &str) -> Result<()> {
    if !cargo::is_on_path("cargo-semver-checks") {
        eprintln!("SKIPPED: not installed (cargo install --locked cargo-semver-checks)");
        return Ok(());
    }
    let check = ["semver-checks", "--package", POOL, "--all-features"];
    let mut command = cargo::command(&check);
    command.args(["--baseline-rev", baseline]);
    cargo::run(command)
}

/// What cargo knows of the library.
fn package() -> Result<serde_json::Value> {
    let output = cargo::command(&["metadata", "--no-deps", "--format-version=1"]).output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array();
    let found = packages.and_then(|all| all.iter().find(|package| package["name"] == POOL));
    found
        .cloned()
        .with_context(|| format!("cargo knows no package {POOL}"))
}

/// The names of the library's integration tests.
fn integration_tests() -> Result<Vec<String>> {
    let package = package()?;
    let targets = package["targets"].as_array().into_iter().flatten();
    let tests = targets.filter(|target| target["kind"][0] == "test");
    Ok(tests
        .filter_map(|target| target["name"].as_str().map(str::to_owned))
        .collect())
}

/// The platform that the compiler here builds for.
fn host() -> Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("cannot start rustc")?;
    let version = String::from_utf8(output.stdout)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}
