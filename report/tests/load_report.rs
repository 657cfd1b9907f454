//! What a report says of loads on servers: figures, objectives, faults, and no claim across variants.

mod common;

use common::network::{closed, load};
use common::{ALL, JEMALLOC, POOL, SECOND, recording, write};
use tailcut_report::recording::{Mark, Recording};
use tailcut_report::{LoadSummary, Outcome, Report, SeriesUnit};

fn report(recordings: Vec<Recording>) -> Report {
    Report::from_recordings(recordings).expect("there are recordings")
}

fn frozen() -> Recording {
    load("checkout", 0, 6, Some(2 * SECOND))
}

fn sound() -> Recording {
    load("checkout", 0, 6, None)
}

fn summary(report: &Report, variant: &str) -> LoadSummary {
    report.summaries()[variant].load.clone().expect("a load")
}

/// The text of a page, without its scripts.
fn words(report: &Report) -> String {
    let html = report.html();
    html.split("<script").next().unwrap_or("").to_owned()
}

fn result(recording: &mut Recording) -> &mut tailcut_report::recording::RunResult {
    recording.meta.result.as_mut().expect("complete")
}

#[test]
fn a_load_is_no_before_and_after() {
    for recordings in [
        vec![sound()],
        vec![sound(), load("other", 1, 6, None)],
        // Names alone make no comparison of allocators.
        vec![load("pool", 0, 6, None), load("heap_jemalloc", 1, 6, None)],
    ] {
        let report = report(recordings);
        assert!(report.comparison().is_none());
        let page = words(&report);
        for claim in [
            "Before and after",
            "fell from",
            "The tail is",
            "heap allocator",
            "against pool",
        ] {
            assert!(!page.contains(claim), "{claim}");
        }
        assert!(page.contains("Latency of tcp://127.0.0.1:7000 under load"));
    }
}

#[test]
fn variants_beside_a_demo_leave_its_verdict_as_it_is() {
    let demo = || -> Vec<Recording> {
        let twice = ALL.iter().chain(ALL.iter().rev()).enumerate();
        twice
            .map(|(place, profile)| recording(profile, 1 + place as u32 / 5, place as u32, 2))
            .collect()
    };
    let alone = report(demo());
    let mut both = demo();
    both.push(load("checkout", 10, 2, None));
    let beside = report(both);
    assert_eq!(alone.verdict().sentence, beside.verdict().sentence);
    assert_eq!(beside.verdict().outcome, Outcome::Better);
    assert!(!words(&alone).contains("Seed"));
    assert!(alone.summaries().values().all(|each| each.load.is_none()));
}

#[test]
fn objectives_decide_and_are_shown_with_what_was_measured() {
    let held = report(vec![sound()]);
    assert_eq!(held.verdict().outcome, Outcome::ObjectivesHeld);
    assert!(
        held.verdict()
            .sentence
            .starts_with("Every objective held: p99.9<100ms (")
    );

    let broken = report(vec![frozen()]);
    assert_eq!(broken.verdict().outcome, Outcome::ObjectivesBroken);
    let table = broken.objective_table().expect("two objectives");
    assert_eq!(table.rows[0][2], "BROKEN");
    assert_eq!(table.rows[1][1..], ["0.005%", "yes"]);

    let mut again = load("checkout", 1, 6, None);
    again.meta.run = 2;
    let once = report(vec![frozen(), again]);
    let rows = once.objective_table().expect("two objectives").rows;
    assert_eq!(rows[0][2], "BROKEN in 1 of 2 runs");
    assert!(rows[0][1].contains(" to 1.39 s"), "{:?}", rows[0]);
    assert_eq!(rows[1][2], "in all 2 runs");
}

#[test]
fn a_target_that_cannot_keep_up_gives_lower_bounds() {
    let mut run = sound();
    run.meta.load.slo = None;
    let figures = result(&mut run);
    figures.objectives.clear();
    figures.schedule_kept = false;
    figures.completed_on_schedule /= 2;
    let report = report(vec![run]);
    assert_eq!(report.verdict().outcome, Outcome::ScheduleMissed);
    let sentence = &report.verdict().sentence;
    assert!(sentence.contains("5k of 10k requests/s"), "{sentence}");
    assert!(words(&report).contains("≥ marks a variant that missed its schedule"));
}

