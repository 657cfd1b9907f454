use super::*;
use crate::load::json;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tailcut_loadgen::scenario::Settings;
use tailcut_report::recording::{Generator, Meta, SEND_LATENESS, Stalls, State};

const DECIDED: &str = "name = 'orders'\nduration = '5s'\nwarmup = '1s'\nworkers = 1\n\
    target.url = 'tcp://127.0.0.1:7000'\npacing = { rate = '400k', arrivals = 'poisson' }\n\
    slo.objectives = 'p99.9<2ms,errors<0.01%,rate>100k'\n";

fn scenario(text: &str) -> Scenario {
    let settings = Settings::from_toml(text, Path::new("test.toml")).unwrap();
    settings.resolve().unwrap()
}

/// A run of the scenario as an engine would hand it back: a million responses of 1 us to 1 ms.
fn outcome(scenario: &Scenario) -> RunOutcome {
    let mut response = Histogram::new(3).unwrap();
    for value in 1..=1_000 {
        response.record_n(value * 1_000, 1_000).unwrap();
    }
    let mut lateness = Histogram::new(3).unwrap();
    lateness.record_n(5_000, 1_000).unwrap();
    let result = RunResult {
        offered: 2_000_000,
        completed: 1_999_000,
        failed: 1_000,
        rate_achieved: 399_800.0,
        schedule_kept: true,
        errors: BTreeMap::from([("reset".to_owned(), 300), ("timeout".to_owned(), 700)]),
        generator: Some(Generator {
            bottleneck: "target".to_owned(),
            reason: "12,000 sends waited for a free place".to_owned(),
            ..Generator::default()
        }),
        stalls: Stalls {
            total_ms: 12.0,
            idle_gap_max_ns: 3_000_000,
            ..Stalls::default()
        },
        ..RunResult::default()
    };
    let mut meta = Meta {
        state: State::Complete,
        result: Some(result),
        ..Meta::default()
    };
    tailcut_loadgen::scenario::judge(scenario, &mut meta, &response);
    RunOutcome {
        dir: PathBuf::from("some/where"),
        meta,
        service: response.clone(),
        response,
        series: BTreeMap::from([(SEND_LATENESS, lateness)]),
        drift: None,
        counter_refused: None,
        swaps_missed: 0,
    }
}

fn shown(scenario: &Scenario, outcome: &RunOutcome) -> String {
    let ending = Ending::of(scenario, outcome);
    anstream::adapter::strip_str(&result(scenario, outcome, &ending)).to_string()
}

fn change(outcome: &mut RunOutcome, change: impl FnOnce(&mut RunResult)) {
    change(outcome.meta.result.as_mut().unwrap());
}

