//! The Job that is shipped: its text is what the documentation and the command line expect.

use std::process::Command;

const JOB: &str = include_str!("../examples/kubernetes/load-job.yaml");

/// The value behind `key:`, without a comment.
fn value<'j>(key: &str) -> &'j str {
    let line = JOB
        .lines()
        .find(|line| line.trim_start().starts_with(&format!("{key}:")));
    let value = line
        .unwrap_or_else(|| panic!("no {key}"))
        .split_once(':')
        .unwrap()
        .1;
    value.split('#').next().unwrap().trim().trim_matches('"')
}

#[test]
fn every_shard_has_a_pod_and_all_run_at_once() {
    assert_eq!(value("completionMode"), "Indexed");
    assert_eq!(value("completions"), value("parallelism"));
    let shard = format!("$JOB_COMPLETION_INDEX/{}", value("completions"));
    assert!(JOB.contains(&shard), "{shard}");
    assert_eq!(value("backoffLimit"), "0");
}

#[test]
fn the_command_in_it_is_one_that_the_program_takes() {
    let begin = JOB.find("tailcut load run").unwrap();
    let command: String = JOB[begin..]
        .lines()
        .take_while(|line| !line.contains("env:"))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("scenario.toml");
    std::fs::write(
        &scenario,
        "target.url = 'tcp://127.0.0.1:1'\npacing.rate = 1000\n",
    )
    .unwrap();
    let command = command
        .replace("\"$JOB_COMPLETION_INDEX/4\"", "3/4")
        .replace("\"$START_AT\"", "2199-01-31T12:00:00Z")
        .replace("/scenario/scenario.toml", &scenario.display().to_string());
    let words = command
        .split_whitespace()
        .skip(1)
        .take_while(|word| *word != "--out");
    let output = Command::new(env!("CARGO_BIN_EXE_tailcut"))
        .args(words)
        .arg("--print-scenario")
        .output()
        .unwrap();
    let (out, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{error}");
    assert!(out.contains("3/4") && out.contains("2199"), "{out}");
}
