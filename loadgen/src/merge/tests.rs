//! Parts of a known whole.

use super::*;
use hdrhistogram::Histogram;
use tailcut_report::recording::{
    ClockPair, Load, PoolSample, Recording, RunResult, SCHEMA, SERVICE, SlowRequest,
};
use tempfile::TempDir;

/// Makes a part one of another load.
type Change = fn(&mut Meta);

const SECONDS: u64 = 5;
const REQUESTS: u64 = 3000;

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 100_000_000_000, 3).unwrap()
}

/// The response time of a request, the same in every test.
fn response(second: u64, request: u64) -> u64 {
    1 + (request * 7919 + second * 104_729) % 5_000_000
}

fn meta(index: Option<u32>, of: u32) -> Meta {
    let boot = u64::from(index.unwrap_or(0)) * 1_000_000_000_000;
    Meta {
        schema: SCHEMA,
        state: State::Complete,
        variant: "orders".to_owned(),
        clock: ClockPair {
            monotonic_ns: 5_000_000_000 + boot,
            unix_ns: 1_700_000_000_000_000_000,
        },
        load: Load {
            rate_target: 3000.0 / f64::from(of),
            duration_ns: SECONDS * 1_000_000_000,
            workers: 1,
            connections: 4,
            target: "tcp://192.0.2.1:7000".to_owned(),
            shard_index: index,
            shard_of: index.map(|_| of),
            slo: Some("p99<4ms,errors<1%".to_owned()),
            ..Load::default()
        },
        result: Some(RunResult {
            offered: SECONDS * REQUESTS / u64::from(of),
            completed: SECONDS * REQUESTS / u64::from(of),
            schedule_kept: true,
            errors: [("timeout".to_owned(), 2)].into(),
            failed: 2,
            ..RunResult::default()
        }),
        ..Meta::default()
    }
}

/// Records every request of which `mine` says so.
fn record(dir: &Path, meta: &Meta, mine: impl Fn(u64) -> bool) {
    let mut writer = Writer::create(dir, meta).unwrap();
    let begin = meta.clock.monotonic_ns + 20_000_000;
    for second in 0..SECONDS {
        let (mut response_times, mut service) = (histogram(), histogram());
        for request in (0..REQUESTS).filter(|&request| mine(request)) {
            let time = response(second, request);
            response_times.record(time).unwrap();
            service.record(1 + time / 2).unwrap();
        }
        let start = begin + second * 1_000_000_000;
        for (series, histogram) in [(RESPONSE, &response_times), (SERVICE, &service)] {
            writer
                .interval(series, start, 1_000_000_000, histogram)
                .unwrap();
        }
        let slowest = SlowRequest {
            intended_ns: start,
            start_ns: start + 1,
            end_ns: start + 5_000_000,
            thread: 1,
            request: second,
        };
        writer.slow(&[slowest]).unwrap();
        let pool = PoolSample {
            at_ns: start,
            gets: second,
            ..PoolSample::default()
        };
        writer.pool(&[pool]).unwrap();
    }
    writer.finish(meta).unwrap();
}

fn parts(folder: &TempDir, of: u32, change: impl Fn(u32, &mut Meta)) -> Vec<PathBuf> {
    (0..of)
        .map(|index| {
            let dir = folder.path().join(format!("part-{index}"));
            let mut meta = meta(Some(index), of);
            change(index, &mut meta);
            record(&dir, &meta, |request| {
                request % u64::from(of) == u64::from(index)
            });
            dir
        })
        .collect()
}

#[test]
fn the_parts_make_the_whole_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let parts = parts(&folder, 3, |_, _| ());
    let whole = folder.path().join("whole");
    record(&whole, &meta(None, 1), |_| true);
    let out = folder.path().join("merged");
    let outcome = merge(&parts, &out).unwrap();
    let (merged, whole) = (
        Recording::read(&out).unwrap(),
        Recording::read(&whole).unwrap(),
    );
    for series in [RESPONSE, SERVICE] {
        let of = |recording: &Recording| -> Vec<Histogram<u64>> {
            recording
                .series(series)
                .map(|one| one.histogram.clone())
                .collect()
        };
        assert_eq!(of(&merged).len() as u64, SECONDS);
        assert!(of(&merged) == of(&whole), "{series}");
    }
    assert_eq!(outcome.response, whole.whole(RESPONSE));
    assert_eq!(merged.meta.load.rate_target, 3000.0);
    assert_eq!(merged.meta.load.shard_index, None);
    let result = merged.meta.result.unwrap();
    assert_eq!(result.offered, SECONDS * REQUESTS);
    assert_eq!((result.failed, result.errors["timeout"]), (6, 6));
    assert_eq!(merged.slow.len() as u64, 3 * SECONDS);
    // On the first part's clock, whatever the machines' uptimes are.
    let due = |request: &SlowRequest| request.intended_ns;
    let (first, last) = (due(&merged.slow[0]), due(merged.slow.last().unwrap()));
    assert_eq!(last - first, (SECONDS - 1) * 1_000_000_000);
    // Judged on all requests: 4% of these are slower than 4.8 ms.
    assert_eq!(result.objectives.len(), 2);
    assert!(!result.objectives[0].held && result.objectives[1].held);
}

