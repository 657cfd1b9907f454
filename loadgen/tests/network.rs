//! Whole runs over loopback against servers in this process. Nothing is asserted about how fast anything
//! was, beyond what a machine that stands still for a second would keep.

mod servers;

use servers::{Behaviour, Server, UdpServer};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tailcut_loadgen::network::{self, NetworkError};
use tailcut_loadgen::scenario::{
    Arrivals, Pacing, RequestOptions, Scenario, Shard, Target, TlsOptions, WarmUp, Watched,
};
use tailcut_loadgen::{Labels, LoadError, Nanos, Rate, RunOutcome};
use tailcut_report::recording::{
    CONNECT, FIRST_BYTE, QUEUE_DEPTH, RESPONSE, Recording, RunResult, SEND_LATENESS, SERVICE, State,
};

/// One test at a time: the others would take the processors.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn scenario(url: &str, rate: u64) -> Scenario {
    Scenario {
        name: "test".to_owned(),
        target: Target::Network(url.parse().unwrap()),
        pacing: Pacing::Open {
            rate: Rate::per_second(rate).unwrap(),
            arrivals: Arrivals::Constant,
        },
        duration: Nanos::from_millis(1_000),
        warmup: WarmUp::Fixed(Nanos::from_millis(100)),
        workers: 1,
        pin: true,
        connections: 4,
        pipeline: 32,
        timeout: Nanos::from_millis(2_000),
        seed: 1,
        request: RequestOptions::default(),
        tls: TlsOptions::default(),
        slo: None,
        faults: Vec::new(),
        watched: Watched::Nobody,
        start_at_unix_ns: None,
        shard: None,
    }
}

fn try_run(scenario: &Scenario, dir: &Path) -> Result<RunOutcome, LoadError> {
    let Target::Network(target) = &scenario.target else {
        unreachable!("all of these are over the network");
    };
    let labels = Labels::default();
    let stop = AtomicBool::new(false);
    network::run(scenario, target, dir, &labels, &stop, &mut |_| ())
}

/// A run that must come to its end; its result.
fn run(scenario: &Scenario) -> (RunOutcome, RunResult) {
    let dir = tempfile::tempdir().unwrap();
    let outcome = try_run(scenario, &dir.path().join("recording")).unwrap();
    let result = outcome.meta.result.clone().unwrap();
    assert_eq!(result.completed + result.unserved, result.offered);
    assert_eq!(outcome.response.len(), result.offered, "{result:?}");
    (outcome, result)
}

#[test]
fn a_recording_holds_every_request_of_the_schedule_in_all_series() {
    let _alone = alone();
    let server = Server::start(Behaviour::Answer);
    let dir = tempfile::tempdir().unwrap();
    let mut scenario = scenario(&server.url(), 20_000);
    scenario.duration = Nanos::from_millis(1_500);
    let mut seconds = 0;
    let Target::Network(target) = &scenario.target else {
        unreachable!()
    };
    let outcome = network::run(
        &scenario,
        target,
        &dir.path().join("recording"),
        &Labels::default(),
        &AtomicBool::new(false),
        &mut |second| {
            assert_eq!(second.duration, scenario.duration);
            seconds += 1;
        },
    )
    .unwrap();
    assert!(seconds >= 1);
    let recording = Recording::read(&outcome.dir).unwrap();
    assert_eq!(recording.meta.state, State::Complete);
    let result = recording.meta.result.clone().unwrap();
    assert_eq!(result.offered, 30_000);
    assert_eq!((result.completed, result.failed), (30_000, 0));
    assert_eq!(recording.meta.load.target, server.url());
    assert_eq!(recording.meta.load.warmup_ns, 100_000_000);
    for (series, expected) in [
        (RESPONSE, 30_000),
        (SERVICE, 30_000),
        (FIRST_BYTE, 30_000),
        (SEND_LATENESS, 30_000),
        (QUEUE_DEPTH, 30_000),
        (CONNECT, 4),
    ] {
        let intervals = recording.intervals.iter();
        let of_series = intervals.filter(|interval| interval.series == series);
        let found: u64 = of_series.map(|interval| interval.histogram.len()).sum();
        assert_eq!(found, expected, "{series}");
    }
    let starts: Vec<u64> = recording
        .intervals
        .iter()
        .filter(|interval| interval.series == RESPONSE)
        .map(|interval| interval.start_monotonic_ns)
        .collect();
    assert_eq!(starts.len(), 2);
    assert_eq!(starts[1] - starts[0], 1_000_000_000);
    let generator = result.generator.unwrap();
    assert!(generator.lateness_max_ns > 0 && !generator.reason.is_empty());
}

