use super::*;
use crate::compare::simulated::side;

const USUAL: [f64; 5] = [1.0, 1.04, 0.97, 1.02, 1.05];
const AGAIN: [f64; 5] = [1.03, 0.99, 1.01, 1.06, 0.98];
const SLOWER: [f64; 5] = [1.31, 1.36, 1.27, 1.33, 1.29];

fn no_objective(_: &Histogram<u64>, _: &RunResult) -> Vec<ObjectiveResult> {
    Vec::new()
}

/// P99.9 below so many microseconds.
fn below(micros: u64) -> impl Fn(&Histogram<u64>, &RunResult) -> Vec<ObjectiveResult> {
    move |response, _| {
        let measured = response.value_at_quantile(0.999) as f64;
        vec![ObjectiveResult {
            objective: format!("p99.9<{micros}us"),
            measured,
            held: measured < micros as f64 * 1e3,
        }]
    }
}

fn gated(base: &[Run], new: &[Run]) -> Gate {
    gate(base, new, &Options::default(), no_objective).expect("comparable")
}

fn with(runs: &mut [Run], change: impl Fn(&mut RunResult)) {
    for run in runs {
        change(run.meta.result.as_mut().expect("it has ended"));
    }
}

#[test]
fn noise_passes_and_the_sentence_says_what_would_have_been_missed() {
    let gate = gated(&side("old", &USUAL), &side("new", &AGAIN));
    assert_eq!(gate.outcome, Outcome::Pass);
    assert!(
        gate.sentence.starts_with(
            "Pass: no regression beyond 5% can be shown in P50, P99 and P99.9 (n = 5 + 5, level 5%); one of P99.9 by "
        ),
        "{}",
        gate.sentence
    );
    assert!(
        gate.detectable_ratio
            .is_some_and(|ratio| ratio > 1.05 && ratio < 1.5)
    );
}

#[test]
fn a_regression_fails_with_its_size_and_its_doubt() {
    let gate = gated(&side("old", &USUAL), &side("new", &SLOWER));
    assert_eq!(gate.outcome, Outcome::Fail);
    let check = &gate.checks[2];
    assert_eq!((check.measure.as_str(), check.regressed), ("P99.9", true));
    // Complete separation: 2 of 252 orders, for each of three figures.
    assert!((check.p - 6.0 / 252.0).abs() < 1e-9, "{}", check.p);
    assert!(
        gate.sentence.contains("P99.9 rose by 2")
            && gate.sentence.contains("where 5% is tolerated (p = 0.024)"),
        "{}",
        gate.sentence
    );
}

#[test]
fn what_is_tolerated_does_not_fail_and_without_tolerance_the_gate_says_what_a_comparison_says() {
    let little: Vec<f64> = USUAL.iter().map(|factor| factor * 1.12).collect();
    let (old, new) = (side("old", &USUAL), side("new", &little));
    let asked = |tolerated| {
        let options = Options {
            tolerated,
            ..Options::default()
        };
        gate(&old, &new, &options, no_objective).expect("comparable")
    };
    assert_eq!(asked(0.2).outcome, Outcome::Pass);
    let strict = asked(0.0);
    assert_eq!(strict.outcome, Outcome::Fail);
    for (check, row) in strict
        .checks
        .iter()
        .zip(strict.comparison.rows.iter().filter(|row| row.is_judged()))
    {
        assert_eq!(Some(check.p), row.p_adjusted, "{}", check.measure);
    }
    // Faster is no regression, however significant.
    assert_eq!(
        gated(&side("old", &SLOWER), &side("new", &USUAL)).outcome,
        Outcome::Pass
    );
}

#[test]
fn three_runs_of_each_cannot_tell_and_are_told_how_many_could() {
    let gate = gated(&side("old", &USUAL[..3]), &side("new", &SLOWER[..3]));
    assert_eq!(gate.outcome, Outcome::CannotTell);
    assert_eq!((gate.runs_needed, gate.detectable_ratio), (Some(5), None));
    assert!(
        gate.sentence.contains("3 + 3 runs cannot show a regression, however large: p cannot fall below 0.10, and 0.017")
            && gate.sentence.contains("at least 5 runs of each side"),
        "{}",
        gate.sentence
    );
    let one = Options {
        judged: vec!["p99.9".parse().expect("a percentile")],
        ..Options::default()
    };
    let asked = |runs| {
        let gate = super::gate(
            &side("old", &USUAL[..runs]),
            &side("new", &SLOWER[..runs]),
            &one,
            no_objective,
        );
        gate.expect("comparable")
    };
    assert_eq!(asked(3).runs_needed, Some(4));
    assert_eq!(asked(4).outcome, Outcome::Fail);
}

