//! The section on the allocator: what it shows, what it never claims, and that nothing in a trace can act on it.

mod common;

use common::sections::allocating;
use common::traced::traced;
use common::{JEMALLOC, POOL, recording};
use tailcut_report::Report;
use tailcut_report::recording::{Frame, Recording, Stack};

fn report(recordings: Vec<Recording>) -> Report {
    Report::from_recordings(recordings).expect("there are recordings")
}

fn run() -> Recording {
    let mut run = recording(&JEMALLOC, 1, 0, 2);
    run.pauses = Some(allocating(&run, 2));
    run
}

#[test]
fn calls_stand_in_bands_of_latency_and_those_under_the_floor_in_none() {
    let report = report(vec![run()]);
    let summaries = report.summaries();
    let allocator = summaries["heap_jemalloc"]
        .allocator
        .as_ref()
        .expect("it was traced");
    let malloc = allocator
        .tiers
        .iter()
        .find(|tier| tier.name == "malloc")
        .expect("malloc was traced");
    assert_eq!((malloc.events, malloc.floor_ns), (60_000, 710));
    assert!(malloc.under_floor > 1_000);
    let banded: u64 = malloc.bands.iter().map(|band| band.events).sum();
    assert_eq!(banded + malloc.under_floor, malloc.events);
    assert!(
        malloc.bands.iter().all(|band| band.events > 0),
        "{malloc:?}"
    );
    // 30,000 a second were seen, in a fiftieth of the time.
    assert!((malloc.events_per_second - 1_500_000.0).abs() < 1.0);
    // What programs call, then slow paths, then the system's part.
    let names: Vec<&str> = allocator
        .tiers
        .iter()
        .map(|tier| tier.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "malloc@jemalloc",
            "malloc",
            "free",
            "malloc_os",
            "munmap",
            "page_fault"
        ]
    );

    let html = report.html();
    for part in [
        "<h2 id=\"allocator-title\">Allocator</h2>",
        "(&#60; 710 ns)",
        "16 to 31 B",
        "accept_order (orders)",
        "settle_window",
        "<svg class=\"flame\"",
        "half lived at most",
        "of 7 frames in the median",
    ] {
        let escaped = part.replace("&#60;", "&lt;");
        assert!(html.contains(part) || html.contains(&escaped), "{part}");
    }
    let markdown = report.markdown();
    assert!(
        markdown.contains("Where its slow calls came from"),
        "{markdown}"
    );
    let json = serde_json::to_value(report.json()).expect("serialisable");
    let sizes = &json["variants"]["heap_jemalloc"]["allocator"]["sizes"];
    let malloc = sizes
        .as_array()
        .and_then(|all| all.iter().find(|one| one["name"] == "malloc"));
    assert_eq!(malloc.expect("sizes of malloc")["classes"][0]["bytes"], 16);
}

#[test]
fn what_was_not_traced_is_named_with_the_command_that_traces_it() {
    let mut only_default = recording(&POOL, 1, 1, 2);
    let mut pauses = traced(&only_default, 2);
    let ours = |name: &str| !name.starts_with("malloc");
    pauses.meta.series.retain(|series| ours(&series.name));
    pauses.intervals.retain(|interval| ours(&interval.series));
    pauses
        .meta
        .left_out
        .push("free: no place to probe was found in it".to_owned());
    pauses
        .pauses
        .iter_mut()
        .for_each(|pause| pause.stack = None);
    only_default.pauses = Some(pauses);
    let report = report(vec![only_default]);
    let summaries = report.summaries();
    let allocator = summaries["pool"]
        .allocator
        .as_ref()
        .expect("memory was traced");
    let lacks: Vec<&str> = allocator
        .not_traced
        .iter()
        .map(|lack| lack.why.as_str())
        .collect();
    assert_eq!(lacks.len(), 4, "{lacks:?}");
    assert!(lacks[0].starts_with("not asked for"), "{lacks:?}");
    assert_eq!(lacks[1], "free: no place to probe was found in it");
    assert_eq!(
        allocator.command.as_deref(),
        Some("sudo tailcut record -p 4711 -d 30s --series default,malloc,free,slow-paths --stacks")
    );
    let html = report.html();
    assert!(html.contains("--series default,malloc,free,slow-paths --stacks"));
    assert!(!html.contains("<svg class=\"flame\""));
}

#[test]
fn a_run_that_nobody_traced_or_in_which_no_memory_was_traced_has_no_such_section() {
    let mut other = recording(&POOL, 1, 1, 2);
    let mut pauses = traced(&other, 2);
    let ours = |name: &str| name == "off_cpu";
    pauses.meta.series.retain(|series| ours(&series.name));
    pauses.intervals.retain(|interval| ours(&interval.series));
    pauses.pauses.retain(|pause| ours(&pause.kind));
    other.pauses = Some(pauses);
    for run in [recording(&JEMALLOC, 1, 0, 2), other] {
        assert!(!report(vec![run]).html().contains("allocator-title"));
    }
}

#[test]
fn nothing_in_a_stack_or_call_site_becomes_markup_and_the_picture_stays_small() {
    const HOSTILE: &str =
        "</title></svg><script>alert(1)</script><img src=x>\u{202e}\u{1b}[2J|`*[x](y)";
    let mut run = run();
    let pauses = run.pauses.as_mut().expect("it was traced");
    for site in &mut pauses.meta.call_sites {
        site.place = HOSTILE.to_owned();
        site.series = HOSTILE.to_owned();
    }
    let template = pauses
        .pauses
        .iter()
        .find(|pause| pause.kind == "malloc")
        .cloned();
    let template = template.expect("some were slow");
    let frame = |name: String| Frame {
        module: HOSTILE.to_owned(),
        name,
        ..Frame::default()
    };
    for id in 1_000..3_300 {
        pauses.pauses.push(tailcut_report::recording::Pause {
            stack: Some(id),
            ..template.clone()
        });
        let deep = (0..100).map(|depth| frame(format!("{HOSTILE}{}{depth}", id % 40)));
        pauses.stacks.stacks.push(Stack {
            id,
            frames: deep.collect(),
        });
    }
    let before = report(vec![self::run()]).html().len();
    let report = report(vec![run]);
    let html = report.html();
    assert!(!html.contains("<script>alert") && !html.contains("<img"));
    assert!(!html.contains('\u{202e}') && !html.contains('\u{1b}'));
    assert_eq!(html.matches("</script").count(), 3);
    // Each picture ends where the template ends it.
    let pictures = html.matches("<svg ").count();
    assert!(pictures > 0);
    assert_eq!(html.matches("</svg").count(), pictures);
    assert!(
        html.len() < before + 1_000_000,
        "{} bytes more",
        html.len() - before
    );
    assert!(!report.markdown().contains("<img"));
}

#[test]
fn a_trace_of_an_older_version_has_neither_sizes_nor_call_sites_and_is_read_all_the_same() {
    let mut run = run();
    let pauses = run.pauses.as_mut().expect("it was traced");
    let mut meta = serde_json::to_value(&pauses.meta).expect("serialisable");
    meta.as_object_mut()
        .expect("an object")
        .remove("call_sites");
    for series in meta["series"].as_array_mut().expect("a list") {
        series.as_object_mut().expect("an object").remove("sizes");
    }
    pauses.meta = serde_json::from_value(meta).expect("what an older version wrote");
    let html = report(vec![run]).html();
    assert!(html.contains("allocator-title") && !html.contains("sites-title"));
    assert!(html.contains("<svg class=\"flame\""));
}
