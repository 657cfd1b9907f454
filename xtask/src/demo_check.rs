//! Runs a short demo as a user would and checks what it prints and leaves behind: the JSON's
//! shape and inner consistency, the claim that the pool allocates nothing, the recordings, the
//! page. Never its absolute times: those are the machine's.

mod incident;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

const VARIANTS: [&str; 5] = [
    "noop",
    "heap_system",
    "heap_jemalloc",
    "heap_mimalloc",
    "pool",
];
const PERCENTILES: [&str; 5] = ["p50_ns", "p99_ns", "p999_ns", "p9999_ns", "max_ns"];
const RATE: f64 = 200_000.0;

/// Runs the demo in a temporary folder and checks it.
pub fn check() -> Result<()> {
    let program = crate::cargo::build_executable(&["--package", "tailcut", "--bin", "tailcut"])?;
    let folder = tempfile::tempdir()?;
    let (out, output) = run_demo(&program, folder.path())?;
    let printed: Value = serde_json::from_slice(&output.stdout)
        .context("standard output is not one JSON object and nothing else")?;
    check_json(&printed)?;
    check_folder(&out)?;
    check_refusals(&program, &out)?;
    incident::check(&program)?;
    println!("demo: JSON, recordings, page and refusals are as they should be");
    Ok(())
}

/// Runs the demo, again if the machine was too busy for even the no-op to keep this low rate.
fn run_demo(program: &Path, folder: &Path) -> Result<(PathBuf, Output)> {
    const SCHEDULE_MISSED: i32 = 4;
    const ATTEMPTS: u32 = 3;
    for attempt in 1..=ATTEMPTS {
        let out = folder.join(format!("demo-{attempt}"));
        let output = Command::new(program)
            .args([
                "demo",
                "--json",
                "--rate",
                "200k",
                "--duration",
                "2s",
                "--window",
                "20000",
                "--out",
            ])
            .arg(&out)
            .stderr(Stdio::inherit())
            .output()?;
        match output.status.code() {
            Some(0) => return Ok((out, output)),
            Some(SCHEDULE_MISSED) => eprintln!("attempt {attempt}: the machine was too busy"),
            _ => bail!("tailcut demo: {}", output.status),
        }
    }
    bail!("this machine did not keep 200k requests/s in {ATTEMPTS} attempts");
}

fn check_json(printed: &Value) -> Result<()> {
    ensure!(
        printed["rate_target"].as_f64() == Some(RATE),
        "rate_target is {}",
        printed["rate_target"]
    );
    ensure!(
        printed["cores"].as_u64() >= Some(1),
        "cores is {}",
        printed["cores"]
    );
    for name in VARIANTS {
        let variant = &printed["variants"][name];
        let number = |key: &str| {
            variant[key]
                .as_f64()
                .with_context(|| format!("{name}.{key} is {}", variant[key]))
        };
        let figures = PERCENTILES
            .iter()
            .map(|key| number(key))
            .collect::<Result<Vec<_>>>()?;
        ensure!(
            figures.is_sorted(),
            "{name}'s percentiles fall: {figures:?}"
        );
        ensure!(figures[0] > 0.0, "{name}'s median is zero");
        ensure!(
            number("service_p50_ns")? <= number("service_p999_ns")?,
            "{name}'s service percentiles fall"
        );
        let median_of_seconds = number("p999_ns_median_of_seconds")?;
        ensure!(
            median_of_seconds <= number("max_ns")?,
            "{name}'s median of seconds is above its maximum"
        );
        ensure!(
            variant["schedule_kept"].is_boolean(),
            "{name}.schedule_kept is {}",
            variant["schedule_kept"]
        );
        ensure!(
            number("rate_achieved")? <= RATE * 1.001,
            "{name} achieved more than was offered"
        );
        ensure!(
            (0.0..=1.0).contains(&number("cpu_busy")?),
            "{name}.cpu_busy is no share"
        );
        ensure!(number("stalls_ms")? >= 0.0, "{name}.stalls_ms is negative");
        number("bytes_per_second")?;
        let allocations = number("allocations_per_request")?;
        if name.starts_with("heap_") {
            ensure!(
                allocations > 1.0,
                "{name} allocates {allocations} times per request: not a plain service"
            );
        } else {
            ensure!(
                allocations == 0.0,
                "{name} allocates {allocations} times per request"
            );
        }
    }
    let checksum = |name: &str| printed["variants"][name]["checksum"].as_str();
    let expected = checksum("pool").context("pool.checksum is missing")?;
    for name in &VARIANTS[1..] {
        ensure!(
            checksum(name) == Some(expected),
            "{name}'s checksum differs from the pool's"
        );
    }
    Ok(())
}

fn check_folder(out: &Path) -> Result<()> {
    let page = std::fs::read_to_string(out.join("report.html")).context("no report.html")?;
    for load in ["src=\"http", "href=\"http", "url(http", "@import"] {
        ensure!(!page.contains(load), "report.html loads something: {load}");
    }
    let mut recordings = 0;
    for entry in std::fs::read_dir(out)? {
        let dir = entry?.path();
        if dir.is_dir() {
            let meta: Value = serde_json::from_slice(&std::fs::read(dir.join("meta.json"))?)?;
            ensure!(
                meta["state"] == "complete",
                "{} is {}",
                dir.display(),
                meta["state"]
            );
            ensure!(
                dir.join("latency.hlog").is_file(),
                "{} has no latency.hlog",
                dir.display()
            );
            recordings += 1;
        }
    }
    ensure!(
        recordings == 2 * VARIANTS.len(),
        "{recordings} recordings, not two per variant"
    );
    Ok(())
}

/// Bad input never starts a run: a clear message, a status that is not zero, nothing left behind.
fn check_refusals(program: &Path, used: &Path) -> Result<()> {
    let used = used
        .to_str()
        .context("a temporary folder with a strange name")?;
    for (arguments, expected) in [
        (&["--rate", "0"][..], "zero"),
        (&["--rate", "5000M"], "out of range"),
        (&["--window", "100000M"], "memory"),
        (&["--workers", "4096"], "4096"),
        (&["--out", used], "not empty"),
        (&["--out", "/proc/nothing/here"], "/proc/nothing/here"),
    ] {
        let folder = tempfile::tempdir()?;
        let output = Command::new(program)
            .arg("demo")
            .args(arguments)
            .current_dir(folder.path())
            .output()?;
        let message = String::from_utf8_lossy(&output.stderr);
        ensure!(
            !output.status.success(),
            "demo {arguments:?} was not refused"
        );
        ensure!(
            message.contains(expected),
            "demo {arguments:?} says: {message}"
        );
        ensure!(
            output.stdout.is_empty(),
            "demo {arguments:?} printed on standard output"
        );
        ensure!(
            folder.path().read_dir()?.next().is_none(),
            "demo {arguments:?} left something behind"
        );
    }
    Ok(())
}