#[test]
fn a_generator_that_was_the_bottleneck_concludes_nothing() {
    let mut run = frozen();
    let generator = result(&mut run)
        .generator
        .as_mut()
        .expect("over the network");
    generator.bottleneck = "generator".to_owned();
    generator.reason = "its worker was 99.7% busy.".to_owned();
    let report = report(vec![run]);
    assert_eq!(report.verdict().outcome, Outcome::Inconclusive);
    let sentence = &report.verdict().sentence;
    assert!(
        sentence.ends_with("not those of the target: its worker was 99.7% busy."),
        "{sentence}"
    );
}

#[test]
fn a_closed_loop_warns_of_coordinated_omission_and_proves_no_objective() {
    let plain = report(vec![closed("ceiling", 0, 4)]);
    assert_eq!(plain.verdict().outcome, Outcome::Measured);
    let mut run = closed("ceiling", 0, 4);
    result(&mut run).objectives = sound().meta.result.expect("complete").objectives;
    let judged = report(vec![run]);
    assert_eq!(judged.verdict().outcome, Outcome::Measured);
    for report in [plain, judged] {
        let page = words(&report);
        assert!(page.contains("coordinated omission"));
        // There is no schedule, so none was missed and nothing is a lower bound.
        assert!(!page.contains("MISSED") && !page.contains('≥'));
        assert!(report.markdown().contains("coordinated omission"));
    }
}

#[test]
fn a_count_is_not_shown_as_a_time() {
    let report = report(vec![frozen()]);
    let load = summary(&report, "checkout");
    let tags: Vec<&str> = load
        .series
        .iter()
        .map(|series| series.tag.as_str())
        .collect();
    assert_eq!(
        tags,
        ["first_byte", "connect", "send_lateness", "queue_depth"]
    );
    let depth = &load.series[3];
    assert_eq!(
        (depth.unit, depth.p50, depth.max),
        (SeriesUnit::Count, 1, 4)
    );
    let markdown = report.markdown();
    let row = markdown
        .lines()
        .find(|line| line.starts_with("| Queue depth"));
    let row = row.expect("a row of its own");
    assert!(
        row.starts_with("| Queue depth | 60k | 1 | 4 | 4 | 4 |"),
        "{row}"
    );
    // None of it is mixed into the response times.
    assert_eq!(report.summaries()["checkout"].requests, 60_000);
}

#[test]
fn what_was_done_on_purpose_stands_in_words_and_on_the_charts() {
    let report = report(vec![frozen()]);
    let page = words(&report);
    assert!(page.contains("What happened meanwhile"));
    assert!(page.contains("process 4711 stopped by SIGSTOP"));
    assert!(page.contains("2.000 s"));
    let notes = report.verdict().notes.join(" ");
    assert!(notes.contains("freeze for 1.4 s at 2.0 s"), "{notes}");
    let data = drawn(&report);
    assert_eq!(data["load"]["kinds"][0]["label"], "freeze");
    assert_eq!(data["load"]["marks"][0]["from"], 2.0);
    assert_eq!(data["load"]["marks"][0]["to"], 3.4);
}