#[test]
fn answers_in_any_order_and_byte_by_byte_all_belong_to_their_requests() {
    let _alone = alone();
    for behaviour in [Behaviour::Reverse, Behaviour::Dribble] {
        let server = Server::start(behaviour);
        let (_, result) = run(&scenario(&server.url(), 2_000));
        assert_eq!((result.offered, result.failed), (2_000, 0), "{behaviour:?}");
    }
}

#[test]
fn refusals_are_answers_and_are_counted_as_errors() {
    let _alone = alone();
    let server = Server::start(Behaviour::RefuseEach { nth: 10 });
    let (_, result) = run(&scenario(&server.url(), 2_000));
    assert_eq!((result.offered, result.completed), (2_000, 2_000));
    assert_eq!(result.rejected, result.failed);
    assert!((150..250).contains(&result.failed), "{result:?}");
}

#[test]
fn a_server_that_stands_still_shows_in_response_times_but_not_in_a_closed_loop() {
    let _alone = alone();
    let stall = Duration::from_millis(300);
    let open = {
        let server = Server::start(Behaviour::Answer);
        let mut scenario = scenario(&server.url(), 10_000);
        scenario.duration = Nanos::from_millis(2_000);
        server.stall_at(Duration::from_millis(900), stall);
        let (outcome, result) = run(&scenario);
        assert_eq!((result.offered, result.failed), (20_000, 0));
        outcome
    };
    // A stall of S in T, at a low utilisation: P(response > x) = (S - x) / T.
    let over = |outcome: &RunOutcome, x: u64| {
        outcome.response.count_between(x * 1_000_000, u64::MAX) as f64
            / outcome.response.len() as f64
    };
    for x in [50, 150, 250] {
        let expected = (300.0 - x as f64) / 2_000.0;
        let found = over(&open, x);
        // A machine that is busy otherwise adds to it, and takes nothing away.
        assert!(
            (expected * 0.9..expected * 1.5 + 0.1).contains(&found),
            "{x} ms: {found}, expected {expected}"
        );
    }

    let server = Server::start(Behaviour::Answer);
    let mut scenario = scenario(&server.url(), 1);
    scenario.pacing = Pacing::Closed;
    scenario.pipeline = 1;
    scenario.duration = Nanos::from_millis(2_000);
    server.stall_at(Duration::from_millis(900), stall);
    let (closed, result) = run(&scenario);
    assert!(closed.meta.load.closed_loop);
    assert!(result.offered > 1_000 && result.failed == 0);
    assert!(over(&closed, 150) < over(&open, 150) / 4.0);
    assert!(closed.response.max() > 200_000_000);
}

#[test]
fn a_server_that_never_answers_makes_timeouts_at_their_age_and_the_run_ends() {
    let _alone = alone();
    let server = Server::start(Behaviour::Silent);
    let mut scenario = scenario(&server.url(), 1_000);
    scenario.pipeline = 16;
    scenario.timeout = Nanos::from_millis(200);
    let began = Instant::now();
    let (outcome, result) = run(&scenario);
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!((result.offered, result.completed), (1_000, 0));
    assert_eq!(result.failed, 1_000);
    assert!(result.errors["timeout"] > 64, "{result:?}");
    assert!(
        result.unsent > 0,
        "64 places for 200 ms each cannot hold 1,000 a second"
    );
    assert!(!result.schedule_kept);
    assert!(outcome.response.max() >= 200_000_000);
    // On a busy machine it is the machine's fault, but it never is the generator's.
    assert_ne!(result.generator.unwrap().bottleneck, "none");
}

