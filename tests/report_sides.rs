//! `tailcut report` from outside: what it holds against what.

mod recorded;

use std::path::Path;
use std::process::Command;

use recorded::record;

const SLOW: [f64; 5] = [1.0, 1.04, 0.97, 1.02, 1.05];
const FAST: [f64; 5] = [0.41, 0.43, 0.42, 0.4, 0.44];

fn report(dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tailcut"))
        .arg("report")
        .args(arguments)
        .current_dir(dir)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn two_folders_are_before_and_after_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    for (folder, factors) in [("before", &SLOW), ("after", &FAST)] {
        record(dir.path(), folder, factors, |meta| {
            meta.variant = "orders".to_owned();
        });
    }
    let (code, said, _) = report(dir.path(), &["before", "after", "--md"]);
    assert_eq!(code, Some(0));
    assert!(
        said.starts_with("**P99.9 fell from 2.2 ms (orders (before)) to 914 µs (orders (after)): ")
            || said.starts_with("**P99.9 fell from 2."),
        "{said}"
    );
    assert!(
        said.contains("schedule kept in all 10 runs (p = 0.024, n = 5 + 5)."),
        "{said}"
    );
    // The other way round it is the opposite.
    let (_, said, _) = report(dir.path(), &["after", "before", "--md"]);
    assert!(said.starts_with("**Orders (before) is worse: "), "{said}");
}

#[test]
fn variants_are_named_on_the_command_line_and_an_unknown_one_is_told() {
    let dir = tempfile::tempdir().unwrap();
    record(&dir.path().join("all"), "heap-a", &SLOW, |_| {});
    record(&dir.path().join("all"), "tuned", &FAST, |_| {});
    let folders = ["all/heap-a", "all/tuned"];
    let asked = |before, after| {
        let line = [
            &folders[..],
            &["--md", "--before", before, "--after", after],
        ]
        .concat();
        report(dir.path(), &line)
    };
    let (code, said, _) = asked("heap-a", "tuned");
    assert_eq!(code, Some(0));
    assert!(said.starts_with("**P99.9 fell from "), "{said}");
    let (code, _, errors) = asked("heap-a", "pool");
    assert_eq!(code, Some(2), "as for any bad argument");
    assert!(
        errors.contains("no run of pool is there to be compared; there are runs of heap-a, tuned"),
        "{errors}"
    );
}

#[test]
fn three_versions_make_a_trend() {
    let dir = tempfile::tempdir().unwrap();
    for (folder, factors) in [("v1", &SLOW), ("v2", &SLOW), ("w3", &FAST)] {
        record(dir.path(), folder, factors, |meta| {
            meta.variant = "orders".to_owned();
        });
    }
    let (code, said, errors) = report(dir.path(), &["v1", "v2", "w3", "--trend", "--json"]);
    assert_eq!(code, Some(0), "{errors}");
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    let points = &json["trend"]["groups"][0]["points"];
    assert_eq!(points[1]["step"]["outcome"], "no_difference", "{said}");
    assert_eq!(points[2]["step"]["outcome"], "better");
}
