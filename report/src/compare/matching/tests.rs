use super::*;
use crate::compare::simulated::side;

fn sides() -> (Vec<Run>, Vec<Run>) {
    (side("heap", &[1.0, 1.1]), side("pool", &[0.5, 0.6]))
}

fn refusal(change: impl FnOnce(&mut Vec<Run>, &mut Vec<Run>)) -> String {
    let (mut a, mut b) = sides();
    change(&mut a, &mut b);
    check(&a, &b).expect_err("to be refused").to_string()
}

fn each(runs: &mut [Run], change: impl Fn(&mut Meta)) {
    runs.iter_mut().for_each(|run| change(&mut run.meta));
}

#[test]
fn sides_under_the_same_load_on_the_same_machine_are_compared() {
    let (a, b) = sides();
    let differences = check(&a, &b).expect("they match");
    let names: Vec<&str> = differences
        .iter()
        .map(|difference| difference.what)
        .collect();
    assert_eq!(names, ["name"]);
}

#[test]
fn everything_that_must_be_the_same_is_named_at_once() {
    let text = refusal(|_, b| {
        each(b, |meta| {
            meta.load.rate_target = 2_000.0;
            meta.load.pacing = "poisson".to_owned();
            meta.load.duration_ns = 5_000_000_000;
            meta.load.target = "h2://127.0.0.1:80/".to_owned();
            meta.host.kernel = "6.18".to_owned();
            meta.host.cpus = 64;
        });
    });
    for part in [
        "rate (1000/s against 2000/s)",
        "arrivals (constant against poisson)",
        "duration (1 s against 5 s)",
        "transport (http against h2)",
        "kernel ( against 6.18)",
        "CPUs (0 against 64)",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_closed_loop_is_not_held_against_an_open_one_nor_a_server_against_a_function() {
    let text = refusal(|_, b| each(b, |meta| meta.load.closed_loop = true));
    assert!(text.contains("loop (open against closed)"), "{text}");
    let text = refusal(|a, _| each(a, |meta| meta.load.target.clear()));
    assert!(
        text.contains("transport (in process against http)"),
        "{text}"
    );
}

#[test]
fn what_is_set_on_purpose_is_listed_as_what_is_compared() {
    let (a, mut b) = sides();
    each(&mut b, |meta| {
        meta.load.pipeline = 8;
        meta.load.target = "http://127.0.0.1:81/".to_owned();
        meta.load.warmup_rule = "auto: stationary after 3 s".to_owned();
    });
    b[1].meta.load.warmup_rule = "auto: stationary after 9 s".to_owned();
    let differences = check(&a, &b).expect("they match");
    let names: Vec<&str> = differences
        .iter()
        .map(|difference| difference.what)
        .collect();
    assert_eq!(names, ["name", "target", "pipeline", "warm-up"]);
    assert_eq!(differences[2].to_string(), "pipeline (0 against 8)");
}

#[test]
fn runs_of_one_side_must_be_repetitions() {
    let text = refusal(|a, _| a[1].meta.load.connections = 64);
    assert!(
        text.contains("runs of A") && text.contains("connections is 0 in heap-0 but 64 in heap-1"),
        "{text}"
    );
}

#[test]
fn a_run_that_measured_nothing_or_not_to_the_end_is_refused_by_name() {
    let text = refusal(|_, b| {
        b[1].meta.state = crate::recording::State::Partial;
        b[1].meta.state_reason = Some("interrupted".to_owned());
    });
    assert!(
        text.contains("pool-1") && text.contains("interrupted"),
        "{text}"
    );
    let text = refusal(|_, b| b[0].response.reset());
    assert!(
        text.contains("pool-0") && text.contains("no response"),
        "{text}"
    );
    let text = refusal(|_, b| b.clear());
    assert!(text.contains("B has no complete run"), "{text}");
}

#[test]
fn a_copy_of_a_recording_does_not_count_as_another_measurement() {
    let text = refusal(|a, b| {
        b[1] = a[0].clone();
        b[1].dir = "copy".into();
        b[0] = a[1].clone();
    });
    assert!(text.contains("same run"), "{text}");
    let text = refusal(|a, _| a[1] = a[0].clone());
    assert!(text.contains("heap-0 and heap-0"), "{text}");
}