#[test]
fn lost_connections_fail_what_is_on_them_by_kind_and_are_opened_again() {
    let _alone = alone();
    for (behaviour, kinds) in [
        (Behaviour::ResetEach { nth: 100 }, &["reset", "closed"][..]),
        (
            Behaviour::CloseEach { nth: 100 },
            &["closed", "closed early", "reset"][..],
        ),
        (
            Behaviour::HalfReply { nth: 100 },
            &["closed early", "reset"][..],
        ),
        (Behaviour::Garbage { nth: 100 }, &["bad reply"][..]),
    ] {
        let server = Server::start(behaviour);
        let (_, result) = run(&scenario(&server.url(), 4_000));
        assert_eq!(result.offered, 4_000, "{behaviour:?}");
        assert!(result.reconnects >= 10, "{behaviour:?}: {result:?}");
        assert!(result.completed > 2_000, "{behaviour:?}: {result:?}");
        let of_kinds: u64 = kinds
            .iter()
            .filter_map(|kind| result.errors.get(*kind))
            .sum();
        assert!(of_kinds > 0, "{behaviour:?}: {result:?}");
        assert_eq!(
            result.failed,
            result.errors.values().sum::<u64>(),
            "{result:?}"
        );
    }
}

#[test]
fn a_server_that_goes_away_makes_due_requests_fail_without_a_storm() {
    let _alone = alone();
    let server = Server::start(Behaviour::Answer);
    let url = server.url();
    let scenario = scenario(&url, 2_000);
    let stopping = std::thread::spawn(move || {
        server.wait_until_answered(600);
        server.stop();
    });
    let (_, result) = run(&scenario);
    stopping.join().unwrap();
    assert_eq!(result.offered, 2_000);
    assert!(result.completed > 300, "{result:?}");
    assert!(result.errors["connection refused"] > 300, "{result:?}");
    assert!(result.reconnects < 100, "{result:?}");
}

#[test]
fn nothing_that_listens_is_an_error_before_the_run_and_leaves_no_folder() {
    let _alone = alone();
    let url = Server::start(Behaviour::Answer).url(); // it is gone again
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("recording");
    let error = try_run(&scenario(&url, 100), &out).unwrap_err();
    assert!(
        matches!(&error, LoadError::Network(NetworkError::Connect { target, .. }) if *target == url),
        "{error}"
    );
    assert!(error.to_string().contains("start the server"), "{error}");
    assert!(!out.exists());
}