#[test]
fn the_targets_resources_are_figures_and_a_chart() {
    let report = report(vec![frozen()]);
    let used = summary(&report, "checkout")
        .resources
        .expect("it was sampled");
    // 60% of a core, but for 1.4 of 6 seconds.
    assert!((used.cores_mean - 0.6 * 4.6 / 6.0).abs() < 1e-3, "{used:?}");
    assert!((used.cores_peak - 0.6).abs() < 1e-3, "{used:?}");
    assert_eq!(used.process, 4711);
    let data = drawn(&report);
    let cores = &data["load"]["resources"][0]["cores"];
    assert_eq!(cores.as_array().map(Vec::len), Some(6));
    assert_eq!((&cores[1], &cores[2]), (&0.6.into(), &0.0.into()));
    let page = words(&report);
    for text in [
        "data-chart=\"cpu\"",
        "data-chart=\"rss\"",
        "CPU, busiest second",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn the_conditions_say_how_the_load_was_made() {
    let page = words(&report(vec![sound()]));
    for text in [
        "tcp://127.0.0.1:7000",
        "poisson",
        "16, up to 4 requests under way on each, given up after 5 s",
        "auto: stationary after 3 s",
        "<dd>42</dd>",
        "its own sends were late by 2.1 µs (P50), 11 µs (P99.9)",
        "2 timeout, 1 reset",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn hostile_texts_of_marks_and_errors_become_no_markup() {
    let hostile = "</script><script>alert(1)</script>|\u{202e}\n**x**";
    let mut run = frozen();
    run.meta.load.target = hostile.to_owned();
    run.meta.load.warmup_rule = hostile.to_owned();
    run.meta.load.slo = Some(hostile.to_owned());
    run.marks.push(Mark {
        start_ns: run.marks[0].start_ns,
        end_ns: 0,
        kind: hostile.to_owned(),
        detail: hostile.to_owned(),
    });
    let figures = result(&mut run);
    figures.errors.insert(hostile.to_owned(), 5);
    figures.objectives[0].objective = hostile.to_owned();
    let generator = figures.generator.as_mut().expect("over the network");
    generator.bottleneck = hostile.to_owned();
    generator.reason = hostile.to_owned();
    let report = report(vec![run]);
    let html = report.html();
    assert!(!html.contains("<script>alert"));
    assert_eq!(html.matches("<script").count(), 3);
    assert!(!html.contains('\u{202e}'));
    let markdown = report.markdown();
    assert!(!markdown.contains("<script") && !markdown.contains("**x**"));
    assert!(!markdown.contains('\u{202e}'));
}

#[test]
fn kinds_without_number_do_not_fill_the_page() {
    let mut run = frozen();
    result(&mut run).failed += 5_000;
    for kind in 0..5_000 {
        result(&mut run).errors.insert(format!("kind {kind}"), 1);
        run.marks.push(Mark {
            kind: format!("kind {kind}"),
            ..run.marks[0].clone()
        });
    }
    let report = report(vec![run]);
    let load = summary(&report, "checkout");
    assert!(load.errors.len() <= 24, "{}", load.errors.len());
    assert_eq!(load.failed, 5_003);
    assert_eq!(load.errors.values().sum::<u64>(), 5_003);
    assert_eq!(load.marks.len() as u64 + load.marks_left_out, 5_001);
    assert!(report.html().len() < 400_000);
}

#[test]
fn a_load_read_from_disk_gives_the_same_page_as_one_in_memory() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let original = frozen();
    write(&dir.path().join("checkout"), &original).expect("writable");
    let from_disk = Report::read_tree(dir.path()).expect("one recording");
    assert_eq!(from_disk.html(), report(vec![original]).html());
}

#[test]
fn a_run_that_was_cut_short_concludes_nothing() {
    let mut run = sound();
    run.meta.state = tailcut_report::recording::State::Partial;
    run.meta.state_reason = Some("interrupted".to_owned());
    let report = report(vec![run]);
    assert_eq!(report.verdict().outcome, Outcome::Inconclusive);
    assert!(
        report
            .verdict()
            .sentence
            .contains("was cut short (interrupted)")
    );
}

#[test]
fn the_figures_of_a_demo_do_not_change_by_what_loads_can_say() {
    let json = serde_json::to_string(
        &report(vec![
            recording(&JEMALLOC, 1, 0, 1),
            recording(&POOL, 1, 1, 1),
        ])
        .json(),
    )
    .expect("serialisable");
    assert!(!json.contains("\"load\""));
}

/// What the page's script draws.
fn drawn(report: &Report) -> serde_json::Value {
    let html = report.html();
    let data = html
        .split("<script type=\"application/json\" id=\"data\">")
        .nth(1)
        .and_then(|rest| rest.split("</script>").next())
        .expect("the page has data");
    serde_json::from_str(data).expect("valid JSON")
}