#[test]
fn a_broken_objective_fails_whatever_base_did_and_however_few_runs_there_are() {
    let gate = gate(
        &side("old", &USUAL[..1]),
        &side("new", &[1.0]),
        &Options::default(),
        below(1_000),
    )
    .expect("comparable");
    assert_eq!(gate.outcome, Outcome::Fail);
    assert!(
        gate.sentence.starts_with(
            "Fail: p99.9<1000us is broken: 2.2 ms over all requests (0 of 1 runs hold it)"
        ) || gate
            .sentence
            .starts_with("Fail: p99.9<1000us is broken: 2."),
        "{}",
        gate.sentence
    );
}

#[test]
fn an_objective_is_judged_over_all_requests_and_not_over_an_average_of_runs() {
    // One run of five is far out: a fifth of all requests is.
    let new = side("new", &[1.0, 1.0, 1.0, 1.0, 20.0]);
    let gate = gate(
        &side("old", &USUAL),
        &new,
        &Options::default(),
        below(3_000),
    )
    .expect("comparable");
    let objective = &gate.objectives[0];
    assert_eq!(
        (objective.held, objective.runs_held, objective.runs),
        (false, 4, 5)
    );
    assert_eq!(gate.outcome, Outcome::Fail);
}

#[test]
fn quick_failures_are_a_regression_and_no_improvement() {
    let (old, mut new) = (side("old", &USUAL), side("new", &AGAIN));
    with(&mut new, |result| result.failed = 900);
    let failing = gated(&old, &new);
    assert_eq!(failing.outcome, Outcome::Fail);
    assert!(
        failing
            .sentence
            .contains("errors rose from 0% to 4.5% of requests"),
        "{}",
        failing.sentence
    );
    // In one run of five it may be chance, but nothing is passed on such latencies.
    let mut new = side("new", &AGAIN);
    with(&mut new[..1], |result| result.failed = 900);
    let doubtful = gated(&old, &new);
    assert_eq!(
        doubtful.outcome,
        Outcome::CannotTell,
        "{}",
        doubtful.sentence
    );
}

#[test]
fn lower_bounds_neither_pass_nor_fail_anybody() {
    let missed = |mut runs: Vec<Run>| {
        with(&mut runs[..2], |result| result.schedule_kept = false);
        runs
    };
    let gate = gated(&side("old", &USUAL), &missed(side("new", &AGAIN)));
    assert_eq!(gate.outcome, Outcome::CannotTell);
    assert!(
        gate.sentence
            .contains("NEW missed its schedule in 2 of 5 runs"),
        "{}",
        gate.sentence
    );
    // What is slower even by its lower bounds is slower.
    let gate = gated(&side("old", &USUAL), &missed(side("new", &SLOWER)));
    assert_eq!(gate.outcome, Outcome::Fail);
    let gate = gated(&missed(side("old", &USUAL)), &side("new", &SLOWER));
    assert_eq!(gate.outcome, Outcome::CannotTell);
    assert!(
        gate.sentence
            .contains("but BASE missed its schedule in 2 of 5 runs"),
        "{}",
        gate.sentence
    );
}

#[test]
fn sides_of_another_rate_machine_or_duration_are_refused_with_every_difference_named() {
    let (old, mut new) = (side("old", &USUAL), side("new", &AGAIN));
    for run in &mut new {
        run.meta.load.rate_target = 2_000.0;
        run.meta.load.duration_ns = 5;
        run.meta.host.cpu_model = "another".to_owned();
    }
    let refused = gate(&old, &new, &Options::default(), no_objective)
        .expect_err("not comparable")
        .to_string();
    for what in ["rate (1000/s against 2000/s)", "duration", "CPU"] {
        assert!(refused.contains(what), "{refused}");
    }
}

#[test]
fn the_comment_holds_the_answer_and_every_check() {
    let gate = gate(
        &side("old|name", &USUAL),
        &side("new", &SLOWER),
        &Options::default(),
        below(1_000),
    )
    .expect("comparable");
    let comment = gate.markdown();
    assert!(
        comment.starts_with("**Fail: p99.9&lt;1000us is broken"),
        "{comment}"
    );
    assert!(
        comment.contains("| P99.9 |") && comment.contains("old\\|name"),
        "{comment}"
    );
    let lines: Vec<&str> = comment
        .lines()
        .filter(|line| line.starts_with('|'))
        .collect();
    let bars = |line: &str| line.replace("\\|", "").matches('|').count();
    assert!(
        lines
            .iter()
            .take(5)
            .all(|line| bars(line) == bars(lines[0])),
        "{comment}"
    );
}