#[test]
fn a_folder_that_holds_something_is_left_as_it_is() {
    let _alone = alone();
    let server = Server::start(Behaviour::Answer);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("thesis.txt"), "years of work").unwrap();
    let error = try_run(&scenario(&server.url(), 100), dir.path()).unwrap_err();
    assert!(matches!(error, LoadError::Recording(_)), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn what_cannot_run_is_refused_with_a_reason() {
    let _alone = alone();
    let server = Server::start(Behaviour::Answer);
    let dir = tempfile::tempdir().unwrap();
    let refusal = |change: &dyn Fn(&mut Scenario)| {
        let mut scenario = scenario(&server.url(), 100);
        change(&mut scenario);
        try_run(&scenario, &dir.path().join("recording"))
            .unwrap_err()
            .to_string()
    };
    assert!(refusal(&|scenario| scenario.pipeline = 0).contains("pipeline"));
    assert!(refusal(&|scenario| scenario.connections = 0).contains("connections"));
    assert!(refusal(&|scenario| scenario.workers = 0).contains("workers"));
    assert!(refusal(&|scenario| scenario.start_at_unix_ns = Some(1)).contains("past"));
    assert!(refusal(&|scenario| scenario.connections = u32::MAX).contains("ulimit -n"));
    let nowhere = "tcp://no-such-host.invalid:7".parse().unwrap();
    let unknown = refusal(&|scenario| scenario.target = Target::Network(Clone::clone(&nowhere)));
    // The helper resolves the scenario's target.
    assert!(unknown.contains("no-such-host.invalid"), "{unknown}");
}

#[test]
fn datagrams_are_answered_and_lost_ones_time_out() {
    let _alone = alone();
    let server = UdpServer::start(None);
    let (_, result) = run(&scenario(&server.url(), 5_000));
    assert_eq!((result.offered, result.failed), (5_000, 0), "{result:?}");

    let lossy = UdpServer::start(Some(50));
    let mut scenario = scenario(&lossy.url(), 5_000);
    scenario.timeout = Nanos::from_millis(100);
    let (_, result) = run(&scenario);
    assert_eq!(result.offered, 5_000);
    let lost = result.errors["timeout"] + result.errors.get("unanswered").unwrap_or(&0);
    assert_eq!(lost, result.failed, "{result:?}");
    assert!((20..1_500).contains(&lost), "{result:?}");
}

#[test]
fn datagrams_to_a_closed_port_fail_by_that_kind() {
    let _alone = alone();
    let url = UdpServer::start(None).url(); // it is gone again
    let (_, result) = run(&scenario(&url, 1_000));
    assert_eq!((result.offered, result.completed), (1_000, 0));
    assert!(result.errors["connection refused"] > 900, "{result:?}");
}

#[test]
fn shards_send_the_parts_of_one_schedule() {
    let _alone = alone();
    let server = Server::start(Behaviour::Answer);
    let mut offered = 0;
    for index in 0..3 {
        let mut scenario = scenario(&server.url(), 1_000);
        scenario.shard = Some(Shard { index, of: 3 });
        let (outcome, result) = run(&scenario);
        assert_eq!(outcome.meta.load.shard_of, Some(3));
        offered += result.offered;
    }
    assert_eq!(offered, 1_000);
}

#[test]
fn a_run_begins_at_the_instant_that_it_was_given() {
    let _alone = alone();
    let server = Server::start(Behaviour::Answer);
    let mut scenario = scenario(&server.url(), 100);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let start = u64::try_from(now.as_nanos()).unwrap() + 700_000_000;
    scenario.start_at_unix_ns = Some(start);
    let dir = tempfile::tempdir().unwrap();
    let outcome = try_run(&scenario, &dir.path().join("recording")).unwrap();
    let recording = Recording::read(&outcome.dir).unwrap();
    let first = recording
        .intervals
        .iter()
        .find(|interval| interval.series == RESPONSE)
        .unwrap();
    let clock = recording.meta.clock;
    let began = first.start_monotonic_ns - clock.monotonic_ns + clock.unix_ns;
    // The recorded part begins after 100 ms of warm-up.
    assert!(
        began.abs_diff(start + 100_000_000) <= 1_000_000,
        "{began} {start}"
    );
    assert_eq!(recording.meta.result.unwrap().offered, 100);
}

#[test]
fn an_interrupted_run_ends_at_once_and_says_so() {
    let _alone = alone();
    let server = Server::start(Behaviour::Answer);
    let mut scenario = scenario(&server.url(), 10);
    scenario.duration = Nanos::from_millis(60_000);
    let Target::Network(target) = scenario.target.clone() else {
        unreachable!()
    };
    let dir = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let began = Instant::now();
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(700));
            stop.store(true, Ordering::Relaxed);
        });
        let out = dir.path().join("recording");
        network::run(
            &scenario,
            &target,
            &out,
            &Labels::default(),
            &stop,
            &mut |_| (),
        )
        .unwrap()
    });
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(outcome.meta.state, State::Partial);
    assert_eq!(outcome.meta.state_reason.as_deref(), Some("interrupted"));
    assert!(outcome.meta.result.unwrap().offered < 100);
}

#[test]
fn an_automatic_warm_up_ends_at_the_latest_when_its_patience_does() {
    let _alone = alone();
    let server = Server::start(Behaviour::Answer);
    let mut scenario = scenario(&server.url(), 1_000);
    scenario.warmup = WarmUp::Auto {
        at_most: Nanos::from_millis(3_000),
    };
    let (outcome, result) = run(&scenario);
    assert_eq!(result.offered, 1_000);
    let load = &outcome.meta.load;
    assert!(
        load.warmup_rule.starts_with("auto: "),
        "{}",
        load.warmup_rule
    );
    assert!(
        (1..=3).contains(&(load.warmup_ns / 1_000_000_000)),
        "{load:?}"
    );
    assert_eq!(load.warmup_ns % 1_000_000_000, 0);
}

#[test]
fn ten_thousand_connections_carry_a_load_in_bounded_memory() {
    let _alone = alone();
    let connections = 9_000; // both ends are in this process: 18,000 descriptors
    if servers::descriptors() < 2 * connections + 500 {
        eprintln!("SKIPPED: 9,000 connections need 18,500 file descriptors; raise `ulimit -n`");
        return;
    }
    let server = Server::start(Behaviour::Polled);
    let mut scenario = scenario(&server.url(), 5_000);
    scenario.connections = u32::try_from(connections).unwrap();
    scenario.pipeline = 1;
    scenario.timeout = Nanos::from_millis(10_000);
    let (outcome, result) = run(&scenario);
    assert_eq!(result.offered, 5_000);
    // A machine under load may not keep the schedule; no connection may be lost for that.
    assert!(
        result.errors.is_empty() && result.completed > 0,
        "{result:?}"
    );
    assert_eq!(outcome.series[CONNECT].len(), connections);
}
