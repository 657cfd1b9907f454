//! The same of `tailcut demo --incident go`: that every form in Go and in Rust is measured, allocates what it says that
//! it does, and stands in the table; with a collector's series where this is root. Skipped, aloud, without a Go.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

const FORMS: [&str; 6] = [
    "noop",
    "go_heap",
    "go_sync_pool",
    "go_free_list",
    "heap_jemalloc",
    "pool",
];

/// Runs it with `program` in a temporary folder, and checks it.
pub(super) fn check(program: &Path) -> Result<()> {
    let version = Command::new("go").arg("version").output();
    if !version.is_ok_and(|version| version.status.success()) {
        ensure!(
            std::env::var_os("TAILCUT_REQUIRE_GO").is_none(),
            "TAILCUT_REQUIRE_GO is set, and there is no Go on the PATH"
        );
        println!("SKIPPED: demo --incident go, because there is no Go on the PATH");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let printed = run(program, folder.path())?;
    check_forms(&printed["incident"])?;
    ensure!(
        printed["comparison"]["before"] == "go_heap"
            && printed["comparison"]["after"] == "go_sync_pool",
        "what is compared is {} and {}",
        printed["comparison"]["before"],
        printed["comparison"]["after"]
    );
    ensure!(
        printed["alerts"] == Value::Array(Vec::new()),
        "alerts: {}",
        printed["alerts"]
    );
    println!("demo --incident go: every form in Go and in Rust is there, with what it allocates");
    Ok(())
}

/// Again if the machine was too busy for a low rate.
fn run(program: &Path, folder: &Path) -> Result<Value> {
    const SCHEDULE_MISSED: i32 = 4;
    const ATTEMPTS: u32 = 3;
    for attempt in 1..=ATTEMPTS {
        let words = "demo --incident go --json --rate 100k --duration 2s --window 20000 --allocator jemalloc --runs 2 --out";
        let output = Command::new(program)
            .args(words.split(' '))
            .arg(folder.join(format!("incident-{attempt}")))
            .stderr(Stdio::inherit())
            .output()?;
        match output.status.code() {
            Some(0) => {
                return serde_json::from_slice(&output.stdout)
                    .context("standard output is not one JSON object and nothing else");
            }
            Some(SCHEDULE_MISSED) => eprintln!("attempt {attempt}: the machine was too busy"),
            _ => bail!("tailcut demo --incident go: {}", output.status),
        }
    }
    bail!("this machine did not keep 100k requests/s in {ATTEMPTS} attempts");
}

fn check_forms(incident: &Value) -> Result<()> {
    let forms = incident["forms"].as_array().context("no forms")?;
    let names: Vec<&str> = forms
        .iter()
        .filter_map(|form| form["variant"].as_str())
        .collect();
    ensure!(names == FORMS, "the forms are {names:?}");
    for form in forms {
        let name = &form["variant"];
        let number = |key: &str| {
            form[key]
                .as_f64()
                .with_context(|| format!("{name}.{key} is {}", form[key]))
        };
        let figures = ["p50_ns", "p99_ns", "p999_ns", "max_ns"]
            .iter()
            .map(|key| number(key))
            .collect::<Result<Vec<_>>>()?;
        ensure!(
            figures.is_sorted() && figures[0] > 0.0,
            "{name}'s percentiles are {figures:?}"
        );
        ensure!(number("cores_in_use")? > 0.0, "{name} used no CPU");
        ensure!(number("peak_resident_bytes")? > 1e6, "{name} had no memory");
        let allocations = number("allocations_per_request")?;
        let as_it_should = match name.as_str() {
            Some("go_heap" | "heap_jemalloc") => allocations > 1.0,
            // A pool that the collector empties makes some anew.
            Some("go_sync_pool") => allocations < 1.0,
            _ => allocations < 0.01,
        };
        ensure!(
            as_it_should,
            "{name} allocates {allocations} times per request"
        );
        let in_go = name.as_str().is_some_and(|name| name.starts_with("go_"));
        ensure!(
            in_go == form["collector"].is_object(),
            "{name}'s collector is {}",
            form["collector"]
        );
    }
    ensure!(
        incident["rust_against_go"]["after"] == "pool",
        "Rust is not held against Go"
    );
    for ratio in ["go_gain", "rust_over_go"] {
        let ratio = &incident[ratio];
        ensure!(
            ratio.is_null() || ratio.as_f64() > Some(0.0),
            "a ratio is {ratio}"
        );
    }
    Ok(())
}
