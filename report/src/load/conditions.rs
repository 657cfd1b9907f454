//! Under which conditions runs of a load generator were made, beyond those of any run.

use crate::conditions::{Condition, join, of};
use crate::format;
use crate::recording::Meta;
use crate::report::Report;
use crate::text;

/// Target, schedule, warm-up, connections, shards, the generator's own part.
pub(crate) fn conditions(report: &Report) -> Vec<Condition> {
    let runs = &report.runs;
    let mut all = vec![
        of(runs, "Target", |meta| meta.load.target.clone()),
        of(runs, "Transport", |meta| {
            transport(&meta.load.target).to_owned()
        }),
        of(runs, "Schedule", schedule),
        of(runs, "Connections", connections),
        of(runs, "Warm-up", |meta| own(meta, &meta.load.warmup_rule)),
        of(runs, "Seed", |meta| own(meta, &meta.load.seed.to_string())),
        of(runs, "Part of a load by several machines", shard),
        of(runs, "Objectives", |meta| {
            meta.load.slo.clone().unwrap_or_default()
        }),
        of(runs, "Generator", generator),
        of(runs, "Failed requests", errors),
    ];
    for value in all.iter_mut().flat_map(|condition| &mut condition.values) {
        *value = text::clean(value);
    }
    all
}

/// A text, of runs of a load generator only: those of a demo say it elsewhere.
fn own(meta: &Meta, text: &str) -> String {
    if super::is_load(meta) && meta.load.duration_ns > 0 {
        text.to_owned()
    } else {
        String::new()
    }
}

/// What the scheme of a target means.
fn transport(target: &str) -> &'static str {
    match target.split_once("://").map(|(scheme, _)| scheme) {
        Some("tcp") => "TCP, orders in a compact binary form",
        Some("tcps") => "TCP with TLS, orders in a compact binary form",
        Some("udp") => "UDP, orders in a compact binary form",
        Some("http") => "HTTP/1.1",
        Some("https") => "HTTP/1.1 with TLS",
        Some("h2") => "HTTP/2",
        Some("h2s") => "HTTP/2 with TLS",
        Some("grpc") => "gRPC, unary calls",
        Some("grpcs") => "gRPC with TLS, unary calls",
        Some("ws") => "WebSocket",
        Some("wss") => "WebSocket with TLS",
        Some("redis") => "Redis",
        Some("rediss") => "Redis with TLS",
        _ => "",
    }
}

fn schedule(meta: &Meta) -> String {
    let load = &meta.load;
    if load.closed_loop {
        return "none: closed loop, a connection sends its next request when the one before it is \
                answered. Latencies suffer coordinated omission: requests that a stall kept from being \
                sent are missing from them"
            .to_owned();
    }
    match load.target.is_empty() {
        true => String::new(),
        false => "intended starts were fixed before the run, and response times count from them"
            .to_owned(),
    }
}

fn connections(meta: &Meta) -> String {
    let load = &meta.load;
    if load.connections == 0 {
        return String::new();
    }
    let pipeline = match load.pipeline {
        0 | 1 => "one request at a time on each".to_owned(),
        pipeline => format!("up to {pipeline} requests under way on each"),
    };
    let timeout = match load.timeout_ns {
        0 => String::new(),
        timeout => format!("given up after {}", format::nanos(timeout)),
    };
    join(
        ", ",
        [load.connections.to_string().as_str(), &pipeline, &timeout],
    )
}

fn shard(meta: &Meta) -> String {
    match (meta.load.shard_index, meta.load.shard_of) {
        (Some(index), Some(of)) => format!("{} of {of}", u64::from(index) + 1),
        _ => String::new(),
    }
}

fn generator(meta: &Meta) -> String {
    let Some(generator) = meta
        .result
        .as_ref()
        .and_then(|result| result.generator.as_ref())
    else {
        return String::new();
    };
    let late = format!(
        "its own sends were late by {} (P50), {} (P99.9), {} at most; {} of its workers' time busy",
        format::nanos(generator.lateness_p50_ns),
        format::nanos(generator.lateness_p999_ns),
        format::nanos(generator.lateness_max_ns),
        format::share(generator.busy),
    );
    let waited = match generator.waited_for_place {
        0 => String::new(),
        number => format!(
            "{} sends waited for a free place on a connection, which is the target's part",
            format::count(number as f64)
        ),
    };
    join("; ", [late.as_str(), &waited, &generator.reason])
}

fn errors(meta: &Meta) -> String {
    let Some(result) = meta.result.as_ref().filter(|_| super::is_load(meta)) else {
        return String::new();
    };
    let mut kinds: Vec<_> = result.errors.iter().collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let kinds: Vec<String> = kinds
        .into_iter()
        .take(8)
        .map(|(kind, count)| format!("{} {kind}", format::count(*count as f64)))
        .collect();
    match kinds.is_empty() {
        true => "none".to_owned(),
        false => kinds.join(", "),
    }
}
