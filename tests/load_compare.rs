//! `tailcut load compare` from outside: recordings with known figures, and runs of this program's own service.

mod recorded;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use recorded::record;
use tailcut_report::recording::State;

const SLOW: [f64; 5] = [1.0, 1.04, 0.97, 1.02, 1.05];
const FAST: [f64; 5] = [0.41, 0.43, 0.42, 0.4, 0.44];

fn tailcut(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tailcut"));
    command
        .args(["load", "compare"])
        .args(arguments)
        .current_dir(dir)
        .env("RUST_BACKTRACE", "0");
    command
}

fn compare(dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = tailcut(dir, arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn two_folders_of_recordings_give_a_table_and_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path(), "heap", &SLOW, |_| {});
    record(dir.path(), "pool", &FAST, |_| {});
    let (code, said, errors) = compare(dir.path(), &["heap", "pool"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    for part in [
        "A: heap",
        "5 runs",
        "P99.99",
        "all requests",
        "compared: name (heap against pool)",
        "pool's P99.9 is 0.412× heap's",
        "p = 0.024 after correction for 3 percentiles, n = 5 + 5), large effect",
    ] {
        assert!(said.contains(part), "{part}:\n{said}");
    }
    // Nothing but the one object.
    let (code, said, errors) = compare(dir.path(), &["heap", "pool", "--json"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(json["verdict"]["outcome"], "better");
    assert_eq!(json["a"]["recordings"].as_array().unwrap().len(), 5);
}

#[test]
fn recordings_can_be_named_one_by_one_and_the_judged_percentiles_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let name = |path: &PathBuf| path.display().to_string();
    let a: Vec<String> = record(dir.path(), "heap", &SLOW[..4], |_| {})
        .iter()
        .map(name)
        .collect();
    let b: Vec<String> = record(dir.path(), "pool", &FAST[..4], |_| {})
        .iter()
        .map(name)
        .collect();
    let mut line = vec!["--judge", "p90", "--recordings"];
    line.extend(a.iter().map(String::as_str));
    line.push("--");
    line.extend(b.iter().map(String::as_str));
    let (code, said, errors) = compare(dir.path(), &line);
    assert_eq!(code, Some(0), "{errors}");
    assert!(said.contains("pool's P90 is 0.4"), "{said}");
    assert!(said.contains("(p = 0.029, n = 4 + 4)"), "{said}");
}

#[test]
fn a_script_is_told_by_the_exit_status() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path(), "slow", &SLOW, |_| {});
    record(dir.path(), "fast", &FAST, |_| {});
    record(dir.path(), "missed", &SLOW, |meta| {
        meta.result.as_mut().unwrap().schedule_kept = false;
    });
    for (line, expected) in [
        (&["fast", "slow"][..], 0),
        (&["fast", "slow", "--fail-if-worse"], 3),
        (&["fast", "slow", "--fail-if-worse", "50%"], 3),
        (&["fast", "slow", "--fail-if-worse", "300%"], 0),
        (&["slow", "fast", "--fail-if-worse"], 0),
        (&["fast", "missed", "--fail-if-worse"], 4),
    ] {
        let (code, said, errors) = compare(dir.path(), line);
        assert_eq!(code, Some(expected), "{line:?}: {said}{errors}");
    }
}

#[test]
fn what_cannot_be_compared_ends_with_2_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path(), "heap", &SLOW, |_| {});
    record(dir.path(), "faster", &FAST, |meta| {
        meta.load.rate_target = 10_000.0;
    });
    record(dir.path(), "cut", &FAST, |meta| {
        meta.state = State::Partial;
        meta.state_reason = Some("interrupted".to_owned());
    });
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    let flags = ["-t", "tcp://127.0.0.1:9", "-r", "1k"];
    let with = |more: &[&'static str]| [&flags, more].concat();
    for (line, expected) in [
        (vec!["heap", "faster"], "rate (20000/s against 10000/s)"),
        (vec!["heap", "cut"], "interrupted"),
        (vec!["heap", "heap"], "same run"),
        (vec!["heap", "empty"], "holds no recording"),
        (vec!["heap"], "two of them are needed"),
        (
            vec!["heap", "scenario.toml"],
            "two folders or two scenarios",
        ),
        (vec!["--recordings", "heap"], "those of B as well"),
        (vec!["heap", "--", "faster"], "go with --recordings"),
        (vec!["missing.toml"], "missing.toml"),
        (vec![], "no target"),
        (
            vec!["heap", "faster", "--judge", "p99,fast"],
            "'fast' is no percentile",
        ),
        (with(&["--a", "--rate 2k"]), "rate (2000/s against 1000/s)"),
        (
            with(&["--b", "--target http://127.0.0.1:9/"]),
            "transport (tcp against http)",
        ),
        (with(&["--b", "--rte 2k"]), "'--rte'"),
        (with(&["--b", "--name 'x"]), "has no end"),
        (with(&["--start-a", " "]), "empty command"),
        (with(&["--shard", "0/2"]), "whole runs"),
        (
            vec!["-t", "in-process:noop", "-r", "1k", "--start-a", "x"],
            "no server",
        ),
    ] {
        let (code, said, errors) = compare(dir.path(), &line);
        assert_eq!(code, Some(2), "{line:?}: {errors}");
        assert!(
            errors.contains(expected) && said.is_empty(),
            "{line:?}: {errors}"
        );
    }
    assert!(
        !dir.path().join("tailcut-compare").exists(),
        "nothing is left behind"
    );
}

