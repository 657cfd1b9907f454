use super::*;
use crate::compare::simulated::side;
use crate::compare::verdict::Outcome;
use crate::recording::Generator;

const SLOW: [f64; 5] = [1.0, 1.04, 0.97, 1.02, 1.05];
const FAST: [f64; 5] = [0.41, 0.43, 0.42, 0.4, 0.44];

fn compared(a: &[Run], b: &[Run]) -> Comparison {
    compare(a, b, &Options::default()).expect("comparable")
}

fn row<'c>(comparison: &'c Comparison, name: &str) -> &'c Row {
    let mut rows = comparison.rows.iter();
    rows.find(|row| row.percentile == name)
        .expect("it is there")
}

fn with(runs: &mut [Run], change: impl Fn(&mut crate::recording::RunResult)) {
    for run in runs {
        change(run.meta.result.as_mut().expect("it has ended"));
    }
}

#[test]
fn a_clear_difference_is_claimed_with_its_size_and_its_doubt() {
    let comparison = compared(&side("heap", &SLOW), &side("pool", &FAST));
    let row = row(&comparison, "P99.9");
    assert!((row.ratio - 0.42 / 1.02).abs() < 0.003, "{}", row.ratio);
    let interval = row.ratio_interval.expect("five runs");
    assert!(interval.contains(row.ratio) && !interval.contains(1.0));
    assert!((row.p - 2.0 / 252.0).abs() < 1e-9);
    assert_eq!(row.p_adjusted.map(|p| (p * 252.0).round()), Some(6.0));
    assert_eq!(
        (row.superiority, row.effect, row.stars()),
        (0.0, "large", "*")
    );
    let verdict = &comparison.verdict;
    assert_eq!(verdict.outcome, Outcome::Better);
    let sentence = &verdict.sentence;
    assert!(
        sentence.starts_with("pool's P99.9 is 0.412× heap's [0.")
            && sentence.contains(
                "(p = 0.024 after correction for 3 percentiles, n = 5 + 5), large effect; P50 "
            )
            && sentence.ends_with(" as well."),
        "{sentence}"
    );
    // A run of 20,000 requests does not know its P99.99, and nothing else is to be noted.
    assert_eq!(comparison.notes.len(), 1, "{:?}", comparison.notes);
    assert!(comparison.notes[0].starts_with("P99.99: "));
}

#[test]
fn the_sides_exchanged_give_the_opposite() {
    let (slow, fast) = (side("heap", &SLOW), side("pool", &FAST));
    let there = compared(&slow, &fast);
    let back = compared(&fast, &slow);
    assert_eq!(back.verdict.outcome, Outcome::Worse);
    for (one, other) in there.rows.iter().zip(&back.rows) {
        assert!((one.ratio * other.ratio - 1.0).abs() < 1e-9);
        assert!((one.p - other.p).abs() < 1e-9);
    }
}

#[test]
fn equal_sides_differ_in_nothing_and_the_sentence_says_what_would_have_been_missed() {
    let comparison = compared(
        &side("heap", &SLOW),
        &side("pool", &[1.03, 1.01, 0.98, 1.06, 0.99]),
    );
    let verdict = &comparison.verdict;
    assert_eq!(verdict.outcome, Outcome::NoDifference);
    let detectable = verdict
        .detectable_ratio
        .expect("five runs can find something");
    assert!(detectable > 1.03 && detectable < 1.3, "{detectable}");
    assert!(
        verdict
            .sentence
            .starts_with("No difference can be shown: pool's P99.9 is ")
            && verdict
                .sentence
                .contains("% would probably not have been seen."),
        "{}",
        verdict.sentence
    );
    assert!(comparison.rows.iter().all(|row| row.stars().is_empty()));
}

#[test]
fn too_few_runs_decide_nothing_however_clear_they_look() {
    let comparison = compared(&side("heap", &SLOW[..3]), &side("pool", &FAST[..3]));
    assert_eq!(comparison.verdict.outcome, Outcome::Undecided);
    let sentence = &comparison.verdict.sentence;
    assert!(
        sentence.contains("3 + 3 runs")
            && sentence.contains("p is 0.10 (at least 5 + 5 runs are needed to judge 3"),
        "{sentence}"
    );
    assert!(
        comparison
            .rows
            .iter()
            .all(|row| row.ratio_interval.is_none())
    );
    // One percentile, named before, takes fewer.
    let options = Options {
        judged: vec!["p99.9".parse().expect("a percentile")],
        ..Options::default()
    };
    let comparison = compare(
        &side("heap", &SLOW[..4]),
        &side("pool", &FAST[..4]),
        &options,
    );
    let verdict = comparison.expect("comparable").verdict;
    assert_eq!(verdict.outcome, Outcome::Better);
    assert!(
        verdict.sentence.contains("(p = 0.029, n = 4 + 4)"),
        "{}",
        verdict.sentence
    );
}