#[test]
fn a_run_announces_everything_that_was_decided() {
    let text = announcement(&scenario(DECIDED), Path::new("here"));
    for expected in [
        "orders: 400k/s, Poisson arrivals, on tcp://127.0.0.1:7000 for 5s after 1s of warm-up, seed 1",
        "1 worker, 16 connections, at most 64 requests at a time on each",
        "recorded in here",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    let pool = "target = { in_process = 'pool', window = 9 }\npacing = { rate = 5, arrivals = 'burst:2' }\n\
        workers = 2\nshard = '0/2'\nfault = [{ kind = 'hog-cpu', amount = 2, at = '1s', lasts = '1s' }]\n";
    let text = announcement(&scenario(pool), Path::new("here"));
    for expected in [
        "5/s in bursts of 2 on in-process:pool for 10s after a warm-up until latency is stationary (at most 30s)",
        "2 workers, orders settled 9 at a time",
        "shard 0/2",
        "fault on purpose: hog-cpu=2@1s+1s",
    ] {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn the_result_shows_percentiles_errors_objectives_and_where_it_is() {
    let scenario = scenario(DECIDED);
    let text = shown(&scenario, &outcome(&scenario));
    for expected in [
        "┆ response ┆ service ┆ generator late │",
        "2,000,000 requests were due, 1,999,000 of them answered; 400k/s of 400k/s answered in time",
        "1,000 failed (0.05%): reset 300, timeout 700",
        "held    p99.9<2ms  (999 µs)",
        "BROKEN  errors<0.01%  (0.05%)",
        "held    rate>100k  (400k/s)",
        "bottleneck: the target: 12,000 sends waited",
        "the machine took 12 ms away from the workers, at most 3 ms",
        "an objective is broken",
        "recording: some/where  (tailcut report some/where",
    ] {
        assert!(text.contains(expected), "no {expected:?} in\n{text}");
    }
}

#[test]
fn percentiles_that_would_be_the_maximum_are_left_out() {
    let scenario = scenario(DECIDED);
    let text = shown(&scenario, &outcome(&scenario));
    let row = |name: &str| {
        text.lines()
            .find(|line| line.contains(name))
            .map(str::to_owned)
    };
    // A million responses have one beyond P99.9999; a thousand sends have one beyond P99.9.
    let row_of = |name: &str| row(&format!("│ {name} ")).unwrap();
    assert!(row_of("P99.9999").contains("1 ms"), "{text}");
    assert_eq!(row_of("P99.9 ").matches("µs").count(), 3, "{text}");
    assert_eq!(row_of("P99.99 ").matches(['m', 'µ']).count(), 2, "{text}");
    let mut few = outcome(&scenario);
    few.response.reset();
    few.response.record_n(7_000, 50).unwrap();
    let text = shown(&scenario, &few);
    assert!(text.contains("P90") && !text.contains("P99 "), "{text}");
}

#[test]
fn the_ending_says_what_a_script_must_know() {
    let slo = scenario(DECIDED);
    let plain = Scenario {
        slo: None,
        ..slo.clone()
    };
    let closed = Scenario {
        pacing: Pacing::Closed,
        ..plain.clone()
    };
    let status = |scenario: &Scenario, change: &dyn Fn(&mut RunOutcome)| {
        let mut outcome = outcome(scenario);
        change(&mut outcome);
        Ending::of(scenario, &outcome).exit_status()
    };
    let missed = |outcome: &mut RunOutcome| change(outcome, |result| result.schedule_kept = false);
    let cut = |reason: &'static str| {
        move |outcome: &mut RunOutcome| {
            outcome.meta.state = State::Partial;
            outcome.meta.state_reason = Some(reason.to_owned());
        }
    };
    assert_eq!(status(&plain, &|_| {}), 0);
    assert_eq!(status(&plain, &cut("disk full")), 1);
    assert_eq!(status(&slo, &|_| {}), 3);
    assert_eq!(status(&plain, &missed), 4);
    assert_eq!(
        status(&slo, &missed),
        4,
        "a missed schedule goes before a broken objective"
    );
    assert_eq!(status(&closed, &missed), 0, "a closed loop has no schedule");
    assert_eq!(status(&slo, &cut("interrupted")), 130);
}

#[test]
fn a_missed_schedule_and_requests_never_served_are_told_in_words() {
    let scenario = scenario(DECIDED);
    let mut missed = outcome(&scenario);
    change(&mut missed, |result| {
        result.schedule_kept = false;
        result.unserved = 1_234;
        result.unsent = 1_000;
        result.failed = 2_000;
        result.reconnects = 3;
        result.last_protocol_error = Some("garbage".to_owned());
    });
    let text = shown(&scenario, &missed);
    for expected in [
        "2,000 failed (0.1%): reset 300, timeout 700, still waiting at the end 1,000",
        "1,234 were never answered, 1,000 of them never sent: they stand in the response times",
        "broke the protocol: garbage",
        "3 connections were opened again",
        "SCHEDULE MISSED",
        "lower bounds",
    ] {
        assert!(text.contains(expected), "no {expected:?} in\n{text}");
    }
}

#[test]
fn a_closed_loop_says_what_its_latencies_leave_out() {
    let closed = scenario("target.url = 'tcp://127.0.0.1:7000'\npacing.closed = true\n");
    let text = shown(&closed, &outcome(&closed));
    assert!(
        text.contains("requests were sent") && text.contains("coordinated omission"),
        "{text}"
    );
}

#[test]
fn the_json_holds_what_the_text_says() {
    let scenario = scenario(DECIDED);
    let outcome = outcome(&scenario);
    let ending = Ending::of(&scenario, &outcome);
    let text = json::text(&scenario, &outcome, &ending).unwrap();
    let object: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(object["schema"], 1);
    assert_eq!(object["ending"], "slo_broken");
    assert_eq!(object["exit_status"], 3);
    assert_eq!(object["target"], "tcp://127.0.0.1:7000");
    assert_eq!(object["objectives"][1]["held"], false);
    assert_eq!(object["latency_ns"]["response"]["count"], 1_000_000);
    assert_eq!(
        object["latency_ns"]["response"]["p99.9999"],
        outcome.response.max()
    );
    assert_eq!(
        object["latency_ns"]["send_lateness"]["p99.99"],
        serde_json::Value::Null
    );
    assert_eq!(object["result"]["errors"]["timeout"], 700);
    assert_eq!(object["scenario"], "some/where/scenario.toml");
}