const NOOP: [&str; 10] = [
    "-t",
    "in-process:noop",
    "-r",
    "1k",
    "-d",
    "1s",
    "--warmup",
    "0s",
    "--pause",
    "0s",
];

#[test]
fn runs_are_made_in_turn_recorded_and_compared() {
    let dir = tempfile::tempdir().unwrap();
    let line = [
        &NOOP[..],
        &[
            "-n",
            "2",
            "-o",
            "out",
            "--b",
            "--name other",
            "--label-b",
            "v2",
        ],
    ]
    .concat();
    let (code, said, errors) = compare(dir.path(), &line);
    // A busy machine may take a worker's core away for longer than a run bears.
    assert!([Some(0), Some(4)].contains(&code), "{errors}");
    assert!(
        errors.contains("warning: 2 + 2 runs cannot show any difference"),
        "{errors}"
    );
    assert!(
        errors.contains("[1/4] A ") && errors.contains("[2/4] B other: P50 "),
        "{errors}"
    );
    assert!(
        said.contains("Nothing can be decided with 2 + 2 runs"),
        "{said}"
    );
    let out = dir.path().join("out");
    let meta = |folder: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(out.join(folder).join("meta.json")).unwrap()).unwrap()
    };
    // The schedules of a pair are the same, and those of another pair are not.
    let seeds =
        ["00-a-1", "01-b-1", "02-b-2", "03-a-2"].map(|folder| meta(folder)["load"]["seed"].clone());
    assert_eq!(seeds, [1, 1, 2, 2]);
    assert_eq!(
        (&meta("02-b-2")["run"], &meta("02-b-2")["sequence"]),
        (&2.into(), &2.into())
    );
    assert_eq!(meta("01-b-1")["label"], "v2");
    assert_ne!(meta("00-a-1")["label"], "v2");
    let json = std::fs::read(out.join("comparison.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["verdict"]["outcome"], "undecided");
    assert!(out.join("a.toml").exists() && out.join("b.toml").exists());
}

#[test]
fn a_server_that_does_not_come_up_is_told_with_its_last_words() {
    let dir = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("tcp://{}", free.local_addr().unwrap());
    drop(free);
    let line = [
        "-t",
        &target,
        "-r",
        "1k",
        "-o",
        "out",
        "--start-a",
        "echo no such file; exit 9",
    ];
    let (code, said, errors) = compare(dir.path(), &line);
    assert_eq!((code, said.as_str()), (Some(1), ""));
    assert!(
        errors.contains("run 1 of A failed")
            && errors.contains("exit status: 9")
            && errors.contains("  no such file"),
        "{errors}"
    );
}

#[test]
fn an_interruption_ends_with_130_and_keeps_what_was_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let line = [&NOOP[..], &["-n", "100", "-o", "out"]].concat();
    let child = tailcut(dir.path(), &line)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let second = dir.path().join("out/02-b-2/latency.hlog");
    let begin = std::time::Instant::now();
    while !second.exists() {
        assert!(begin.elapsed().as_secs() < 120, "two runs of a second each");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{errors}");
    assert!(errors.contains("interrupted\n1 run of A and "), "{errors}");
    assert!(dir.path().join("out/comparison.json").exists());
}