#[test]
fn the_order_in_which_they_are_given_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let mut parts = parts(&folder, 3, |_, _| ());
    let forth = merge(&parts, &folder.path().join("forth")).unwrap();
    parts.reverse();
    let back = merge(&parts, &folder.path().join("back")).unwrap();
    assert_eq!(forth.response, back.response);
    assert_eq!(forth.meta.clock, back.meta.clock);
}

fn refusal(parts: &[PathBuf], folder: &TempDir) -> String {
    let out = folder.path().join("merged");
    let error = merge(parts, &out).unwrap_err().to_string();
    assert!(!out.exists(), "something was left behind");
    error
}

#[test]
fn a_part_that_is_missing_or_there_twice_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let parts = parts(&folder, 3, |_, _| ());
    let error = refusal(&parts[..2], &folder);
    assert!(error.contains("shard 2 of 3 is missing"), "{error}");
    let twice = [parts[0].clone(), parts[1].clone(), parts[1].clone()];
    let error = refusal(&twice, &folder);
    assert!(error.contains("this is shard 1, and so is"), "{error}");
    assert!(refusal(&[], &folder).contains("nothing to merge"));
}

#[test]
fn parts_of_different_loads_are_refused_with_what_differs() {
    let changes: [(&str, Change); 4] = [
        ("rate of a shard is 7", |meta| meta.load.rate_target = 7.0),
        ("seed is 9", |meta| meta.load.seed = 9),
        ("target is tcp://other", |meta| {
            "tcp://other".clone_into(&mut meta.load.target);
        }),
        ("began 2 s apart", |meta| {
            meta.clock.unix_ns += 2_000_000_000;
        }),
    ];
    for (expected, change) in changes {
        let folder = tempfile::tempdir().unwrap();
        let parts = parts(&folder, 2, |index, meta| {
            if index == 1 {
                change(meta);
            }
        });
        let error = refusal(&parts, &folder);
        assert!(
            error.contains(expected) && error.contains("part-1"),
            "{error}"
        );
    }
}

#[test]
fn a_recording_of_a_whole_load_is_no_part() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    record(&whole, &meta(None, 1), |_| true);
    let error = refusal(&[whole], &folder);
    assert!(error.contains("without --shard"), "{error}");
}

#[test]
fn a_part_that_was_cut_short_makes_the_whole_partial_and_says_which() {
    let folder = tempfile::tempdir().unwrap();
    let parts = parts(&folder, 2, |index, meta| {
        if index == 1 {
            meta.state = State::Partial;
            meta.state_reason = Some("interrupted".to_owned());
        }
    });
    let outcome = merge(&parts, &folder.path().join("merged")).unwrap();
    assert_eq!(outcome.meta.state, State::Partial);
    assert_eq!(
        outcome.meta.state_reason.as_deref(),
        Some("shard 1: interrupted")
    );
}

#[test]
fn each_parts_pool_stays_a_pool_of_its_own_on_one_clock() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("merged");
    merge(&parts(&folder, 2, |_, _| ()), &out).unwrap();
    let samples = Recording::read(&out).unwrap().pool;
    let names: Vec<&str> = samples.iter().map(|sample| sample.pool.as_str()).collect();
    assert_eq!(names[..4], ["shard 0", "shard 1", "shard 0", "shard 1"]);
    let (first, second) = (&samples[0], &samples[1]);
    assert_eq!((first.at_ns, first.gets), (second.at_ns, second.gets));
    assert_eq!(samples.len() as u64, 2 * SECONDS);
}