#[test]
fn a_side_that_missed_its_schedule_is_never_called_faster_but_may_be_called_slower() {
    let missed = |runs: &mut [Run]| {
        with(&mut runs[..2], |result| result.schedule_kept = false);
    };
    let (slow, mut fast) = (side("heap", &SLOW), side("pool", &FAST));
    missed(&mut fast);
    let verdict = compared(&slow, &fast).verdict;
    assert_eq!(verdict.outcome, Outcome::Undecided);
    assert!(
        verdict
            .sentence
            .contains("but pool missed its schedule in 2 of 5 runs")
            && verdict.sentence.contains("lower bounds"),
        "{}",
        verdict.sentence
    );
    let (mut slow, fast) = (side("heap", &SLOW), side("pool", &FAST));
    missed(&mut slow);
    let comparison = compared(&slow, &fast);
    assert_eq!(comparison.verdict.outcome, Outcome::Better);
    let sentence = &comparison.verdict.sentence;
    assert!(sentence.contains("even that flatters heap"), "{sentence}");
    assert_eq!(comparison.a.schedules_missed, 2);
    assert!(comparison.notes[0].starts_with("A (heap) missed its schedule in 2 of 5 runs"));
}

#[test]
fn a_side_that_fails_quickly_is_not_called_faster() {
    let (slow, mut fast) = (side("heap", &SLOW), side("pool", &FAST));
    with(&mut fast, |result| {
        result.failed = 900;
    });
    let comparison = compared(&slow, &fast);
    assert_eq!(comparison.verdict.outcome, Outcome::Undecided);
    let sentence = &comparison.verdict.sentence;
    assert!(
        sentence.contains("pool failed 4.5% of its requests"),
        "{sentence}"
    );
    // As many on both sides are no reason.
    let mut slow = slow;
    with(&mut slow, |result| {
        result.failed = 900;
    });
    let comparison = compared(&slow, &fast);
    assert_eq!(comparison.verdict.outcome, Outcome::Better);
    let failed = |note: &&String| note.contains("failed 4.5%");
    assert_eq!(comparison.notes.iter().filter(failed).count(), 2);
}

#[test]
fn the_generators_own_part_and_thin_percentiles_are_noted() {
    let (mut slow, fast) = (side("heap", &SLOW), side("pool", &FAST));
    with(&mut slow[..1], |result| {
        result.generator = Some(Generator {
            bottleneck: "generator".to_owned(),
            ..Generator::default()
        });
    });
    let options = Options {
        judged: vec!["p99.99".parse().expect("a percentile")],
        ..Options::default()
    };
    let comparison = compare(&slow, &fast, &options).expect("comparable");
    let notes = comparison.notes.join("\n");
    assert!(
        notes.contains("In 1 of 5 runs of A (heap) the load generator"),
        "{notes}"
    );
    assert!(
        notes.contains("P99.99: a run has fewer than ten requests beyond"),
        "{notes}"
    );
}

#[test]
fn percentiles_of_all_requests_are_those_of_merged_histograms() {
    let slow = side("heap", &[1.0, 1.0, 1.0, 1.0, 50.0]);
    let comparison = compared(&slow, &side("pool", &FAST));
    let p99 = row(&comparison, "P99");
    // A fifth of all requests are those of the run far out: their slowest are the slowest of all.
    assert!(p99.a.all_requests_ns > 9_000_000, "{p99:?}");
    assert!(p99.a.median_ns < 300_000.0, "{p99:?}");
    let max = row(&comparison, "max");
    assert_eq!(Some(&max.a.all_requests_ns), max.a.runs_ns.iter().max());
}

#[test]
fn another_percentile_can_be_judged_and_is_then_shown() {
    let options = Options {
        judged: vec!["p75".parse().expect("a percentile")],
        ..Options::default()
    };
    let comparison = compare(&side("heap", &SLOW), &side("pool", &FAST), &options);
    let comparison = comparison.expect("comparable");
    assert_eq!(comparison.verdict.percentile, "P75");
    let judged: Vec<&str> = comparison
        .rows
        .iter()
        .filter(|row| row.is_judged())
        .map(|row| row.percentile.as_str())
        .collect();
    assert_eq!(judged, ["P75"]);
    let nothing = Options {
        judged: Vec::new(),
        ..Options::default()
    };
    assert!(compare(&side("heap", &SLOW), &side("pool", &FAST), &nothing).is_err());
}

#[test]
fn sides_of_the_same_name_go_by_their_letters() {
    let slow = side("nginx", &SLOW);
    let mut fast = side("pool", &FAST);
    fast.iter_mut()
        .for_each(|run| run.meta.variant = "nginx".to_owned());
    let sentence = compared(&slow, &fast).verdict.sentence;
    assert!(
        sentence.starts_with("B's P99.9 is 0.412× A's"),
        "{sentence}"
    );
}

#[test]
fn every_figure_is_in_the_json() {
    let comparison = compared(&side("heap", &SLOW), &side("pool", &FAST));
    let json = serde_json::to_value(&comparison).expect("no NaN in it");
    assert_eq!(json["schema"], 1);
    assert_eq!(json["verdict"]["outcome"], "better");
    assert_eq!(json["rows"][3]["percentile"], "P99.9");
    assert_eq!(
        json["rows"][3]["a"]["runs_ns"].as_array().map(Vec::len),
        Some(5)
    );
    assert!(json["rows"][3]["ratio_interval"]["low"].is_f64());
    assert_eq!(json["differences"][0]["what"], "name");
}
