//! The statistics of a comparison against scipy's, on fixed samples.
//!
//! What scipy says is in `data/statistics_reference.json`, made by `scripts/statistics_reference.py`; where scipy is
//! installed the script is run again, and must say the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use tailcut_report::statistics::bootstrap::{of_difference, of_median};
use tailcut_report::statistics::rank_sum::rank_sum;

#[derive(Debug, Deserialize)]
struct Reference {
    rank_sum: Vec<Tested>,
    bootstrap: Vec<Resampled>,
}

#[derive(Debug, Deserialize)]
struct Tested {
    name: String,
    a: Vec<f64>,
    b: Vec<f64>,
    u: f64,
    p: f64,
}

#[derive(Debug, Deserialize)]
struct Resampled {
    name: String,
    a: Vec<f64>,
    b: Vec<f64>,
    /// By listing all resamples.
    median_a: [f64; 2],
    difference: [f64; 2],
    /// By drawing 50,000.
    difference_drawn: [f64; 2],
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn committed() -> Reference {
    let path = folder().join("data/statistics_reference.json");
    let text = std::fs::read_to_string(path).expect("it is committed");
    serde_json::from_str(&text).expect("it is JSON of this form")
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-9 * expected.abs().max(1e-3)
}

#[test]
fn the_rank_sum_test_gives_scipys_u_and_p() {
    let reference = committed();
    assert!(reference.rank_sum.len() > 10);
    for Tested { name, a, b, u, p } in reference.rank_sum {
        let found = rank_sum(&a, &b).expect("there are values");
        assert!(
            close(found.u, u) && close(found.p, p),
            "{name}: {found:?}, scipy: u {u}, p {p}"
        );
    }
}

#[test]
fn bootstrap_intervals_are_those_of_all_resamples() {
    for case in committed().bootstrap {
        let median = of_median(&case.a).expect("enough values");
        let difference = of_difference(&case.a, &case.b).expect("enough values");
        for (found, expected) in [
            (median.low, case.median_a[0]),
            (median.high, case.median_a[1]),
            (difference.low, case.difference[0]),
            (difference.high, case.difference[1]),
        ] {
            assert!(close(found, expected), "{}: {found} {expected}", case.name);
        }
        // Drawing finds the same but for the chance of it.
        let width = difference.high - difference.low;
        for (found, drawn) in [
            (difference.low, case.difference_drawn[0]),
            (difference.high, case.difference_drawn[1]),
        ] {
            assert!(
                (found - drawn).abs() < 0.05 * width,
                "{}: {found} {drawn}",
                case.name
            );
        }
    }
}

#[test]
fn the_committed_reference_is_what_scipy_says() {
    // The system's Python first: others on the path often come without packages.
    let pythons = ["/usr/bin/python3", "python3"];
    let has_scipy = |python: &&&str| {
        let check = Command::new(python).args(["-c", "import scipy"]).output();
        check.is_ok_and(|output| output.status.success())
    };
    let Some(python) = pythons.iter().find(has_scipy) else {
        eprintln!(
            "SKIPPED: no python3 with scipy here, so the committed reference was not made again"
        );
        return;
    };
    let script = folder().join("scripts/statistics_reference.py");
    let output = Command::new(python)
        .arg(script)
        .output()
        .expect("it ran a moment ago");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let made: Reference = serde_json::from_slice(&output.stdout).expect("JSON of this form");
    let committed = committed();
    assert_eq!(made.rank_sum.len(), committed.rank_sum.len());
    for (made, kept) in made.rank_sum.iter().zip(&committed.rank_sum) {
        assert!(
            close(made.u, kept.u) && close(made.p, kept.p),
            "{}",
            kept.name
        );
    }
    for (made, kept) in made.bootstrap.iter().zip(&committed.bootstrap) {
        for (made, of) in [
            (made.difference, kept.difference),
            (made.median_a, kept.median_a),
        ] {
            assert!(
                close(made[0], of[0]) && close(made[1], of[1]),
                "{}",
                kept.name
            );
        }
    }
}
