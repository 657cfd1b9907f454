//! The page is safe to open: nothing in a recording becomes markup, nothing is fetched.

mod common;

use common::hostile::hostile;
use common::{JEMALLOC, NOOP, POOL, recording};
use tailcut_report::Report;
use tailcut_report::recording::Recording;

fn page(recordings: Vec<Recording>) -> String {
    Report::from_recordings(recordings)
        .expect("there are recordings")
        .html()
}

fn sound() -> String {
    let profiles = [NOOP, JEMALLOC, POOL, POOL, JEMALLOC, NOOP];
    let runs = profiles.iter().enumerate();
    page(
        runs.map(|(place, profile)| recording(profile, 1 + place as u32 / 3, place as u32, 2))
            .collect(),
    )
}

#[test]
fn nothing_in_a_recording_becomes_markup() {
    let html = page(vec![hostile(&JEMALLOC, 1, 0), hostile(&POOL, 1, 1)]);
    assert!(!html.contains("<script>alert"));
    assert!(!html.contains("<img"));
    // Three of our own: data, library, script. The sound page has as many.
    assert_eq!(html.matches("<script").count(), 3);
    assert_eq!(html.matches("</script").count(), 3);
    assert_eq!(sound().matches("<script").count(), 3);
    assert!(html.contains("&#60;script&#62;") || html.contains("&lt;script&gt;"));
}

#[test]
fn the_embedded_data_are_json_whatever_the_recording_says() {
    let html = page(vec![hostile(&JEMALLOC, 1, 0), hostile(&POOL, 1, 1)]);
    let data = html
        .split("<script type=\"application/json\" id=\"data\">")
        .nth(1)
        .and_then(|rest| rest.split("</script>").next())
        .expect("the page has data");
    let data: serde_json::Value = serde_json::from_str(data).expect("valid JSON");
    let label = data["variants"][0]["label"].as_str().expect("a label");
    assert!(label.contains("</script>"), "{label}");
}

#[test]
fn nothing_in_a_recording_becomes_markdown() {
    let report = Report::from_recordings(vec![hostile(&JEMALLOC, 1, 0), hostile(&POOL, 1, 1)])
        .expect("two recordings");
    let markdown = report.markdown();
    assert!(!markdown.contains("<script"));
    assert!(!markdown.contains("<img"));
    assert!(!markdown.contains("[x]("));
    for line in markdown.lines().filter(|line| line.starts_with('|')) {
        let bars = line.matches('|').count() - line.matches("\\|").count();
        assert!([4, 6].contains(&bars), "{line}");
    }
}

#[test]
fn no_request_leaves_the_file() {
    let html = sound();
    for load in [
        "src=\"",
        "src='",
        "srcset",
        "@import",
        "url(",
        "<link rel=\"stylesheet",
        "import(",
        "fetch(",
        "XMLHttpRequest",
        "sendBeacon",
        "WebSocket",
        "EventSource",
        "<iframe",
        "<object",
        "<base",
    ] {
        assert!(!html.contains(load), "{load}");
    }
    let links: Vec<&str> = html
        .match_indices("href=\"")
        .map(|(at, _)| html[at + 6..].split('"').next().unwrap_or(""))
        .collect();
    for link in links {
        assert!(link.starts_with('#') || link == "data:,", "{link}");
    }
    // The only address is the chart library's name for itself, in its comment.
    for (at, _) in html.match_indices("://") {
        let around = &html[at.saturating_sub(8)..at + 30];
        assert!(around.contains("github.com/leeoniya/uPlot"), "{around}");
    }
    assert!(html.contains("default-src 'none'"));
}

#[test]
fn every_chart_has_words_and_a_table() {
    let html = sound();
    let charts = html.matches("class=\"chart").count();
    assert_eq!(
        charts,
        1 + 2 + 2,
        "curve, two time series, heat map, service level"
    );
    assert_eq!(
        html.matches("role=\"img\" aria-label=\"").count(),
        charts + 1
    );
    for table in [
        "Percentiles as a table",
        "Runs as a table",
        "Shares as a table",
    ] {
        assert!(html.contains(table), "{table}");
    }
    assert!(html.contains("<noscript>"));
    assert!(html.contains("prefers-color-scheme: dark"));
    assert!(html.contains("@media print"));
}

#[test]
fn the_library_keeps_its_licence() {
    assert!(sound().contains("Copyright (c) 2022 Leon Sorokin"));
}
