//! `tailcut gate` from outside: what CI sees of recordings with known figures; and the workflow that is shipped.

mod recorded;

use std::path::Path;
use std::process::Command;

use recorded::record;
use tailcut_report::recording::Meta;

const USUAL: [f64; 5] = [1.0, 1.04, 0.97, 1.02, 1.05];
const AGAIN: [f64; 5] = [1.03, 0.99, 1.01, 1.06, 0.98];
const SLOWER: [f64; 5] = [1.31, 1.36, 1.27, 1.33, 1.29];
const WORKFLOW: &str = include_str!("../examples/ci/latency-gate.yml");

fn gate(dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tailcut"))
        .arg("gate")
        .args(arguments)
        .current_dir(dir)
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn unchanged(_: &mut Meta) {}

#[test]
fn noise_passes_and_a_regression_fails_the_job() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path(), "base", &USUAL, unchanged);
    record(dir.path(), "new", &AGAIN, unchanged);
    record(dir.path(), "slower", &SLOWER, unchanged);
    let (code, said, errors) = gate(
        dir.path(),
        &["base", "new", "--slo", "p99.9<5ms,errors<0.1%"],
    );
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{said}");
    assert!(
        said.lines()
            .last()
            .unwrap()
            .starts_with("Pass: no regression beyond 5%"),
        "{said}"
    );
    let (code, said, _) = gate(dir.path(), &["base", "slower"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.lines()
            .last()
            .unwrap()
            .starts_with("Fail: P50 rose by 2"),
        "{said}"
    );
    // As much is tolerated, if that is said.
    let (code, said, _) = gate(dir.path(), &["base", "slower", "--max-regression", "50%"]);
    assert_eq!(code, Some(0), "{said}");
    // What is faster passes, and a broken objective fails even that.
    let (code, said, _) = gate(dir.path(), &["slower", "base", "--slo", "p99.9<2ms"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("p99.9<2ms is broken"), "{said}");
}

#[test]
fn too_few_runs_have_a_status_of_their_own_unless_told_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path(), "base", &USUAL[..3], unchanged);
    record(dir.path(), "new", &SLOWER[..3], unchanged);
    let (code, said, _) = gate(dir.path(), &["base", "new"]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("make at least 5 runs of each side"), "{said}");
    for (told, expected) in [("pass", 0), ("fail", 3), ("status", 5)] {
        let (code, ..) = gate(dir.path(), &["base", "new", "--cannot-tell", told]);
        assert_eq!(code, Some(expected), "{told}");
    }
}

#[test]
fn sides_that_cannot_be_compared_are_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path(), "base", &USUAL, unchanged);
    record(dir.path(), "elsewhere", &AGAIN, |meta| {
        meta.load.rate_target = 10_000.0;
        meta.host.cpus = 64;
    });
    let (code, said, errors) = gate(dir.path(), &["base", "elsewhere"]);
    assert_eq!((code, said.as_str()), (Some(2), ""));
    assert!(
        errors.contains("rate (20000/s against 10000/s)") && errors.contains("CPUs (0 against 64)"),
        "{errors}"
    );
    let (code, _, errors) = gate(dir.path(), &["base", "nowhere"]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("nowhere"), "{errors}");
    let (code, _, errors) = gate(dir.path(), &["base", "base", "--variant", "pool"]);
    assert_eq!(code, Some(2));
    assert!(
        errors.contains("holds no run of pool, but of base"),
        "{errors}"
    );
}

#[test]
fn the_json_is_one_object_and_the_comment_begins_with_the_answer() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path(), "base", &USUAL, unchanged);
    record(dir.path(), "new", &SLOWER, unchanged);
    let (code, said, _) = gate(dir.path(), &["base", "new", "--json"]);
    assert_eq!(code, Some(3));
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&json["schema"], &json["outcome"]),
        (&1.into(), &"fail".into())
    );
    assert_eq!(json["checks"][2]["measure"], "P99.9");
    assert_eq!(json["checks"][2]["regressed"], true);
    let (_, said, _) = gate(dir.path(), &["base", "new", "--md"]);
    assert!(said.starts_with("**Fail: P50 rose by 2"), "{said}");
}

/// The shell commands of a step, by its name.
fn script(step: &str) -> String {
    let begin = WORKFLOW.find(&format!("- name: {step}\n")).unwrap();
    let run = WORKFLOW[begin..].find("run: |\n").unwrap() + begin + "run: |\n".len();
    WORKFLOW[run..]
        .lines()
        .take_while(|line| line.starts_with("          ") || line.is_empty())
        .map(|line| line.trim_start_matches("          ").to_owned() + "\n")
        .collect()
}

#[test]
fn the_workflow_that_is_shipped_is_yaml_and_its_scripts_are_shell() {
    assert!(!WORKFLOW.contains('\t'));
    for step in ["Build both", "Five runs of each, in turns", "The gate"] {
        let checked = Command::new("sh")
            .args(["-n", "-c", &script(step)])
            .output()
            .unwrap();
        assert!(
            checked.status.success(),
            "{step}: {}",
            String::from_utf8_lossy(&checked.stderr)
        );
    }
    let parse = "import sys, yaml; yaml.safe_load(sys.argv[1])['jobs']['gate']['steps'][0]['uses']";
    let parsed = Command::new("python3")
        .args(["-c", parse, WORKFLOW])
        .output();
    match parsed {
        Ok(parsed) if parsed.status.success() => {}
        Ok(parsed) => {
            let error = String::from_utf8_lossy(&parsed.stderr);
            assert!(error.contains("No module named"), "{error}");
            eprintln!("SKIPPED: no python3 with yaml here, so the workflow was not parsed");
        }
        Err(_) => eprintln!("SKIPPED: no python3 here, so the workflow was not parsed"),
    }
}

#[test]
fn the_commands_of_the_workflow_are_ones_that_the_program_takes() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path(), "base-runs", &USUAL, unchanged);
    record(dir.path(), "new-runs", &AGAIN, unchanged);
    let program = Path::new(env!("CARGO_BIN_EXE_tailcut")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let summary = dir.path().join("summary.md");
    let gated = Command::new("sh")
        .args(["-ec", &script("The gate")])
        .current_dir(dir.path())
        .env("PATH", path)
        .env("GITHUB_STEP_SUMMARY", &summary)
        .output()
        .unwrap();
    assert!(
        gated.status.success(),
        "{}",
        String::from_utf8_lossy(&gated.stderr)
    );
    assert!(
        std::fs::read_to_string(summary)
            .unwrap()
            .starts_with("**Pass")
    );
}
