use super::*;
use proptest::prelude::*;

fn slo(text: &str) -> Slo {
    text.parse().unwrap()
}

fn refusal(text: &str) -> String {
    text.parse::<Slo>().unwrap_err().to_string()
}

/// 1,000 response times of 1 to 1,000 us.
fn response() -> Histogram<u64> {
    let mut response = Histogram::new(3).unwrap();
    for value in 1..=1_000 {
        response.record(value * 1_000).unwrap();
    }
    response
}

fn result() -> RunResult {
    RunResult {
        offered: 1_000,
        completed: 990,
        unserved: 10,
        failed: 20,
        rate_achieved: 990.0,
        ..RunResult::default()
    }
}

fn held(text: &str) -> Vec<bool> {
    let judged = slo(text).judge_figures(&response(), &result());
    judged.iter().map(|objective| objective.held).collect()
}

#[test]
fn each_measure_is_compared_with_its_limit() {
    assert_eq!(held("p50<501us,p50.0001<500us"), [true, false]);
    assert_eq!(held("p99.9<999.5us, max<1001us"), [true, true]);
    assert_eq!(held("mean<501us"), [true]);
    assert_eq!(held("mean<499us"), [false]);
    assert_eq!(held("max<1ms"), [false], "the limit itself is not below it");
    assert_eq!(held("rate>989"), [true]);
    assert_eq!(
        held("rate>990"),
        [false],
        "the limit itself is not above it"
    );
}

#[test]
fn errors_are_a_share_of_what_was_due() {
    assert_eq!(result().error_share(), Some(0.02));
    assert_eq!(held("errors<2.1%"), [true]);
    assert_eq!(held("errors<2%"), [false]);
    assert_eq!(held("errors<0.021"), [true]);
}

#[test]
fn what_was_measured_is_told_in_the_unit_of_the_limit() {
    let judged = slo("p50<1s,errors<5%,rate>1").judge_figures(&response(), &result());
    let limits = slo("p50<1s,errors<5%,rate>1").objectives;
    assert!((judged[0].measured - 500_000.0).abs() < 1_000.0);
    assert_eq!(limits[0].limit, 1e9);
    assert_eq!((judged[1].measured, limits[1].limit), (0.02, 0.05));
    assert_eq!(judged[2].measured, 990.0);
}

#[test]
fn a_run_without_requests_meets_no_objective() {
    let nothing = Histogram::new(3).unwrap();
    let judged = slo("p99<1h,max<1h,mean<1h,errors<100%,rate>1")
        .judge_figures(&nothing, &RunResult::default());
    assert!(judged.iter().all(|objective| !objective.held), "{judged:?}");
}

#[test]
fn objectives_are_written_as_they_were_read() {
    let text = "p99.9<1ms,errors<0.05%,max<20ms,mean<200us,rate>2M";
    assert_eq!(slo(text).to_string(), text);
    assert_eq!(
        slo(" p99.9 < 1ms , errors<0.05% ").to_string(),
        "p99.9<1ms,errors<0.05%"
    );
}

#[test]
fn what_is_no_objective_is_refused_with_what_would_be_one() {
    for (text, expected) in [
        ("", "no objective is given"),
        (" , ", "no objective is given"),
        ("p99.9", "write MEASURE<LIMIT"),
        ("<1ms", "write MEASURE<LIMIT"),
        ("p99<", "write MEASURE<LIMIT"),
        ("p99<=1ms", "write MEASURE<LIMIT"),
        ("p99<1ms<2ms", "write MEASURE<LIMIT"),
        ("p99>1ms", "write p99<1ms"),
        ("rate<2M", "write rate>2M"),
        ("p100<1ms", "p50 to p99.9999"),
        ("p0<1ms", "p50 to p99.9999"),
        ("p-5<1ms", "p50 to p99.9999"),
        ("pNaN<1ms", "p50 to p99.9999"),
        ("latency<1ms", "'latency' in 'latency<1ms'"),
        ("p99<1", "'1' is not a duration"),
        ("p99<fast", "'fast' is not a duration"),
        ("max<0s", "no time"),
        ("errors<5", "no share"),
        ("errors<200%", "no share"),
        ("errors<-1%", "no share"),
        ("errors<0%", "errors<0.0001%"),
        ("rate>0", "zero"),
        ("p99<1ms,p99<2ms", "'p99<1ms' and 'p99<2ms'"),
    ] {
        let message = refusal(text);
        assert!(message.contains(expected), "{text}: {message}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic_and_what_it_takes_reads_back(
        text in "((p[0-9.]{1,6}|max|errors|rate|\\PC{0,8})[<>=]{0,2}[0-9.]{0,6}(ms|%|M|s)?,?){0,4}"
    ) {
        if let Ok(slo) = text.parse::<Slo>() {
            prop_assert_eq!(slo.to_string().parse::<Slo>(), Ok(slo));
        }
    }
}
